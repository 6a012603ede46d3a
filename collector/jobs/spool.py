"""Samples on disk while the database is away: put there as they come, handed on oldest first, bounded in bytes.

They lie in a SQLite file with the store's own tables, so that they outlive the process, survive its being killed,
and are upgraded with it. When the file is full, the oldest are dropped: what is newest says most about now.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from analyzer.samples import GpuSample, ReplicaSample
from collector.clock import Clock
from collector.errors import DiskLowError, StoreError
from collector.health import SpoolHealth
from collector.jobs.disk import NO_WATERMARK, DiskGuard, Watermark
from collector.jobs.epochs import EpochBook
from collector.jobs.polled import Polled
from collector.jobs.worker import Worker
from collector.logs import event
from collector.store import Held, Oldest, Store

BATCH_SAMPLES = 2_000
"""So many are handed on at once, in one transaction of the database."""
CHUNK_SAMPLES = 1_000
"""So many are written before the file's size is looked at: about a quarter of a megabyte."""
LOG_BYTES = 8 * 1024 * 1024
"""Kept free of the bound for SQLite's write-ahead log, which has half of it, and for one chunk."""
T = TypeVar("T")
_log = logging.getLogger("breakeven.store")
_VALUES = [one.name for one in fields(ReplicaSample) if one.name not in ("replica", "epoch", "at_s", "interval_s")]


@dataclass(frozen=True, slots=True)
class _Level:
    """How full the file is after a change."""

    used_bytes: int
    oldest_s: float | None


class Spool:
    """The queue on disk, with a thread of its own: a database that hangs must not hold it up. Raises StoreError.

    `health` says how full it is and what went through it; it is written on the event loop alone.
    """

    def __init__(self, store: Store, max_bytes: int, clock: Clock, watermark: Watermark) -> None:
        self._store = store
        self._guard = DiskGuard(store, watermark)
        self._max_bytes = max_bytes - LOG_BYTES
        self._clock = clock
        self._book = EpochBook(store)
        self._worker = Worker("spool")
        self.health = SpoolHealth(max_bytes=self._max_bytes, waiting=store.backlog.count())
        self._show(self._look())

    @classmethod
    def open(cls, path: Path, max_bytes: int, clock: Clock, watermark: Watermark = NO_WATERMARK) -> Spool:
        """The spool in a file, with what an earlier run left there. Raises StoreError."""
        try:
            return cls(Store.open(str(path), clock), max_bytes, clock, watermark)
        except StoreError as error:
            remedy = "name another file as storage.spool.path, or go without with storage.spool.max_bytes: 0"
            raise StoreError(f"the spool: {error}; {remedy}") from error

    @property
    def set_aside(self) -> Path | None:
        """Where an unusable file went that a fresh one replaced."""
        return self._store.set_aside

    @property
    def empty(self) -> bool:
        """Whether nothing waits."""
        return self.health.oldest_s is None

    async def put(self, replicas: Sequence[Polled], gpus: Sequence[GpuSample]) -> int:
        """Keep samples; how many older ones had to go for them. Doing it again does no harm."""
        gone = 0
        for begin in range(0, max(len(replicas), len(gpus)), CHUNK_SAMPLES):
            some = slice(begin, begin + CHUNK_SAMPLES)
            new, dropped, level = await self._run(self._put, replicas[some], gpus[some])
            self.health.spooled += new
            self.health.waiting += new - dropped
            self._show(level)
            gone += dropped
        return gone

    async def oldest(self) -> Oldest:
        """The next samples to hand on; they stay until `done`."""
        return await self._run(self._store.backlog.oldest, BATCH_SAMPLES)

    async def done(self, taken: Oldest) -> None:
        """The database has these now."""
        level = await self._run(self._done, taken)
        count = sum(map(len, taken.keys))
        self.health.replayed += count
        self.health.waiting -= count
        self._show(level)

    def close(self, limit_s: float) -> bool:
        """Let what is in hand end, for at most `limit_s`; whether it did."""
        ended = self._worker.close(limit_s)
        if ended:
            self._store.close()
        return ended

    async def _run(self, call: Callable[..., T], *arguments: Any) -> T:
        started_s = self._clock.monotonic_s()
        try:
            result = await self._worker.run(call, *arguments)
        except StoreError as error:
            reason = "disk_nearly_full" if isinstance(error, DiskLowError) else "spool_failed"
            self.health.failed(self._clock.wall_s(), reason, str(error))
            event(_log, logging.ERROR, "the spool cannot be used", about="spool", error=error)
            raise
        finally:
            self.health.disk = self._guard.health
        self.health.succeeded(self._clock.wall_s(), self._clock.monotonic_s() - started_s)
        return result

    def _put(self, replicas: Sequence[Polled], gpus: Sequence[GpuSample]) -> tuple[int, int, _Level]:
        self._guard.require_room()
        samples = [
            one.sample(self._book.epoch(one.replica, one.identity, one.process_start, one.job, one.at_s))
            for one in replicas
        ]
        new = self._store.writer.append(samples, gpus).new
        dropped = self._store.backlog.drop_beyond(self._max_bytes)
        return new, dropped, self._look()

    def _done(self, taken: Oldest) -> _Level:
        self._store.backlog.remove(taken)
        if self._store.backlog.oldest_s() is None:
            self._book.forget()
            self._store.writer.forget()
            self._store.backlog.clear()
        return self._look()

    def _look(self) -> _Level:
        return _Level(self._store.backlog.used_bytes(), self._store.backlog.oldest_s())

    def _show(self, level: _Level) -> None:
        self.health.used_bytes, self.health.oldest_s = level.used_bytes, level.oldest_s
        if level.oldest_s is None:
            self.health.waiting = 0


def polled_again(held: Held) -> Polled:
    """A sample from the spool as the poll found it, as far as the database wants to know."""
    sample = held.sample
    return Polled(
        replica=sample.replica,
        job="" if held.job is None else held.job,
        identity=held.identity,
        process_start=held.process_start,
        tick_s=sample.at_s,
        at_s=sample.at_s,
        interval_s=sample.interval_s,
        fields={name: getattr(sample, name) for name in _VALUES},
    )
