"""A plain report as JSON text, a replica or deployment at a time: all at once, a thousand would take 100 MB."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from analyzer.report import as_plain


def pieces(value: Any, *, compact: bool = False) -> Iterator[str]:
    """The JSON of `as_plain(value)` of a dataclass; `compact` leaves the spaces out.

    Raises ValueError for what JSON has no word for.
    """
    comma, colon = separators = (",", ":") if compact else (", ", ": ")
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
                yield (comma if number else "") + json.dumps(as_plain(item), allow_nan=False, separators=separators)
            yield "]"
        else:
            yield json.dumps(as_plain(held), allow_nan=False, separators=separators)
    yield "}" if before == comma else "{}"
