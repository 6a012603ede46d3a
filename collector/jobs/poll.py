"""Polls one target: what its page says to the sink, how it went to the health; a failed poll leaves no data."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from operator import is_
from typing import Any

from analyzer.samples import Identity, ReplicaKey
from collector.clock import Clock
from collector.errors import Kind, SourceError
from collector.health import TargetHealth
from collector.jobs.failed_polls import note_failure
from collector.jobs.joins import GpuJoins
from collector.jobs.polled import Polled
from collector.jobs.scraper import GpuPageError
from collector.jobs.sink import Sink
from collector.jobs.sparse import Sparse
from collector.jobs.standstill import Standstill
from collector.jobs.stretches import Stretches
from collector.jobs.targets import Target
from collector.jobs.ticks import aligned
from collector.logs import event
from collector.scrape.bare import BareEngine, BareScraper
from collector.scrape.reading import PageReading, ReplicaReading, fell
from collector.scrape.spec import EngineSpec
from collector.scrape.target import TargetScraper
from collector.scrape.told import Scrape

_log = logging.getLogger("breakeven.poll")


class PollTarget:
    """One target's polls."""

    __slots__ = (
        "_clock",
        "_health",
        "_joins",
        "_known",
        "_last",
        "_process_start",
        "_scraper",
        "_sink",
        "_sparse",
        "_standstill",
        "_stretches",
        "_target",
    )

    def __init__(
        self,
        target: Target,
        scraper: TargetScraper | BareScraper,
        sink: Sink,
        health: TargetHealth,
        clock: Clock,
        joins: GpuJoins | None = None,
        newest_s: float | None = None,
    ) -> None:
        """Without `joins`, only the target's own label joins GPUs to its replicas.

        `newest_s` is when the newest poll of an earlier run was sent, None for none.
        """
        self._joins = GpuJoins() if joins is None else joins
        self._target = target
        self._scraper = scraper
        self._sink = sink
        self._health = health
        self._clock = clock
        self._known: dict[str, Any] = {}
        self._sparse = Sparse()
        self._standstill = Standstill()
        self._stretches = Stretches(target.interval_s, newest_s)
        self._process_start: str | None = None
        self._last: dict[tuple[str, str], _Former] = {}

    async def run(self) -> None:
        """Poll once. Raises GpuPageError when the page turns out to be an exporter's."""
        at_s, started_s = self._clock.wall_s(), self._clock.monotonic_s()
        was_up = self._health.up
        try:
            scrape = await self._scrape()
            polled = self._polled(scrape, self._clock.wall_s() - scrape.age_s)
        except GpuPageError:
            raise
        except Exception as error:  # noqa: BLE001 - not even a bug ends the loop; it is counted and logged
            note_failure(self._target, self._health, error, at_s, self._clock.monotonic_s() - started_s)
            return
        self._health.succeeded(at_s, scrape.duration_s)
        self._health.engine = scrape.engine
        self._health.samples, self._health.body_bytes = scrape.samples, scrape.size_bytes
        self._health.unreported = scrape.reading.missing
        for note in scrape.notes:
            event(_log, logging.DEBUG, "endpoint not read", about=self._target.url, note=note)
        if not was_up:
            event(_log, logging.INFO, "target is up", about=self._target.url, engine=scrape.engine)
        self._sink.put(self._target.url, polled)

    async def _scrape(self) -> Scrape:
        """The page, read knowing who the server is: the first page of a process is asked for again."""
        scrape = await self._scraper.scrape()
        if not self._scraper.identity_due:
            return scrape
        told = await self._scraper.identify()
        for note in told.notes:
            event(_log, logging.DEBUG, "identity not told", about=self._target.url, note=note)
        scrape = await self._scraper.scrape()
        if scrape.reading.process_start != self._process_start:
            self._known = {}
        # An endpoint that does not answer this time must not look like a change of the model.
        self._known = {**self._known, **told.fields}
        self._process_start = scrape.reading.process_start
        return scrape

    def _polled(self, scrape: Scrape, sent_s: float) -> list[Polled]:
        spec = self._scraper.spec
        assert spec is not None
        now_s, start = self._clock.monotonic_s(), scrape.reading.process_start
        still_s = self._standstill.lasts_s(scrape.reading.replicas, spec.at_request_end, now_s)
        if still_s is not None and still_s >= self._target.job.frozen_after:
            text = (
                f"requests run, and no counter has moved for {still_s:.0f} s: the page is frozen, or the server hangs"
            )
            raise SourceError(Kind.FROZEN, text)
        join = self._joins.of(self._target)
        self._health.gpu_uuids, self._health.gpu_join = join.uuids, join.source
        mark = self._stretches.mark(sent_s, now_s - scrape.age_s)
        beside = (sent_s, " ".join(filter(None, (start, mark))) or None, join.uuids)
        found = [self._one(spec, scrape.reading, replica, *beside) for replica in scrape.reading.replicas]
        if len(self._last) > len(found):
            shown = {(one.model, one.rank) for one in scrape.reading.replicas}
            self._last = {replica: former for replica, former in self._last.items() if replica in shown}
            self._sparse.keep(one.replica for one in found)
        due = [one for one in found if self._sparse.due(one.replica, start, now_s, self._target.interval_s)]
        if not due:
            return found
        histograms = scrape.reading.histograms()
        return [
            replace(one, histograms=histograms.get((one.replica.model, one.replica.rank), {})) if one in due else one
            for one in found
        ]

    def _one(
        self,
        spec: EngineSpec | BareEngine,
        reading: PageReading,
        replica: ReplicaReading,
        sent_s: float,
        process_start: str | None,
        gpu_uuids: tuple[str, ...],
    ) -> Polled:
        target, start = self._target, reading.process_start
        former = self._last.get((replica.model, replica.rank))
        if former is None:
            key = ReplicaKey(target.url, replica.model, replica.rank)
        else:
            key = former.key
            if former.process_start == start and fell(former.fields, replica.fields, spec.monotone):
                self._health.anomalies += 1
                event(_log, logging.WARNING, "a counter fell without a restart", about=target.url, reason="anomaly")
        told = (spec, self._known, replica.identity)
        if former is not None and all(map(is_, former.told, told)):
            identity = former.identity
        else:
            identity = Identity(spec.name, **{"mixed_steps": spec.mixed_steps, **self._known, **replica.identity})
        self._last[replica.model, replica.rank] = _Former(key, start, replica.fields, told, identity)
        alone = len(reading.replicas) == 1
        return Polled(
            replica=key,
            job=target.job.job_name,
            identity=identity,
            process_start=process_start,
            tick_s=aligned(sent_s, target.interval_s),
            at_s=sent_s,
            interval_s=target.interval_s,
            fields=replica.fields,
            simulated=target.simulated,
            lumpy=_lumpy(spec.at_request_end, replica.live),
            unreported=reading.missing if alone else tuple([n for n, value in replica.fields.items() if value is None]),
            gpu_uuids=gpu_uuids,
        )


@lru_cache(maxsize=64)
def _lumpy(at_request_end: frozenset[str], live: frozenset[str]) -> frozenset[str]:
    """One set for all replicas of an engine."""
    return at_request_end - live


@dataclass(frozen=True, slots=True)
class _Former:
    """A replica at the poll before: `told` is what its identity was made from, each the very object."""

    key: ReplicaKey
    process_start: str | None
    fields: Mapping[str, float | None]
    told: tuple[EngineSpec | BareEngine, Mapping[str, Any], Mapping[str, Any]]
    identity: Identity
