"""Postgres keeps raw samples by UTC day: partitions are made ahead, and an old day goes as a whole.

Where TimescaleDB made hypertables of the tables, it makes the chunks and we only drop them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime

from sqlalchemy import Connection, Table, text
from sqlalchemy.exc import DBAPIError

from collector.errors import StoreError
from collector.store.schema import BLOCKS, gpu_samples, replica_samples

DAY_MS = 86_400_000
PARTITIONED = (replica_samples, gpu_samples, *BLOCKS.values())
DROP_LOCK_TIMEOUT = "5s"
"""A day is dropped when nobody reads the table just then; else an hour later."""
_LOCK = 0x627265616B7061
"""Any number that no other program picks: the bytes of "breakpa"."""
_CHILDREN = text(
    "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = CAST(:name AS regclass) ORDER BY 1"
)
_NATIVE = text("SELECT relkind = 'p' FROM pg_class WHERE oid = CAST(:name AS regclass)")
_SIZE = text(
    "SELECT coalesce(sum(pg_total_relation_size(member)), 0) FROM ("
    " SELECT CAST(:name AS regclass)::oid AS member UNION"
    " SELECT inhrelid FROM pg_inherits WHERE inhparent = CAST(:name AS regclass)) AS members"
)
"""A partitioned table takes no space itself, its partitions do; so do a hypertable's chunks, which inherit from it."""
_CHUNK_ENDS = text(
    "SELECT DISTINCT range_end_integer FROM timescaledb_information.chunks"
    " WHERE format('%I.%I', hypertable_schema, hypertable_name)::regclass = CAST(:name AS regclass)"
    " AND range_end_integer <= :before ORDER BY 1"
)
_DROP_CHUNKS = text("SELECT drop_chunks(CAST(:name AS regclass), older_than => CAST(:before AS bigint))")
_NO_PARTITION = "23514"
_NAME = re.compile(r".*_(\d{8})")


def days_of(ticks_ms: Iterable[int]) -> set[int]:
    """The UTC days (start in ms) of ticks, and the day after each: so the next day is there before its first sample."""
    days = {tick_ms // DAY_MS * DAY_MS for tick_ms in ticks_ms}
    return days | {day + DAY_MS for day in days}


def make_days(connection: Connection, days: Iterable[int]) -> None:
    """Make the partitions that are not there, in a transaction of its own.

    Each is made apart and attached: `CREATE TABLE ... PARTITION OF` would wait for everyone who reads the table, a
    dump for one, and have all others wait behind it.
    """
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    for table in PARTITIONED:
        if not connection.execute(_NATIVE, {"name": table.name}).scalar():
            continue
        there = {name.strip('"') for name in connection.execute(_CHILDREN, {"name": table.name}).scalars()}
        for day in sorted(days):
            name = f"{table.name}_{_stamp(day)}"
            if name not in there:
                connection.exec_driver_sql(f"CREATE TABLE {name} (LIKE {table.name} INCLUDING ALL)")
                connection.exec_driver_sql(
                    f"ALTER TABLE {table.name} ATTACH PARTITION {name} FOR VALUES FROM ({day}) TO ({day + DAY_MS})"
                )


def lacks_day(error: StoreError) -> bool:
    """Whether a write failed because a row's partition is not there."""
    cause = error.__cause__
    # Of no other constraint: the schema has no CHECK. The text is in the server's language.
    return isinstance(cause, DBAPIError) and getattr(cause.orig, "sqlstate", None) == _NO_PARTITION


def drop_days(connection: Connection, table: Table, before_ms: int, most: int | None = None) -> int:
    """Drop the days that ended by `before_ms`, oldest first; how many samples that were.

    At most `most` days that hold any: of one that was sealed, nothing but an empty partition is left.
    """
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{DROP_LOCK_TIMEOUT}'")
    if not connection.execute(_NATIVE, {"name": table.name}).scalar():
        return _drop_chunks(connection, table, before_ms, most)
    rows = days = 0
    for name in [name for name, day in _days(connection, table) if day + DAY_MS <= before_ms]:
        if days == most:
            break
        found = int(connection.exec_driver_sql(f"SELECT {_samples_in(table)} FROM {name}").scalar_one())
        connection.exec_driver_sql(f"DROP TABLE {name}")
        rows, days = rows + found, days + (found > 0)
    return rows


def table_bytes(connection: Connection, name: str) -> int:
    """Bytes of a table with its indices, partitions and chunks."""
    return int(connection.execute(_SIZE, {"name": name}).scalar_one())


def _samples_in(table: Table) -> str:
    """The expression for how many samples some rows of a table hold: a block has many."""
    return "coalesce(sum(samples), 0)" if "samples" in table.columns else "count(*)"


def _drop_chunks(connection: Connection, table: Table, before_ms: int, most: int | None) -> int:
    """As `drop_days`, of a hypertable: its chunks are days as well, unless another hand has changed that."""
    moment = next(iter(table.primary_key.columns)).name
    rows = days = 0
    for end_ms in list(connection.execute(_CHUNK_ENDS, {"name": table.name, "before": before_ms}).scalars()):
        if days == most:
            break
        held = f"SELECT {_samples_in(table)} FROM {table.name} WHERE {moment} < {end_ms}"
        found = int(connection.exec_driver_sql(held).scalar_one())
        connection.execute(_DROP_CHUNKS, {"name": table.name, "before": end_ms})
        rows, days = rows + found, days + (found > 0)
    return rows


def _days(connection: Connection, table: Table) -> list[tuple[str, int]]:
    """The partitions by day: what another hand attached under another name is left alone."""
    found = []
    for name in connection.execute(_CHILDREN, {"name": table.name}).scalars():
        match = _NAME.fullmatch(name.strip('"'))
        if match is not None:
            day = datetime.strptime(match[1], "%Y%m%d").replace(tzinfo=UTC)
            found.append((name, int(day.timestamp()) * 1000))
    return sorted(found, key=lambda one: one[1])


def _stamp(day: int) -> str:
    return datetime.fromtimestamp(day / 1000, UTC).strftime("%Y%m%d")
