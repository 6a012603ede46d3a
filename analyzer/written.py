"""A plain report as JSON text, a replica or deployment at a time: all at once, a thousand would take 100 MB."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any

from analyzer.report import as_plain


def pieces(value: Any, compact: Callable[[Any], str] | None = None) -> Iterator[str]:
    """The JSON of `as_plain(value)` of a dataclass; without spaces where `compact` is given, which makes it of a part.

    Raises ValueError for what JSON has no word for, and what `compact` raises.
    """
    comma, colon = separators = (", ", ": ") if compact is None else (",", ":")

    def spaced(plain: Any) -> str:
        return json.dumps(plain, allow_nan=False, separators=separators)

    written = spaced if compact is None else compact
    before = "{"
    for one in fields(value):
        if not one.metadata.get("plain", True):
            continue
        yield f"{before}{json.dumps(one.name)}{colon}"
        before = comma
        held = getattr(value, one.name)
        if isinstance(held, tuple):
            yield "["
            for number, item in enumerate(held):
                yield (comma if number else "") + written(as_plain(item))
            yield "]"
        else:
            yield written(as_plain(held))
    yield "}" if before == comma else "{}"
