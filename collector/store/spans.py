"""Reads spans of rows whose key starts with the tick: all replicas by range, one replica by seeking tick after tick.

A range holds every replica's rows. For one replica it is far quicker to hop from tick to tick (each found by one seek
in the key) and to seek its row there: a fleet's replicas share their ticks.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, FromClause, Row, Select, Table, and_, func, select

from collector.store.codec import microseconds
from collector.store.schema import BUCKET_MS

_FIRST_LOOK_MS = (600_000, 7_200_000)
"""How far back the last row is looked for at first: it is nearly always recent, and a hop has its price."""

Rows = list[Row[Any]]


def rows_between(
    connection: Connection, table: Table, since_us: int, until_us: int, members: Sequence[int] | None = None
) -> Rows:
    """Rows with `since_us` <= instant < `until_us`, oldest first; `members` (the key's second part) None for all."""
    # A row lies less than a bucket's length after its tick, so nothing before this tick can reach into the span.
    first_ms, last_ms = since_us // 1000 - BUCKET_MS, (until_us - 1) // 1000
    at_us = table.c.tick_ms * 1000 + table.c.offset_us
    if members is None:
        chosen = select(table).where(table.c.tick_ms.between(first_ms, last_ms))
    else:
        chosen = _hops(table, first_ms, last_ms, members)
    wanted = chosen.where(at_us >= since_us, at_us < until_us).order_by(at_us, _member(table))
    return list(connection.execute(wanted))


def last_row_before(connection: Connection, table: Table, before_us: int, members: Sequence[int]) -> Row[Any] | None:
    """The newest row of the members taken before an instant; None when there is none."""
    oldest_ms = connection.execute(select(func.min(table.c.tick_ms))).scalar()
    newest_ms = connection.execute(select(func.max(table.c.tick_ms))).scalar()
    if oldest_ms is None or newest_ms is None:
        return None
    last_ms = min((before_us - 1) // 1000, newest_ms)
    at_us = table.c.tick_ms * 1000 + table.c.offset_us
    for look_ms in (*_FIRST_LOOK_MS, max(0, last_ms - oldest_ms)):
        hops = _hops(table, last_ms - look_ms, last_ms, members).where(at_us < before_us)
        row = connection.execute(hops.order_by(at_us.desc(), _member(table).desc()).limit(1)).first()
        if row is not None:
            return row
    return None


def span_us(since_s: float, until_s: float) -> tuple[int, int]:
    """A span's ends in microseconds."""
    return microseconds(since_s), microseconds(until_s)


def _member(table: Table) -> Any:
    return list(table.primary_key.columns)[1]


def _hops(table: Table, first_ms: int, last_ms: int, members: Sequence[int]) -> Select[Any]:
    """The members' rows at every tick between two, the ticks found by hopping along the key."""
    within = table.c.tick_ms.between(first_ms, last_ms)
    ticks = select(func.min(table.c.tick_ms).label("tick_ms")).where(within).cte("ticks", recursive=True)
    later = _later(table)
    following = (
        select(func.min(later.c.tick_ms))
        .where(later.c.tick_ms > ticks.c.tick_ms, later.c.tick_ms <= last_ms)
        .scalar_subquery()
    )
    ticks = ticks.union_all(select(following).where(ticks.c.tick_ms.is_not(None)))
    return select(table).select_from(
        ticks.join(table, and_(table.c.tick_ms == ticks.c.tick_ms, _member(table).in_(members)))
    )


@cache
def _later(table: Table) -> FromClause:
    """The table under another name; made once, since making it costs more than a search does."""
    return table.alias("later")
