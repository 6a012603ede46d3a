"""Seals raw rows that nothing is added to any longer: a member's rows of five minutes become one block.

A bucket's rows are deleted and their blocks written in one transaction, so a killed process leaves either. Rows that
come later are as good as any; the next time they go into the block, where those that it has already stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from sqlalchemy import Connection, Table, delete, func, select, text

from collector.errors import StoreError
from collector.store.blocks import packed
from collector.store.codec import microseconds
from collector.store.damaged import set_aside
from collector.store.engine import Engines
from collector.store.grid import member_of, members_of
from collector.store.partitions import days_of, lacks_day, make_days
from collector.store.schema import BLOCKS, BUCKET_MS, gpu_samples, replica_samples
from collector.store.sealed import bucket_of, sealed_rows, together
from collector.store.statements import put

SEALED_AFTER_S = 7_200.0
"""What is asked for every few seconds, and nearly all that comes late, is younger than this."""
MEMBERS_TOGETHER = 100
"""So many members' rows are in memory at once."""
_LOCK = 0x627265616B7365
"""Any number that no other program picks: the bytes of "breakse"."""


def seal(engines: Engines, now_s: float) -> int:
    """Seal the oldest bucket of each table that ended long enough before `now_s`; how many rows, 0 when none is left.

    Safe from several processes at once. Raises StoreError.
    """
    until_ms = bucket_of(microseconds(now_s - SEALED_AFTER_S) // 1000)
    return sum(_seal(engines, table, until_ms) for table in (replica_samples, gpu_samples))


def seal_oldest(connection: Connection, table: Table, until_ms: int) -> int:
    """As `seal`, of one table and in an open transaction."""
    if connection.dialect.name != "sqlite":
        # Two that seal the same bucket would each put a block of its own rows there.
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    oldest_ms = _oldest(connection, table)
    if oldest_ms is None or oldest_ms >= until_ms:
        return 0
    bucket_ms = bucket_of(oldest_ms)
    last_ms = bucket_ms + BUCKET_MS - 1
    members = members_of(connection, table, bucket_ms, last_ms)
    groups = (members[begin : begin + MEMBERS_TOGETHER] for begin in range(0, len(members), MEMBERS_TOGETHER))
    return sum(_seal_members(connection, table, bucket_ms, group) for group in groups)


def _seal_members(connection: Connection, table: Table, bucket_ms: int, members: Sequence[int]) -> int:
    last_ms = bucket_ms + BUCKET_MS - 1
    # Read by deleting: what another daemon adds meanwhile is neither, and stays. Members are listed: TimescaleDB 2.23
    # cannot delete a range of them from a chunk that it has compressed.
    within = table.c.tick_ms.between(bucket_ms, last_ms) & member_of(table).in_(members)
    rows = connection.execute(delete(table).where(within).returning(*table.columns)).fetchall()
    set_aside(connection, table, bucket_ms, sorted({row[1] for row in rows}))
    former = sealed_rows(connection, table, bucket_ms, last_ms, {row[1] for row in rows})
    put(connection, BLOCKS[table.name], packed(table, bucket_ms, together(rows, former)), "true")
    return len(rows)


def _seal(engines: Engines, table: Table, until_ms: int) -> int:
    work = partial(seal_oldest, table=table, until_ms=until_ms)
    try:
        return engines.write(work)
    except StoreError as error:
        if not lacks_day(error):
            raise
    # Rows of a day that the schema before blocks made, or whose partition was dropped meanwhile.
    engines.write(lambda connection: make_days(connection, days_of([_oldest(connection, table) or 0])))
    return engines.write(work)


def _oldest(connection: Connection, table: Table) -> int | None:
    return connection.execute(select(func.min(table.c.tick_ms))).scalar()
