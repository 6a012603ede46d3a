"""What an engine's JSON endpoints and info labels say about it, taken with care: the peer may send anything."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from collector.scrape.lines import clean
from collector.scrape.spec import IDENTITY_FIELDS, IdentityProbe

_TEXT_CHARS = 512


def member(value: Any, *path: str | int) -> Any:
    """The value at a path of keys and indices; None where there is none."""
    for step in path:
        if isinstance(step, str):
            value = value.get(step) if isinstance(value, dict) else None
        else:
            value = value[step] if isinstance(value, list) and -len(value) <= step < len(value) else None
    return value


def text(value: Any) -> str | None:
    """A non-empty text, cleaned and cut; None for anything else."""
    if not isinstance(value, str) or not value.strip():
        return None
    return clean(value.encode("utf-8", "replace").decode("utf-8"))[:_TEXT_CHARS]


def whole(value: Any) -> int | None:
    """A positive whole number, also one written as text; None for anything else."""
    if isinstance(value, str):
        value = int(value) if value.isascii() and value.isdigit() and len(value) <= 18 else None
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 < value < 1 << 63 else None


def amount(value: Any) -> float | None:
    """A finite number that is not negative, as a counter or a state is; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if 0 <= value < 1 << 63 else None


def told(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Only what was told: fields that are not None. Raises ValueError for a field that `Identity` does not have."""
    unknown = set(fields) - IDENTITY_FIELDS
    if unknown:
        raise ValueError(f"not a field of Identity: {', '.join(sorted(unknown))}")
    return {name: value for name, value in fields.items() if value is not None}


def answer(probe: IdentityProbe, body: bytes) -> dict[str, Any] | None:
    """What an endpoint's body tells; None when it is no JSON."""
    try:
        parsed = parse(body)
    except ValueError:
        return None
    return told(probe.read(parsed))


def parse(body: bytes) -> Any:
    """The JSON in a body. Raises ValueError when it is none, or is nested too deep to be read."""
    try:
        return json.loads(body)
    except RecursionError:
        raise ValueError("nested too deep") from None
