"""What is seen of a daemon in a soak: its memory, descriptors and threads, and which samples its database holds."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collector.store.engine import open_engines, read_only
from tests.bench.proc import resident_bytes, usage


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

    def work(connection: Any) -> Kept:
        told = connection.exec_driver_sql(
            "SELECT target, kv_usage_ppm, epoch_id, tick_ms, offset_us FROM replica_samples"
            " JOIN epochs ON epochs.id = epoch_id JOIN replicas ON replicas.id = replica_id"
        ).fetchall()
        rows = frozenset(Row(target, page, (epoch, tick_ms, off_us)) for target, page, epoch, tick_ms, off_us in told)
        return Kept(rows, len(told), connection.exec_driver_sql("SELECT count(*) FROM gpu_samples").scalar_one())

    # No connection stays: those to Postgres are struck like the daemon's own.
    with closing(read_only(open_engines(url))) as engines:
        return engines.read(work)


def integrity(path: Path) -> str:
    """SQLite's own word on a file."""
    with closing(sqlite3.connect(path)) as connection:
        return str(connection.execute("PRAGMA integrity_check").fetchone()[0])


def quarter(seen: Sequence[Seen], number: int) -> Sequence[Seen]:
    """The looks of one quarter (0..3) of the time."""
    return seen[len(seen) * number // 4 : len(seen) * (number + 1) // 4]
