"""Collects what the polls found and writes it in batches on the writer's thread; a failed write is tried again.

With a spool, what the database does not take goes there at once, and from there, oldest first, to the database once
it answers again; while anything waits there, what is new waits behind it, so the order is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from analyzer.samples import GpuSample, ReplicaSample
from collector.clock import Clock
from collector.errors import DiskLowError, SchemaTooNewError, StoreError, UnknownEpochError
from collector.health import DaemonHealth, Lost
from collector.jobs.disk import NO_WATERMARK, DiskGuard, Watermark
from collector.jobs.epochs import EpochBook
from collector.jobs.polled import Polled, Roster
from collector.jobs.spool import Spool, polled_again
from collector.jobs.worker import Worker
from collector.logs import event
from collector.store import Appended, Oldest, Store

FLUSH_S = 5.0
"""Larger batches write less: at one second a flush rewrites the same page again and again."""
BUFFER_SAMPLES = 20_000
"""At most this many samples, two kilobytes each, wait in memory; then the oldest are dropped and counted."""
ANSWER_S = 10.0
"""So long a write may take before its samples go to the spool as well, should the database never answer."""
REPLAY_S = 5.0
"""So long one flush hands on what is on the spool; the rest is the next one's."""
_log = logging.getLogger("breakeven.store")
T = TypeVar("T")
_Written = tuple[list[ReplicaSample], Appended]
"""Samples with their epochs, and how many of them and of the GPUs' were new to the database."""


class Sink:
    """The way of samples into the store. All calls but the writes themselves run on the event loop."""

    def __init__(
        self,
        store: Store,
        worker: Worker,
        roster: Roster,
        health: DaemonHealth,
        clock: Clock,
        spool: Spool | None = None,
        watermark: Watermark = NO_WATERMARK,
    ) -> None:
        self._store = store
        self._worker = worker
        self._roster = roster
        self._health = health
        self._clock = clock
        self._spool = spool
        self._guard = DiskGuard(store, watermark)
        self._book = EpochBook(store)
        self._replicas: deque[Polled] = deque()
        self._gpus: deque[GpuSample] = deque()
        self._turn = asyncio.Lock()
        self._more = False
        """Whether the database takes what is on the spool, and more is there."""
        self._late: tuple[asyncio.Future[Any], Callable[[Any], Awaitable[None]]] | None = None
        """A call that took too long, and what to do with its answer: no other is begun before it ends."""

    def put(self, target: str, polled: list[Polled]) -> None:
        """Take what a poll of one target found: replicas that its page no longer shows are gone."""
        self._roster.show(target, polled)
        self._replicas.extend(polled)
        self._shed(self._replicas)

    def newest_s(self, target: str) -> float | None:
        """When the newest poll of a target that is known was sent, be it by an earlier run; None for none."""
        return self._roster.newest_s(target)

    def put_gpus(self, samples: list[GpuSample]) -> None:
        """Take GPU readings."""
        self._gpus.extend(samples)
        self._shed(self._gpus)

    def _shed(self, waiting: deque[Polled] | deque[GpuSample]) -> None:
        why = Lost.DISK_NEARLY_FULL if self._health.disk_nearly_full else Lost.QUEUE_FULL
        while len(waiting) > BUFFER_SAMPLES:
            waiting.popleft()
            self._health.samples_dropped[why] += 1

    async def run(self) -> None:
        """Write every few seconds until cancelled; at once while the spool is being emptied."""
        while True:
            if not self._more:
                await asyncio.sleep(FLUSH_S)
            await self.flush()

    async def flush(self) -> None:
        """Write all that waits. What could not be written waits on, in order. Several callers take turns."""
        async with self._turn:
            await self._with_what_waits(self._deliver)

    async def save(self) -> None:
        """At the end: put on the spool what the database has not taken; without a spool it is lost."""
        if self._spool is not None:
            async with self._turn:
                await self._with_what_waits(self._to_spool)

    async def _with_what_waits(self, go: Callable[[list[Polled], list[GpuSample]], Awaitable[None]]) -> None:
        replicas, gpus = list(self._replicas), list(self._gpus)
        self._replicas.clear()
        self._gpus.clear()
        try:
            await go(replicas, gpus)
        except BaseException as error:
            # Whoever is cancelled here cannot tell whether they were written; a second time does no harm.
            self._replicas.extendleft(reversed(replicas))
            self._gpus.extendleft(reversed(gpus))
            self._shed(self._replicas)
            self._shed(self._gpus)
            if not isinstance(error, StoreError):
                raise

    async def _deliver(self, replicas: list[Polled], gpus: list[GpuSample]) -> None:
        self._more = False
        if self._spool is None:
            await self._to_database(replicas, gpus)
        elif self._spool.empty:
            try:
                await self._to_database(replicas, gpus)
            except StoreError:
                await self._to_spool(replicas, gpus)
        else:
            try:
                await self._to_spool(replicas, gpus)
            except StoreError:
                # Out of order, but not lost.
                await self._to_database(replicas, gpus)
            await self._replay(self._spool)

    async def _replay(self, spool: Spool) -> None:
        """Hand on what is on the spool until it is empty, the database fails, or others have waited long enough."""
        until_s = self._clock.monotonic_s() + REPLAY_S
        with contextlib.suppress(StoreError):  # both sides have said so
            if not self._health.store.up:
                await self._asked(self._store.reach, _nothing)
            while not spool.empty:
                if self._clock.monotonic_s() > until_s:
                    self._more = True
                    break
                taken = await spool.oldest()
                await self._to_database(list(map(polled_again, taken.replicas)), taken.gpus, taken)

    async def _to_spool(self, replicas: list[Polled], gpus: list[GpuSample]) -> None:
        if not replicas and not gpus:
            return
        assert self._spool is not None
        gone = await self._spool.put(replicas, gpus)
        if gone > 0:
            self._health.samples_dropped[Lost.SPOOL_FULL] += gone
            event(
                _log, logging.ERROR, "the spool is full; its oldest samples were dropped", about="spool", dropped=gone
            )

    async def _to_database(
        self, replicas: Sequence[Polled], gpus: Sequence[GpuSample], taken: Oldest | None = None
    ) -> None:
        """Write in one transaction; `taken` is what of this is on the spool. Raises StoreError."""
        if replicas or gpus:
            await self._asked(partial(self._write, replicas, gpus), partial(self._took, taken))

    async def _asked(self, call: Callable[[], T], then: Callable[[T], Awaitable[None]]) -> None:
        """Ask the database on the writer's thread, and go on with what it said. Raises StoreError, told and logged."""
        started_s = self._clock.monotonic_s()
        try:
            answer = await self._answered(call, then)
        except StoreError as error:
            self._health.store.failed(self._clock.wall_s(), self._reason(error), str(error))
            where = "memory" if self._spool is None else "the spool"
            event(
                _log, logging.ERROR, f"samples could not be written; they wait in {where}", about="store", error=error
            )
            raise
        finally:
            self._health.disk = self._guard.health
        self._health.store.succeeded(self._clock.wall_s(), self._clock.monotonic_s() - started_s)
        await then(answer)

    def _reason(self, error: StoreError) -> str:
        if isinstance(error, DiskLowError):
            return "disk_nearly_full"
        if isinstance(error, SchemaTooNewError):
            return "schema_too_new"
        return "no_answer" if self._late is not None else "write_failed"

    async def _answered(self, call: Callable[[], T], then: Callable[[T], Awaitable[None]]) -> T:
        """Wait for an answer as long as it is worth; with a late one `then` goes on before the next call.

        Raises StoreError.
        """
        if self._late is not None:
            late, go_on = self._late
            if not late.done():
                raise StoreError("the database has still not answered")
            self._late = None
            if not late.cancelled() and late.exception() is None:
                await go_on(late.result())
        answer = asyncio.ensure_future(self._worker.run(call))
        try:
            await asyncio.wait({answer}, timeout=None if self._spool is None else ANSWER_S)
        except asyncio.CancelledError:
            answer.cancel()
            raise
        if answer.done():
            return answer.result()
        self._late = answer, then
        # At the daemon's end nobody asks any longer what became of it.
        answer.add_done_callback(lambda late: late.cancelled() or late.exception())
        raise StoreError(f"the database has not answered for {ANSWER_S:g} s")

    async def _took(self, taken: Oldest | None, written: _Written) -> None:
        samples, appended = written
        known = self._roster.polled
        self._roster.epochs.update({one.replica: one.epoch for one in samples if one.replica in known})
        self._health.samples_written += appended.new
        self._health.samples_duplicate += appended.duplicates
        if taken is not None and self._spool is not None:
            await self._spool.done(taken)

    def _write(self, replicas: Sequence[Polled], gpus: Sequence[GpuSample]) -> _Written:
        """Runs on the writer's thread: give each replica its epoch, then append everything in one transaction."""
        self._store.prepare()
        self._guard.require_room()
        try:
            return self._append(replicas, gpus)
        except UnknownEpochError:
            # The database was replaced, or has forgotten a replica that was away for long.
            self._book.forget()
            self._store.writer.forget()
            return self._append(replicas, gpus)

    def _append(self, replicas: Sequence[Polled], gpus: Sequence[GpuSample]) -> _Written:
        samples = []
        for one in replicas:
            epoch = self._book.epoch(one.replica, one.identity, one.process_start, one.job, one.at_s)
            samples.append(one.sample(epoch))
        return samples, self._store.writer.append(samples, gpus)


async def _nothing(_answer: object) -> None:
    pass
