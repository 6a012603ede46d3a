"""Reports and verdicts as rows."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic_core import to_json
from sqlalchemy import Connection, delete, select

from analyzer.verdict import VerdictState
from collector.store.codec import microseconds
from collector.store.names import storable
from collector.store.schema import reports
from collector.store.statements import insert_into

REPORT_SPACING_S = 900.0
"""One report in so long stays, besides the newest."""


def verdict_rows(states: Mapping[tuple[str, str], VerdictState], at_s: float) -> list[dict[str, Any]]:
    """Verdict states by (deployment, scheme) as rows."""
    return [
        {
            "deployment": storable(deployment),
            "scheme": storable(scheme),
            "verdict": state.verdict.value,
            "since_us": microseconds(state.since_s),
            "last_data_us": None if state.last_data_s is None else microseconds(state.last_data_s),
            "candidate": None if state.candidate is None else state.candidate.value,
            "candidate_since_us": None if state.candidate_since_s is None else microseconds(state.candidate_since_s),
            "saved_at_us": microseconds(at_s),
        }
        for (deployment, scheme), state in sorted(states.items())
    ]


def report_row(made_at_s: float, body: Iterable[str]) -> dict[str, Any]:
    """A report as a row; `body` is its JSON in pieces. Raises what they raise."""
    return {"made_at_us": microseconds(made_at_s), "body": packed_report(body)}


def add_report(connection: Connection, row: Mapping[str, Any], *, sparing: bool = False) -> None:
    """Add a report in place of the newest, unless that is to stay; where space is to be spared, it never is.

    One that a clock made in the future is none of them: all that are made until then would stay.
    """
    past = reports.c.made_at_us <= row["made_at_us"] + microseconds(REPORT_SPACING_S)
    newest = select(reports.c.made_at_us).where(past).order_by(reports.c.made_at_us.desc()).limit(2)
    times = list(connection.execute(newest).scalars())
    if len(times) == 2 and (sparing or times[0] - times[1] < microseconds(REPORT_SPACING_S)):
        connection.execute(delete(reports).where(reports.c.made_at_us == times[0]))
    connection.execute(insert_into(connection, reports).on_conflict_do_nothing(), row)


def packed_report(body: Iterable[str]) -> bytes:
    """A report as it is kept."""
    squeeze = zlib.compressobj()
    packed = [squeeze.compress(piece.encode()) for piece in body]
    return b"".join([*packed, squeeze.flush()])


def plain_text(plain: Any) -> str:
    """Compact JSON of finite plain values: pydantic's writer takes a third of what the standard library's does."""
    try:
        return to_json(plain).decode()
    except ValueError:  # half a surrogate pair, which no UTF-8 has: escaped
        return json.dumps(plain, allow_nan=False, separators=(",", ":"))


def report_text(body: Mapping[str, Any]) -> str:
    """The JSON of a report given as JSON-ready values. Raises ValueError for what JSON has no word for."""
    return json.dumps(body, allow_nan=False, separators=(",", ":"))
