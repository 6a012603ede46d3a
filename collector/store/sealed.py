"""Reads raw rows that were sealed into blocks.

Whoever wants rows wherever they lie asks the table first and then the blocks. In between they may be sealed, which
moves them that way; so a row may be found twice, and never not at all. What was sealed first is what counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import itemgetter

from sqlalchemy import Connection, Table, func, select

from collector.store.codec import Row
from collector.store.damaged import rows_of
from collector.store.grid import Rows, grid_rows
from collector.store.schema import BLOCKS, BUCKET_MS

_KEY = itemgetter(0, 1)


def sealed_span_ms(connection: Connection, table: Table) -> tuple[int, int] | None:
    """The start of the table's first block and the end of the last (unix time); None for no blocks."""
    start = BLOCKS[table.name].c.bucket_ms
    # Asked for both at once, SQLite would read the whole table.
    last_ms = connection.execute(select(func.max(start))).scalar()
    first_ms = None if last_ms is None else connection.execute(select(func.min(start))).scalar()
    return None if last_ms is None or first_ms is None else (first_ms, last_ms + BUCKET_MS)


def sealed_rows(
    connection: Connection, table: Table, first_ms: int, last_ms: int, members: Iterable[int] | None = None
) -> list[Row]:
    """The table's sealed rows with ticks from `first_ms` to `last_ms`, of all members where none are named."""
    some = None if members is None else list(members)
    blocks = grid_rows(connection, BLOCKS[table.name], bucket_of(first_ms), last_ms + 1, some)
    return [row for block in blocks for row in rows_of(connection, table, block) if first_ms <= row[0] <= last_ms]


def together(rows: Rows, sealed: Rows) -> list[Row]:
    """Rows and sealed rows, each key once, in no order."""
    return list({**dict(zip(map(_KEY, rows), rows, strict=True)), **{_KEY(row): row for row in sealed}}.values())


def not_sealed(connection: Connection, table: Table, rows: list[Row]) -> list[Row]:
    """The rows but for those whose keys are sealed."""
    if not rows:
        return rows
    ticks = [row[0] for row in rows]
    there = set(map(_KEY, sealed_rows(connection, table, min(ticks), max(ticks), {row[1] for row in rows})))
    return [row for row in rows if _KEY(row) not in there] if there else rows


def last_sealed_before(
    connection: Connection, table: Table, first_ms: int, before_us: int, members: Iterable[int]
) -> Row | None:
    """The newest sealed row of the members taken before an instant, with a tick from `first_ms` on; None for none."""
    found: Row | None = None
    blocks = grid_rows(connection, BLOCKS[table.name], bucket_of(first_ms), before_us // 1000 + 1, list(members))
    for block in reversed(blocks):
        # A row is taken less than a bucket's length after its tick.
        if found is not None and (block[0] + 2 * BUCKET_MS) * 1000 <= taken_us(found):
            break
        mine = [row for row in rows_of(connection, table, block) if row[0] >= first_ms and taken_us(row) < before_us]
        found = max([*mine, *([] if found is None else [found])], key=taken_us, default=None)
    return found


def newest_sealed(connection: Connection, table: Table, since_ms: int) -> list[Row]:
    """Each member's newest sealed row with a tick from `since_ms` on."""
    found = (
        rows_of(connection, table, block) for block in last_of_each(connection, BLOCKS[table.name], bucket_of(since_ms))
    )
    return [rows[-1] for rows in found if rows and rows[-1][0] >= since_ms]


def last_of_each(connection: Connection, table: Table, since_ms: int) -> Rows:
    """Each member's newest row, as far as it has one with a key from `since_ms` on."""
    moment, member = table.primary_key.columns.keys()
    columns = ", ".join(f"found.{column.name}" for column in table.columns)
    statement = (
        f"SELECT {columns} FROM (SELECT {member} AS one, max({moment}) AS last_ms FROM {table.name}"
        f" WHERE {moment} >= {since_ms} GROUP BY {member}) AS latest"
        f" JOIN {table.name} AS found ON found.{moment} = latest.last_ms AND found.{member} = latest.one"
    )
    return connection.exec_driver_sql(statement).fetchall()


def taken_us(row: Row) -> int:
    """When a raw row was taken (unix time in microseconds): its tick, and how long after it."""
    return int(row[0]) * 1000 + int(row[2])


def bucket_of(tick_ms: int) -> int:
    """The start of the bucket in whose block a row with this tick lies."""
    return tick_ms // BUCKET_MS * BUCKET_MS
