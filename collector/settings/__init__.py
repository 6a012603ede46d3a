"""What the operator configured: the shape in `model`, the reading and its problems in `load`."""

from collector.settings.load import load_settings
from collector.settings.model import Settings

__all__ = ["Settings", "load_settings"]
