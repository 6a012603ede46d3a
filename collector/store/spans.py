"""Reads spans of rows whose key starts with the tick: all replicas by range, one replica by seeking tick after tick.

A range holds every replica's rows. For one replica it is far quicker to hop from tick to tick (each found by one seek
in the key) and to seek its row there: a fleet's replicas share their ticks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, FromClause, Row, Select, Table, and_, func, select

from collector.store.codec import microseconds
from collector.store.schema import BUCKET_MS, HOUR_MS, replica_hours, replica_totals

_FEW_MEMBERS = 50
"""More epochs than this are found by reading a span than by seeking each."""
_FIRST_LOOK_MS = (600_000, 7_200_000)
"""How far back the last row is looked for at first: it is nearly always recent, and a hop has its price."""

Rows = Sequence[Any]
_LATEST_MS = 60_000
"""Nearly every replica that is polled has a row within so long before the newest one."""
_STEP_MS = {replica_totals.name: BUCKET_MS, replica_hours.name: HOUR_MS}


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
    return connection.execute(wanted).fetchall()


def rows_at_once(
    connection: Connection, table: Table, since_us: int, until_us: int, ticks: Sequence[int], members: Sequence[int]
) -> Rows:
    """Rows of some members with `since_us` <= instant < `until_us`, each member's together and oldest first.

    As the driver gives them. `ticks` has all ticks with rows of that span, and may have others.
    """
    first_ms, last_ms = since_us // 1000 - BUCKET_MS, (until_us - 1) // 1000
    among = [tick for tick in ticks if first_ms <= tick <= last_ms]
    if not among or not members:
        return []
    at_us, member = "tick_ms * 1000 + offset_us", _member(table).name
    statement = (
        f"SELECT {_columns(table)} FROM {table.name} WHERE tick_ms IN ({_numbers(among)})"
        f" AND {member} IN ({_numbers(members)}) AND {at_us} >= {since_us} AND {at_us} < {until_us}"
        f" ORDER BY {member}, {at_us}"
    )
    return connection.exec_driver_sql(statement).fetchall()


def ticks_between(connection: Connection, table: Table, since_us: int, until_us: int) -> list[int]:
    """Every tick that rows with `since_us` <= instant < `until_us` have, in order, found by hopping; some have none."""
    first_ms, last_ms = since_us // 1000 - BUCKET_MS, (until_us - 1) // 1000
    following = f"SELECT min(tick_ms) FROM {table.name} WHERE tick_ms > at_ms AND tick_ms <= {last_ms}"
    statement = (
        f"WITH RECURSIVE ticks(at_ms) AS ("
        f"SELECT min(tick_ms) FROM {table.name} WHERE tick_ms BETWEEN {first_ms} AND {last_ms}"
        f" UNION ALL SELECT ({following}) FROM ticks WHERE at_ms IS NOT NULL)"
        " SELECT at_ms FROM ticks WHERE at_ms IS NOT NULL"
    )
    return list(connection.exec_driver_sql(statement).scalars())


def members_between(connection: Connection, table: Table, since_us: int, until_us: int) -> list[int]:
    """Every member that has rows with `since_us` <= instant < `until_us`, in order; some have none."""
    first_ms, last_ms = since_us // 1000 - BUCKET_MS, (until_us - 1) // 1000
    member = _member(table).name
    statement = f"SELECT DISTINCT {member} FROM {table.name} WHERE tick_ms BETWEEN {first_ms} AND {last_ms}"
    return sorted(connection.exec_driver_sql(statement).scalars())


def grid_rows(
    connection: Connection, table: Table, since_ms: int, until_ms: int, members: Sequence[int] | None = None
) -> Rows:
    """Rows of totals with `since_ms` <= start < `until_ms` in order of time, as the driver gives them.

    Starts are multiples of the table's span, so a few members' rows are sought start after start: a range would hold
    every replica's.
    """
    # Asked for both at once, SQLite would read the whole table.
    least, most = (f"(SELECT {end}(bucket_ms) FROM {table.name})" for end in ("min", "max"))
    ends = connection.exec_driver_sql(f"SELECT {least}, {most}").one()
    if ends[0] is None or members == []:
        return []
    step_ms = _STEP_MS[table.name]
    first_ms, last_ms = max(-(-since_ms // step_ms) * step_ms, ends[0]), min(until_ms - 1, ends[1])
    if first_ms > last_ms:
        return []
    columns, name = _columns(table), table.name
    if members is None or len(members) > _FEW_MEMBERS:
        among = "" if members is None else f" AND epoch_id IN ({_numbers(members)})"
        statement = f"SELECT {columns} FROM {name} WHERE bucket_ms BETWEEN {first_ms} AND {last_ms}{among}"
    elif connection.dialect.name == "sqlite":
        statement = (
            f"WITH RECURSIVE grid(at_ms) AS (SELECT {first_ms} UNION ALL"
            f" SELECT at_ms + {step_ms} FROM grid WHERE at_ms + {step_ms} <= {last_ms})"
            f" SELECT {columns} FROM grid CROSS JOIN {name}"
            f" WHERE bucket_ms = at_ms AND epoch_id IN ({_numbers(members)})"
        )
    else:
        # OFFSET 0 keeps the planner from reading the whole table for what it takes to be many rows.
        statement = (
            f"SELECT {columns} FROM generate_series({first_ms}::bigint, {last_ms}, {step_ms}) AS at_ms,"
            f" LATERAL (SELECT * FROM {name} WHERE bucket_ms = at_ms AND epoch_id IN ({_numbers(members)}) OFFSET 0)"
            " AS found"
        )
    return connection.exec_driver_sql(f"{statement} ORDER BY bucket_ms, epoch_id").fetchall()


def _numbers(members: Sequence[int]) -> str:
    return ",".join(str(int(member)) for member in members)


@cache
def _columns(table: Table) -> str:
    return ", ".join(column.name for column in table.columns)


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


def newest_rows(connection: Connection, table: Table, keys: Mapping[int, Any], since_ms: int) -> dict[Any, Any]:
    """The newest row by key, of members that have one since a tick; `keys` says which members share a key.

    Nearly all lie together at the end of the table; those of the few that have been silent since are sought.
    """
    newest_ms = connection.exec_driver_sql(f"SELECT max(tick_ms) FROM {table.name}").scalar()
    found: dict[Any, Any] = {}
    if newest_ms is None:
        return found
    silent = set(keys.values())
    for look_ms in (_LATEST_MS, *_FIRST_LOOK_MS, max(0, newest_ms - since_ms)):
        if look_ms > _LATEST_MS and len(silent) <= _FEW_MEMBERS:
            break
        _take_newest(found, _last_of_each(connection, table, max(since_ms, newest_ms - look_ms)), keys)
        silent -= found.keys()
    for member in [member for member, key in keys.items() if key in silent]:
        hops = _hops(table, since_ms, newest_ms, [member]).order_by(table.c.tick_ms.desc()).limit(1)
        _take_newest(found, connection.execute(hops).fetchall(), keys)
    return found


def _take_newest(found: dict[Any, Any], rows: Rows, keys: Mapping[int, Any]) -> None:
    for row in rows:
        key = keys.get(row[1])
        if key is not None and (key not in found or found[key][0] < row[0]):
            found[key] = row


def _last_of_each(connection: Connection, table: Table, since_ms: int) -> Rows:
    member = _member(table).name
    columns = ", ".join(f"found.{column.name}" for column in table.columns)
    statement = (
        f"SELECT {columns} FROM (SELECT {member} AS one, max(tick_ms) AS last_ms FROM {table.name}"
        f" WHERE tick_ms >= {since_ms} GROUP BY {member}) AS latest"
        f" JOIN {table.name} AS found ON found.tick_ms = latest.last_ms AND found.{member} = latest.one"
    )
    return connection.exec_driver_sql(statement).fetchall()


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
