"""What is seen of a daemon in a soak: its memory, descriptors and threads, and which samples its database holds."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, select

from collector.store.blocks import unpacked
from collector.store.engine import open_engines, read_only
from collector.store.grid import grid_rows
from collector.store.read import replica_of_epoch
from collector.store.schema import BLOCKS, gpu_samples, replica_samples
from tests.bench.proc import resident_bytes, usage

_PAGE = replica_samples.columns.keys().index("kv_usage_ppm")


@dataclass(frozen=True, slots=True)
class Row:
    """A stored sample: the server's URL, the number of the page that it came from, and its key in the database."""

    target: str
    page: int
    key: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Kept:
    """All that a database holds."""

    rows: frozenset[Row]
    count: int
    """Of samples of replicas."""
    gpu_readings: int


@dataclass(frozen=True, slots=True)
class Seen:
    """One look at the daemon: resident memory, its children's, processor time of all, descriptors and threads."""

    at_s: float
    resident_bytes: float
    children_bytes: float
    cpu_s: float
    descriptors: int
    threads: int


def look(process_id: int, at_s: float) -> Seen:
    """What it uses now."""
    used, own = usage(process_id), resident_bytes(process_id)
    descriptors, threads = (len(os.listdir(f"/proc/{process_id}/{name}")) for name in ("fd", "task"))
    return Seen(at_s, own, used.resident_bytes - own, used.cpu_s, descriptors, threads)


def kept(url: str) -> Kept:
    """What the database holds now. Raises StoreError while it does not answer."""

    def work(connection: Connection) -> Kept:
        targets = {epoch: key.target for epoch, key in replica_of_epoch(connection).items()}
        rows = {
            Row(targets[row[1]], row[_PAGE], (row[1], row[0], row[2]))
            for row in _all(connection, replica_samples)
            if row[1] in targets
        }
        keys = {(row.key[0], row.key[1]) for row in rows}
        return Kept(frozenset(rows), len(keys), len({(row[0], row[1]) for row in _all(connection, gpu_samples)}))

    # No connection stays: those to Postgres are struck like the daemon's own.
    with closing(read_only(open_engines(url))) as engines:
        return engines.read(work)


def _all(connection: Connection, table: Table) -> Iterator[Sequence[Any]]:
    """Every row, those of the table before sealed ones: one that is sealed meanwhile may come twice."""
    yield from connection.execution_options(stream_results=True).execute(select(table))
    for block in grid_rows(connection, BLOCKS[table.name], 0, 2**62):
        yield from unpacked(table, block)


def integrity(path: Path) -> str:
    """SQLite's own word on a file."""
    with closing(sqlite3.connect(path)) as connection:
        return str(connection.execute("PRAGMA integrity_check").fetchone()[0])


def quarter(seen: Sequence[Seen], number: int) -> Sequence[Seen]:
    """The looks of one quarter (0..3) of the time."""
    return seen[len(seen) * number // 4 : len(seen) * (number + 1) // 4]
