"""What a scheme did on a replica that serves it, beside what was predicted, as a line of a report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analyzer.canary import NO_CANARY
from collector.export.words import address

Plain = Mapping[str, Any]


def canary_line(canary: Plain | None) -> str | None:
    """None where nobody tries the scheme (or the report is of a release that did not look)."""
    if canary is None or canary.get("missing") == NO_CANARY.reason:
        return None
    if "missing" in canary:
        return f"tried, not to be compared yet: {canary['missing']}"
    realised, ratio = canary["realised"], canary["ratio"]
    line = f"tried: {_interval(realised)}x on {address(canary['canary'])} beside {address(canary['beside'])}"
    if "missing" in ratio:
        return f"{line}; not predicted: {ratio['missing']}"
    return f"{line}, {_interval(ratio)} of the {canary['predicted']['value']:.2f}x that was predicted"


def _interval(one: Plain) -> str:
    return f"{one['value']:.2f} ({one['low']:.2f}-{one['high']:.2f})"
