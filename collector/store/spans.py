"""Reads spans of rows whose key starts with the tick: all replicas by range, one replica by seeking tick after tick.

A range holds every replica's rows. For one replica it is far quicker to hop from tick to tick (each found by one seek
in the key) and to seek its row there: a fleet's replicas share their ticks. Rows that were sealed are found as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    BindParameter,
    Connection,
    FromClause,
    Select,
    Table,
    and_,
    bindparam,
    func,
    select,
)

from collector.store.codec import Row, microseconds
from collector.store.grid import FEW_MEMBERS, Rows, column_names, member_of, members_of, numbers
from collector.store.schema import BLOCKS, BUCKET_MS
from collector.store.sealed import (
    bucket_of,
    last_of_each,
    last_sealed_before,
    newest_sealed,
    sealed_rows,
    sealed_span_ms,
    taken_us,
    together,
)

_FIRST_LOOK_MS = (600_000, 7_200_000)
"""How far back the last row is looked for at first: it is nearly always recent, and a hop has its price."""
_LATEST_MS = 60_000
"""Nearly every replica that is polled has a row within so long before the newest one."""


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
        chosen = hops(table, first_ms, last_ms, members)
    wanted = chosen.where(at_us >= since_us, at_us < until_us).order_by(at_us, member_of(table))
    rows = connection.execute(wanted).fetchall()
    sealed = _sealed_between(connection, table, since_us, until_us, members)
    return sorted(together(rows, sealed), key=lambda row: (taken_us(row), row[1])) if sealed else rows


def rows_at_once(
    connection: Connection, table: Table, since_us: int, until_us: int, ticks: Sequence[int], members: Sequence[int]
) -> Rows:
    """Rows of some members with `since_us` <= instant < `until_us`, each member's together and oldest first.

    As the driver gives them. `ticks` has all ticks with rows of that span, and may have others.
    """
    first_ms, last_ms = since_us // 1000 - BUCKET_MS, (until_us - 1) // 1000
    among = [tick for tick in ticks if first_ms <= tick <= last_ms]
    at_us, member = "tick_ms * 1000 + offset_us", member_of(table).name
    statement = (
        f"SELECT {column_names(table)} FROM {table.name} WHERE tick_ms IN ({numbers(among)})"
        f" AND {member} IN ({numbers(members)}) AND {at_us} >= {since_us} AND {at_us} < {until_us}"
        f" ORDER BY {member}, {at_us}"
    )
    rows = connection.exec_driver_sql(statement).fetchall() if among and members else []
    sealed = _sealed_between(connection, table, since_us, until_us, members)
    return sorted(together(rows, sealed), key=lambda row: (row[1], taken_us(row))) if sealed else rows


def _sealed_between(
    connection: Connection, table: Table, since_us: int, until_us: int, members: Sequence[int] | None = None
) -> Rows:
    sealed = sealed_rows(connection, table, since_us // 1000 - BUCKET_MS, (until_us - 1) // 1000, members)
    return [row for row in sealed if since_us <= taken_us(row) < until_us]


def ticks_between(connection: Connection, table: Table, since_us: int, until_us: int) -> list[int]:
    """Every tick that rows with `since_us` <= instant < `until_us` have, in order, found by hopping; some have none.

    Of sealed rows no tick is needed.
    """
    within = {"first_ms": since_us // 1000 - BUCKET_MS, "last_ms": (until_us - 1) // 1000}
    return list(connection.execute(_all_ticks(table), within).scalars())


def members_between(connection: Connection, table: Table, since_us: int, until_us: int) -> list[int]:
    """Every member that has rows with `since_us` <= instant < `until_us`, in order; some have none."""
    first_ms, last_ms = since_us // 1000 - BUCKET_MS, (until_us - 1) // 1000
    rows = members_of(connection, table, first_ms, last_ms)
    return sorted({*rows, *members_of(connection, BLOCKS[table.name], bucket_of(first_ms), last_ms)})


def last_row_before(connection: Connection, table: Table, before_us: int, members: Sequence[int]) -> Row | None:
    """The newest row of the members taken before an instant; None when there is none."""
    oldest_ms = connection.execute(select(func.min(table.c.tick_ms))).scalar()
    newest_ms = connection.execute(select(func.max(table.c.tick_ms))).scalar()
    sealed_ms = sealed_span_ms(connection, table)
    if sealed_ms is not None:
        oldest_ms = sealed_ms[0] if oldest_ms is None else min(oldest_ms, sealed_ms[0])
        newest_ms = sealed_ms[1] if newest_ms is None else max(newest_ms, sealed_ms[1])
    if oldest_ms is None or newest_ms is None:
        return None
    last_ms = min((before_us - 1) // 1000, newest_ms)
    at_us = table.c.tick_ms * 1000 + table.c.offset_us
    for look_ms in (*_FIRST_LOOK_MS, max(0, last_ms - oldest_ms)):
        sought = hops(table, last_ms - look_ms, last_ms, members).where(at_us < before_us)
        row = connection.execute(sought.order_by(at_us.desc(), member_of(table).desc()).limit(1)).first()
        sealed = last_sealed_before(connection, table, last_ms - look_ms, before_us, members)
        found = [one for one in (sealed, row) if one is not None]
        if found:
            return max(found, key=lambda one: (taken_us(one), one[1]))
    return None


def newest_rows(connection: Connection, table: Table, keys: Mapping[int, Any], since_ms: int) -> dict[Any, Any]:
    """The newest row by key, of members that have one since a tick; `keys` says which members share a key.

    Nearly all lie together at the end of the table; those of the few that have been silent since are sought.
    """
    newest_ms = connection.exec_driver_sql(f"SELECT max(tick_ms) FROM {table.name}").scalar()
    sealed_ms = sealed_span_ms(connection, table)
    if sealed_ms is not None:
        newest_ms = sealed_ms[1] if newest_ms is None else max(newest_ms, sealed_ms[1])
    found: dict[Any, Any] = {}
    if newest_ms is None:
        return found
    silent = set(keys.values())
    for look_ms in (_LATEST_MS, *_FIRST_LOOK_MS, max(0, newest_ms - since_ms)):
        if look_ms > _LATEST_MS and len(silent) <= FEW_MEMBERS:
            break
        first_ms = max(since_ms, newest_ms - look_ms)
        rows = last_of_each(connection, table, first_ms)
        _take_newest(found, newest_sealed(connection, table, first_ms), keys)
        _take_newest(found, rows, keys)
        silent -= found.keys()
    for member in [member for member, key in keys.items() if key in silent]:
        sought = hops(table, since_ms, newest_ms, [member]).order_by(table.c.tick_ms.desc()).limit(1)
        rows = connection.execute(sought).fetchall()
        sealed = last_sealed_before(connection, table, since_ms, (newest_ms + BUCKET_MS) * 1000, [member])
        _take_newest(found, [] if sealed is None else [sealed], keys)
        _take_newest(found, rows, keys)
    return found


def _take_newest(found: dict[Any, Any], rows: Rows, keys: Mapping[int, Any]) -> None:
    for row in rows:
        key = keys.get(row[1])
        if key is not None and (key not in found or found[key][0] < row[0]):
            found[key] = row


def span_us(since_s: float, until_s: float) -> tuple[int, int]:
    """A span's ends in microseconds."""
    return microseconds(since_s), microseconds(until_s)


def hops(table: Table, first_ms: int, last_ms: int, members: Sequence[int]) -> Select[Any]:
    """Asks for the members' rows at every tick between two, the ticks found by hopping."""
    ticks = _ticks(table, first_ms, last_ms)
    return select(table).select_from(
        ticks.join(table, and_(table.c.tick_ms == ticks.c.tick_ms, member_of(table).in_(members)))
    )


@cache
def _all_ticks(table: Table) -> Select[Any]:
    """Asks for them; made once, for each leaves cycles behind that fill megabytes before they are collected."""
    ticks = _ticks(table, bindparam("first_ms", type_=BigInteger), bindparam("last_ms", type_=BigInteger))
    return select(ticks.c.tick_ms).where(ticks.c.tick_ms.is_not(None))


def _ticks(table: Table, first_ms: int | BindParameter[int], last_ms: int | BindParameter[int]) -> CTE:
    """Every tick from the first to the last in order, found by hopping along the key, and then NULL."""
    within = table.c.tick_ms.between(first_ms, last_ms)
    ticks = select(func.min(table.c.tick_ms).label("tick_ms")).where(within).cte("ticks", recursive=True)
    later = _later(table)
    following = (
        select(func.min(later.c.tick_ms))
        .where(later.c.tick_ms > ticks.c.tick_ms, later.c.tick_ms <= last_ms)
        .scalar_subquery()
    )
    return ticks.union_all(select(following).where(ticks.c.tick_ms.is_not(None)))


@cache
def _later(table: Table) -> FromClause:
    """The table under another name; made once, since making it costs more than a search does."""
    return table.alias("later")
