"""Collects what the polls found and writes it in batches on the writer's thread; a failed write is tried again."""

from __future__ import annotations

import asyncio
import logging
from collections import deque

from analyzer.samples import GpuSample, ReplicaSample
from collector.clock import Clock
from collector.errors import StoreError, UnknownEpochError
from collector.health import DaemonHealth
from collector.jobs.epochs import EpochBook
from collector.jobs.polled import Polled, Roster
from collector.jobs.worker import Worker
from collector.logs import event
from collector.store import Store

FLUSH_S = 5.0
"""Larger batches write less: at one second a flush rewrites the same page again and again."""
BUFFER_SAMPLES = 200_000
"""At most this many samples wait for the database; then the oldest are dropped and counted."""
_log = logging.getLogger("breakeven.store")


class Sink:
    """The way of samples into the store. All calls but the writes themselves run on the event loop."""

    def __init__(self, store: Store, worker: Worker, roster: Roster, health: DaemonHealth, clock: Clock) -> None:
        self._store = store
        self._worker = worker
        self._roster = roster
        self._health = health
        self._clock = clock
        self._book = EpochBook(store)
        self._replicas: deque[Polled] = deque()
        self._gpus: deque[GpuSample] = deque()
        self._turn = asyncio.Lock()

    def put(self, target: str, polled: list[Polled]) -> None:
        """Take what a poll of one target found: replicas that its page no longer shows are gone."""
        self._roster.show(target, polled)
        self._replicas.extend(polled)
        self._shed(self._replicas)

    def put_gpus(self, samples: list[GpuSample]) -> None:
        """Take GPU readings."""
        self._gpus.extend(samples)
        self._shed(self._gpus)

    def _shed(self, waiting: deque[Polled] | deque[GpuSample]) -> None:
        while len(waiting) > BUFFER_SAMPLES:
            waiting.popleft()
            self._health.samples_dropped += 1

    async def run(self) -> None:
        """Write every few seconds until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_S)
            await self.flush()

    async def flush(self) -> None:
        """Write all that waits. What could not be written waits on, in order. Several callers take turns."""
        async with self._turn:
            await self._flush()

    async def _flush(self) -> None:
        replicas, gpus = list(self._replicas), list(self._gpus)
        if not replicas and not gpus:
            return
        self._replicas.clear()
        self._gpus.clear()
        started_s = self._clock.monotonic_s()
        try:
            samples = await self._worker.run(self._write, replicas, gpus)
        except BaseException as error:
            # Whoever is cancelled here cannot tell whether they were written; a second time does no harm.
            self._replicas.extendleft(reversed(replicas))
            self._gpus.extendleft(reversed(gpus))
            self._shed(self._replicas)
            self._shed(self._gpus)
            if not isinstance(error, StoreError):
                raise
            self._health.store.failed(self._clock.wall_s(), "write_failed", str(error))
            event(_log, logging.ERROR, "samples could not be written; they wait", about="store", error=error)
            return
        known = self._roster.polled
        self._roster.epochs.update({one.replica: one.epoch for one in samples if one.replica in known})
        self._health.samples_written += len(replicas) + len(gpus)
        self._health.store.succeeded(self._clock.wall_s(), self._clock.monotonic_s() - started_s)

    def _write(self, replicas: list[Polled], gpus: list[GpuSample]) -> list[ReplicaSample]:
        """Runs on the writer's thread: give each replica its epoch, then append everything in one transaction."""
        try:
            return self._append(replicas, gpus)
        except UnknownEpochError:
            # The database was replaced, or has forgotten a replica that was away for long.
            self._book.forget()
            self._store.writer.forget()
            return self._append(replicas, gpus)

    def _append(self, replicas: list[Polled], gpus: list[GpuSample]) -> list[ReplicaSample]:
        samples = []
        for one in replicas:
            epoch = self._book.epoch(one.replica, one.identity, one.process_start, one.job, one.at_s)
            samples.append(one.sample(epoch))
        self._store.writer.append(samples, gpus)
        return samples
