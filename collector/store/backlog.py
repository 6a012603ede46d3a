"""A store as a queue: its oldest samples are read in order of time, and taken away once another store has them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, delete, func, select

from analyzer.samples import GpuSample, Identity, ReplicaKey, ReplicaSample
from collector.store.codec import Row, gpu_sample, replica_sample
from collector.store.engine import Engines
from collector.store.identity import identity_of
from collector.store.retention import shrink, used_bytes
from collector.store.schema import (
    epochs,
    gpu_samples,
    gpus,
    replica_samples,
    replicas,
    stale_buckets,
    stale_hours,
)

DROPPED_AT_ONCE = 500
"""About so many of the oldest samples go at once while there are too many."""
_QUEUED = (replica_samples, gpu_samples)


@dataclass(frozen=True, slots=True)
class Held:
    """A sample that waits, with what another store must know to find or make its epoch."""

    sample: ReplicaSample
    job: str | None
    identity: Identity
    process_start: str | None


@dataclass(frozen=True, slots=True)
class Oldest:
    """The samples of the oldest ticks, oldest first; `keys` are those of their rows, by table."""

    replicas: tuple[Held, ...]
    gpus: tuple[GpuSample, ...]
    keys: tuple[tuple[tuple[int, int], ...], ...]


class Backlog:
    """The samples of a SQLite store as a queue. Raises StoreError."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines

    def count(self) -> int:
        """How many samples wait."""
        return self._engines.read(lambda connection: sum(_count(connection, table) for table in _QUEUED))

    def oldest_s(self) -> float | None:
        """The tick of the oldest sample (unix time); None when none waits."""
        ticks = self._engines.read(lambda connection: [_first(connection, table) for table in _QUEUED])
        return min((tick / 1000 for tick in ticks if tick is not None), default=None)

    def used_bytes(self) -> int:
        """Bytes of the file's pages in use."""
        return used_bytes(self._engines)

    def oldest(self, count: int) -> Oldest:
        """About `count` samples of whole ticks from the old end; none when none waits."""
        return self._engines.read(lambda connection: _oldest(connection, count))

    def remove(self, taken: Oldest) -> None:
        """Take away exactly these: what came meanwhile for the same ticks stays."""

        def work(connection: Connection) -> None:
            for table, keys in zip(_QUEUED, taken.keys, strict=True):
                if keys:
                    moment, member = table.primary_key.columns.keys()
                    statement = f"DELETE FROM {table.name} WHERE {moment} = ? AND {member} = ?"
                    connection.exec_driver_sql(statement, list(keys))

        self._engines.write(work)

    def drop_beyond(self, max_bytes: int) -> int:
        """Drop the oldest samples until the file's pages in use fit into so many bytes; how many went."""
        dropped = 0
        while used_bytes(self._engines) > max_bytes:
            gone = self._engines.write(_drop_some)
            dropped += gone
            if gone == 0:
                break
        return dropped

    def clear(self) -> None:
        """Forget all that is in the file and give its space back to the disk."""

        def work(connection: Connection) -> None:
            for table in (*_QUEUED, stale_buckets, stale_hours, epochs, replicas, gpus):
                connection.execute(delete(table))

        self._engines.write(work)
        shrink(self._engines)


def _count(connection: Connection, table: Table) -> int:
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def _first(connection: Connection, table: Table) -> int | None:
    return connection.execute(select(func.min(table.c.tick_ms))).scalar()


def _last_tick(connection: Connection, count: int) -> int | None:
    """The tick by which one of the tables has so many samples; None when both have fewer."""
    found = [
        connection.execute(select(table.c.tick_ms).order_by(table.c.tick_ms).offset(count - 1).limit(1)).scalar()
        for table in _QUEUED
    ]
    return min((tick for tick in found if tick is not None), default=None)


def _oldest(connection: Connection, count: int) -> Oldest:
    until_ms = _last_tick(connection, count)
    samples, readings = (_rows(connection, table, until_ms) for table in _QUEUED)
    known = _epochs(connection)
    named = {row.id: (row.uuid, row.name) for row in connection.execute(select(gpus))}
    held = [
        Held(replica_sample(row, key), job, identity, process_start)
        for row in samples
        for key, job, identity, process_start in [known[row[1]]]
    ]
    gpus_held = [gpu_sample(row, *named[row[1]]) for row in readings]
    return Oldest(tuple(held), tuple(gpus_held), (_keys(samples), _keys(readings)))


def _rows(connection: Connection, table: Table, until_ms: int | None) -> list[Any]:
    found = select(table).order_by(*table.primary_key.columns)
    return list(connection.execute(found if until_ms is None else found.where(table.c.tick_ms <= until_ms)))


def _keys(rows: Iterable[Row]) -> tuple[tuple[int, int], ...]:
    return tuple((row[0], row[1]) for row in rows)


def _epochs(connection: Connection) -> dict[int, tuple[ReplicaKey, str | None, Identity, str | None]]:
    rows = connection.execute(
        select(epochs, replicas.c.target, replicas.c.model, replicas.c.rank, replicas.c.job).join(replicas)
    )
    return {
        row.id: (ReplicaKey(row.target, row.model, row.rank), row.job, identity_of(row.identity), row.process_start)
        for row in rows
    }


def _drop_some(connection: Connection) -> int:
    until_ms = _last_tick(connection, DROPPED_AT_ONCE)
    gone = 0
    for table in _QUEUED:
        some = delete(table) if until_ms is None else delete(table).where(table.c.tick_ms <= until_ms)
        gone += connection.execute(some).rowcount
    return gone
