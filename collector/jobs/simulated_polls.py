"""Polls of a simulated server in virtual time: its answers go through the real scraper, without a network between."""

from __future__ import annotations

import ssl as tls
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from analyzer.samples import GpuSample, Identity, ReplicaKey, ReplicaSample
from collector.errors import Kind, SourceError
from collector.jobs.sparse import Sparse
from collector.scrape.fetch import Response
from collector.scrape.limits import Limits
from collector.scrape.target import TargetScraper
from collector.servers import detect
from collector.simulator.scenarios import SimulatedReplica
from collector.simulator.site import Site
from collector.simulator.truth import Truth
from collector.simulator.workloads import Workload

ADDRESS = "http://simulated.invalid"
_NOT_IN_NVML = ("sm_active_ratio", "tensor_active_ratio", "dram_active_ratio")
"""Profiling counters, which plain NVML does not have: the readings are those of most GPUs."""


class SiteGetter:
    """Answers GETs from a simulated server's site."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def get(
        self,
        url: str,
        *,
        limits: Limits,
        headers: Mapping[str, str] | None = None,
        ssl: tls.SSLContext | bool = True,
        server_name: str | None = None,
        query: str | None = None,
    ) -> Response:
        """The site's answer at this instant. Raises SourceError for a path that it does not have."""
        parts = urlsplit(url)
        route = self._site.routes.get(parts.path)
        if route is None:
            raise SourceError(Kind.HTTP_STATUS, "HTTP 404: nothing at this path")
        names = parse_qs(parts.query if query is None else query).get("name[]")
        answer = route(None if names is None else frozenset(names))
        told = {name.lower(): value for name, value in answer.headers.items()}
        return Response(200, answer.body, answer.content_type.lower(), told, 0.0)


@dataclass(frozen=True, slots=True)
class Found:
    """What one poll says of a simulated server; `histograms` is empty at the polls that do not store them."""

    engine: str
    identity: Mapping[str, Any]
    process_start: str | None
    model: str
    rank: str
    fields: Mapping[str, float | None]
    histograms: Mapping[str, tuple[float, ...] | None]
    lumpy: frozenset[str]
    unreported: tuple[str, ...]

    def sample(self, target: str, epoch: int, at_s: float, interval_s: float) -> ReplicaSample:
        """The sample of this poll at unix time `at_s`."""
        key = ReplicaKey(target, self.model, self.rank)
        return ReplicaSample(key, epoch, at_s, interval_s, **self.fields, **self.histograms)  # type: ignore[arg-type]


class SimulatedPolls:
    """Polls of one simulated server, as the daemon makes them. `exclusive` as in `TargetScraper`."""

    def __init__(self, replica: SimulatedReplica, *, exclusive: bool) -> None:
        self._replica = replica
        url = ADDRESS + replica.site.page_path
        self._scraper = TargetScraper(url, SiteGetter(replica.site), detect, exclusive=exclusive)
        self._told: dict[str, Any] = {}
        self._sparse = Sparse()

    async def poll(self, virtual_s: float, interval_s: float) -> Found:
        """Lets the server run until then, and reads it. Raises SourceError for a page that cannot be read."""
        self._replica.server.advance(virtual_s)
        scrape = await self._scraper.scrape()
        if self._scraper.identity_due:
            self._told |= (await self._scraper.identify()).fields
            scrape = await self._scraper.scrape()
        spec, reading = self._scraper.spec, scrape.reading
        assert spec is not None
        (one,) = reading.replicas
        due = self._sparse.due(ReplicaKey(ADDRESS, one.model, one.rank), reading.process_start, virtual_s, interval_s)
        return Found(
            engine=spec.name,
            identity={"mixed_steps": spec.mixed_steps, **self._told, **one.identity},
            process_start=reading.process_start,
            model=one.model,
            rank=one.rank,
            fields=one.fields,
            histograms=reading.histograms()[one.model, one.rank] if due else {},
            lumpy=spec.at_request_end - one.live,
            unreported=reading.missing,
        )


@dataclass(frozen=True, slots=True)
class Watched:
    """What polls of one workload found, and what was true at each of them.

    `samples[i]` and `truths[i]` are of one instant; `gpus` are the readings of all its GPUs, one per poll and GPU
    from the second poll on, each covering the interval before it. An estimator gets everything but `truths`.
    """

    workload: Workload
    identity: Identity
    samples: tuple[ReplicaSample, ...]
    gpus: tuple[GpuSample, ...]
    lumpy: frozenset[str]
    unreported: tuple[str, ...]
    truths: tuple[Truth, ...]

    @property
    def first_gpu(self) -> list[GpuSample]:
        """The readings of one GPU: all of a simulated replica are equally busy."""
        return [one for one in self.gpus if one.uuid == self.gpus[0].uuid]

    @property
    def truth(self) -> Truth:
        """What happened between the first and the last sample."""
        return self.truths[-1] - self.truths[0]


async def watch(workload: Workload) -> Watched:
    """Runs a workload and polls it as the daemon would. Raises SourceError when a page of it cannot be read."""
    replica = workload.build()
    polls = SimulatedPolls(replica, exclusive=workload.exclusive)
    interval_s = workload.poll_interval_s
    samples: list[ReplicaSample] = []
    gpus: list[GpuSample] = []
    truths: list[Truth] = []
    number = 0
    while True:
        virtual_s = workload.warm_up_s + number * interval_s
        found = await polls.poll(virtual_s, interval_s)
        samples.append(found.sample(ADDRESS, 1, replica.started_unix_s + virtual_s, interval_s))
        truths.append(replica.server.truth())
        readings = replica.gpus.read(interval_s)
        if number:
            gpus += [
                GpuSample(**{**reading, **dict.fromkeys(_NOT_IN_NVML)})  # type: ignore[arg-type]
                for reading in readings
            ]
        number += 1
        if number * interval_s > workload.span_s:
            break
    return Watched(
        workload=workload,
        identity=Identity(found.engine, **found.identity),
        samples=tuple(samples),
        gpus=tuple(gpus),
        lumpy=found.lumpy,
        unreported=found.unreported,
        truths=tuple(truths),
    )
