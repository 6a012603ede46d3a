"""Writes a whole database into a folder of files, from one moment's view of it, beside a daemon that goes on."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO, cast

from sqlalchemy import Connection, Table, func, select

from collector.clock import Clock
from collector.errors import StoreError
from collector.store.engine import Engines, translated
from collector.store.exported import MANIFEST, TABLES, Manifest, Part, shown, write_manifest
from collector.store.migrate import head
from collector.store.partitions import DAY_MS, PARTITIONED

COMPRESSION = 3
"""Of zlib's nine levels: numbers of a fleet shrink to a fifth already, and higher ones take the longer."""
Said = Callable[[str, int], None]
"""Told of each table that is done, and its number of rows."""


def export_to(engines: Engines, folder: Path, release: str, clock: Clock, said: Said) -> Manifest:
    """Write every table, then the manifest. Rows are streamed: memory does not grow with the database.

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
                for table in TABLES:
                    parts[table.name] = _export(snapshot, table, folder)
                    said(table.name, parts[table.name].rows)
        manifest = Manifest(head(), release, made_at_s, parts)
        write_manifest(folder, manifest)
    except OSError as error:
        raise StoreError(f"{folder} cannot be written to: {error.strerror or error}; {MANIFEST} is lacking") from error
    return manifest


def _export(connection: Connection, table: Table, folder: Path) -> Part:
    dialect = connection.dialect.name
    columns = ", ".join(shown(column, dialect) for column in table.columns)
    order = ", ".join(column.name for column in table.primary_key.columns)
    statement = f"SELECT {columns} FROM {table.name} ORDER BY {order}"
    write = _from_sqlite if dialect == "sqlite" else _from_postgres
    name = f"{table.name}.csv.gz"
    with (folder / name).open("xb") as raw, gzip.GzipFile("", "wb", COMPRESSION, raw, mtime=0) as file:
        rows = write(connection, statement, cast("BinaryIO", file))
    days = tuple(_days(connection, table)) if table in PARTITIONED else ()
    return Part(name, tuple(column.name for column in table.columns), rows, days)


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


def _days(connection: Connection, table: Table) -> list[int]:
    """The UTC days (start in ms) that rows are of, each found by one seek."""
    days: list[int] = []
    moment = next(iter(table.primary_key.columns))
    first = select(func.min(moment))
    at_ms = connection.execute(first).scalar()
    while at_ms is not None:
        days.append(at_ms // DAY_MS * DAY_MS)
        at_ms = connection.execute(first.where(moment >= days[-1] + DAY_MS)).scalar()
    return days
