"""Days of one simulated server in virtual time, stored as those of several replicas, and judged as the daemon does."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain, takewhile

import numpy as np

from analyzer.report import Report
from analyzer.samples import Identity, ReplicaKey
from collector.jobs.analyse import Analyse
from collector.jobs.polled import Polled, Roster
from collector.jobs.simulated_polls import SimulatedPolls
from collector.settings.load import parse_settings
from collector.simulator.dialects import DIALECTS
from collector.simulator.gpus import SimulatedGpus
from collector.simulator.scenarios import ReplicaSpec, SimulatedReplica, facts
from collector.simulator.server import SimulatedServer
from collector.simulator.traffic import Arrival
from collector.simulator.workloads import Workload
from collector.store import Store

HOUR_S = 3600.0
POLL_S = 120.0


def server_of(
    workload: Workload, begin_s: float, later: Workload | None = None, later_s: float = 0.0
) -> SimulatedReplica:
    """The workload's server; from virtual time `later_s` on it gets the other workload's requests."""
    spec = ReplicaSpec(
        "simulated", "days", workload.model, workload.gpu, workload.tensor_parallel, 0, 0, workload.settings,
        workload.traffic, workload.law, workload.dialect,
    )  # fmt: skip

    def arrivals() -> Iterator[Arrival]:
        first = workload.traffic.arrivals(np.random.default_rng(1))
        if later is None:
            return first
        second = later.traffic.arrivals(np.random.default_rng(2))
        moved = (replace(one, at_s=one.at_s + later_s) for one in second)
        return chain(takewhile(lambda one: one.at_s < later_s, first), moved)

    server = SimulatedServer(workload.costs, spec.settings, arrivals(), np.random.default_rng(3))
    site = DIALECTS[workload.dialect].site(server, facts(workload.model, workload.gpu, begin_s))
    gpus = SimulatedGpus(
        server, workload.gpu, 0, started_unix_s=begin_s, sample_period_s=60.0, noise=0.02,
        rng=np.random.default_rng(4),
    )  # fmt: skip
    return SimulatedReplica(spec, begin_s, server, site, gpus)


@dataclass
class Days:
    """Replicas that all show what one simulated server shows. `gpus` of it are joined to all of them."""

    store: Store
    simulated: SimulatedReplica
    replicas: int
    begin_s: float
    config: str

    def __post_init__(self) -> None:
        self._polls = SimulatedPolls(self.simulated, exclusive=True)
        self._analyse = Analyse(self.store, parse_settings(self.config, ""))
        self._roster = Roster()
        self._until_s = 0.0

    def configure(self, config: str) -> None:
        """As a reload does."""
        self._analyse.configure(parse_settings(config, ""))

    def run_to(self, virtual_s: float) -> None:
        """Polls until then, and stores what was found."""
        asyncio.run(self._run_to(virtual_s))
        self.store.roll_up(self.begin_s + virtual_s)

    async def _run_to(self, virtual_s: float) -> None:
        while self._until_s + POLL_S <= virtual_s:
            self._until_s += POLL_S
            at_s = self.begin_s + self._until_s
            found = await self._polls.poll(self._until_s, POLL_S)
            identity = Identity(found.engine, **found.identity)
            samples = []
            for number in range(self.replicas):
                key = ReplicaKey(f"http://replica-{number}:8000/metrics", found.model, found.rank)
                if key not in self._roster.epochs:
                    epoch = self.store.writer.register(key, identity, found.process_start, "days", at_s)
                    self._roster.epochs[key] = epoch
                samples.append(found.sample(key.target, self._roster.epochs[key], at_s, POLL_S))
                self._roster.polled[key] = Polled(
                    key, "days", identity, found.process_start, at_s, at_s, POLL_S, {}, lumpy=found.lumpy
                )
            self.store.writer.append(samples)

    def report(self) -> Report:
        """The report of now, kept with its verdicts as the daemon keeps them."""
        made = self._analyse.run(self._roster.polled, self._roster.epochs, self.begin_s + self._until_s)
        self._analyse.keep(made, lambda _: None)
        return made
