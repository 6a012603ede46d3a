"""When the published figures that ship with a release were compiled: they age, as prices do."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_APRIL_2026_S = 1_775_001_600.0
_NOVEMBER_2026_S = 1_793_491_200.0

COMPILED_S: Mapping[str, float] = MappingProxyType(
    {
        "gpus": _NOVEMBER_2026_S,
        "kernels": _NOVEMBER_2026_S,
        "quality_losses": _NOVEMBER_2026_S,
        "reference_prices": _APRIL_2026_S,
        "speedups": _NOVEMBER_2026_S,
    }
)
"""Unix time by kind of fact: the first day of the month (UTC) in which the kind was last gone through."""
