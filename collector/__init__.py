"""The daemon: polls, stores, runs the analysis, exports."""

from __future__ import annotations

from importlib.metadata import version

__version__ = version("breakeven")
