"""Writes a whole database into a folder of files, from one moment's view of it, beside a daemon that goes on."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Callable, Iterator
from contextlib import closing
from operator import itemgetter
from pathlib import Path
from typing import Any, BinaryIO, cast

from sqlalchemy import Connection, Table, func, select

from collector.clock import Clock
from collector.errors import StoreError
from collector.store.codec import Row
from collector.store.engine import Engines, translated
from collector.store.exported import MANIFEST, WRITTEN, Manifest, Part, shown, write_manifest
from collector.store.migrate import head
from collector.store.partitions import DAY_MS
from collector.store.schema import BLOCKS, BUCKET_MS
from collector.store.sealed import bucket_of, sealed_rows, together

COMPRESSION = 3
"""Of zlib's nine levels: numbers of a fleet shrink to a fifth already, and higher ones take the longer."""
Said = Callable[[str, int], None]
"""Told of each table that is done, and its number of rows."""


def export_to(engines: Engines, folder: Path, release: str, clock: Clock, said: Said) -> Manifest:
    """Write every table, then the manifest. Rows are streamed: memory does not grow with the database.

    Of samples whose sealed block is damaged nothing can be written; the connection's ledger has them.
    Raises StoreError for a folder that is not empty or cannot be written to, and for the database's failures.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise StoreError(f"{folder} is not empty: name a new folder, or empty this one")
        made_at_s = clock.wall_s()
        with translated(engines.place), engines.exporting.connect() as connection:
            snapshot = connection if engines.sqlite else connection.execution_options(isolation_level="REPEATABLE READ")
            with snapshot.begin():
                parts = {}
                for table in WRITTEN:
                    parts[table.name] = _export(snapshot, table, folder)
                    said(table.name, parts[table.name].rows)
        manifest = Manifest(head(), release, made_at_s, parts)
        write_manifest(folder, manifest)
    except OSError as error:
        raise StoreError(f"{folder} cannot be written to: {error.strerror or error}; {MANIFEST} is lacking") from error
    return manifest


def _export(connection: Connection, table: Table, folder: Path) -> Part:
    name = f"{table.name}.csv.gz"
    days: set[int] = set()
    with (folder / name).open("xb") as raw, gzip.GzipFile("", "wb", COMPRESSION, raw, mtime=0) as file:
        if table.name in BLOCKS:
            rows = _write_samples(connection, table, cast("BinaryIO", file), days)
        else:
            rows = _write(connection, table, cast("BinaryIO", file))
    return Part(name, tuple(column.name for column in table.columns), rows, tuple(sorted(days)))


def _write(connection: Connection, table: Table, file: BinaryIO) -> int:
    dialect = connection.dialect.name
    columns = ", ".join(shown(column, dialect) for column in table.columns)
    order = ", ".join(column.name for column in table.primary_key.columns)
    statement = f"SELECT {columns} FROM {table.name} ORDER BY {order}"
    return (_from_sqlite if dialect == "sqlite" else _from_postgres)(connection, statement, file)


def _write_samples(connection: Connection, table: Table, file: BinaryIO, days: set[int]) -> int:
    """Write the samples, sealed or not, each key once; add the UTC days (start in ms) that they are of."""
    count = 0
    with io.TextIOWrapper(file, encoding="ascii", newline="") as lines:
        write = csv.writer(lines, lineterminator="\r\n").writerow
        for rows in _buckets(connection, table):
            for row in rows:
                write([f"\\x{field.hex()}" if isinstance(field, bytes) else field for field in row])
            days |= {row[0] // DAY_MS * DAY_MS for row in rows}
            count += len(rows)
    return count


def _buckets(connection: Connection, table: Table) -> Iterator[list[Row]]:
    """The rows of one bucket after the other, by key; the next one is found by one seek in the table and its blocks."""
    moments = [table.c.tick_ms, BLOCKS[table.name].c.bucket_ms]
    nothing_before_ms = -(2**62)
    while True:
        nexts = [select(func.min(moment)).where(moment >= nothing_before_ms) for moment in moments]
        found = [at_ms for one in nexts if (at_ms := connection.execute(one).scalar()) is not None]
        if not found:
            return
        bucket_ms = bucket_of(min(found))
        last_ms = bucket_ms + BUCKET_MS - 1
        rows = connection.execute(select(table).where(table.c.tick_ms.between(bucket_ms, last_ms))).fetchall()
        yield sorted(together(rows, sealed_rows(connection, table, bucket_ms, last_ms)), key=itemgetter(0, 1))
        nothing_before_ms = last_ms + 1


def _from_sqlite(connection: Connection, statement: str, file: BinaryIO) -> int:
    driver: Any = connection.connection.driver_connection
    with io.TextIOWrapper(file, encoding="utf-8", newline="") as lines, closing(driver.cursor()) as cursor:
        counted = _Counted(cursor.execute(statement))
        csv.writer(lines, lineterminator="\r\n").writerows(counted)
    return counted.rows


class _Counted:
    """Rows as they come, and how many came."""

    def __init__(self, source: Any) -> None:
        self._source = source
        self.rows = 0

    def __iter__(self) -> _Counted:
        return self

    def __next__(self) -> Any:
        row = next(self._source)
        self.rows += 1
        return row


def _from_postgres(connection: Connection, statement: str, file: BinaryIO) -> int:
    from psycopg import Error

    driver: Any = connection.connection.driver_connection
    try:
        with driver.cursor() as cursor:
            with cursor.copy(f"COPY ({statement}) TO STDOUT (FORMAT csv)") as copy:
                file.writelines(copy)
            return int(cursor.rowcount)
    except Error as error:
        raise StoreError(f"the database cannot be read: {error}".splitlines()[0]) from error
