"""The bundled simulator as a set of targets: a past day run fast into the store, then served live on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from analyzer.samples import GpuSample, Identity, ReplicaKey, ReplicaSample
from collector.clock import Clock
from collector.errors import BreakevenError
from collector.gpu.readings import GpuReading
from collector.gpu.replay import ReplayReader
from collector.jobs.epochs import EpochBook
from collector.jobs.simulated_polls import Found, SimulatedPolls
from collector.jobs.targets import GPU_LABEL, Target, found_target
from collector.settings.load import parse_settings
from collector.settings.model import Settings
from collector.simulator.dialects import VLLM
from collector.simulator.gpus import uuid
from collector.simulator.scenarios import SimulatedReplica, build, demo_fleet
from collector.simulator.web import ServedFleet, serve
from collector.store import Store

PAST_S = 26 * 3600.0
"""A little more than the daily cycle that a verdict needs."""
PAST_INTERVAL_S = 30.0
FIRST_PORT = 9881
_GPU_FIELDS = frozenset(GpuSample.__dataclass_fields__) - {"uuid", "at_s", "interval_s", "name"}

DEMO_CONFIG = """
global: {scrape_interval: 5s, scrape_timeout: 4s, evaluation_interval: 10s}
analysis: {recent: 2m}
gpu: {nvml: "off"}
deployments:
  - name: chat
    match: {job: simulated-chat}
    weight_bits: 16
    minimum_replicas: 1
    growth_per_month: 0.12
    objectives: {ttft: {seconds: 1}, itl: {seconds: 0.0115}}
    schemes: [fp8-w8a8, int8-w8a8, w4a16]
    price: {usd_per_gpu_hour: 2.50, source: demo, date: 2026-11-01}
    costs: {engineering_hours: 40, engineering_usd_per_hour: 110, evaluation_hours: 12, requantization_hours: 8,
            model_releases_per_year: 2}
    context: {compute_share_of_cost: 0.4, small_team: false, engineering_capacity: true}
    quality:
      fp8-w8a8: {result: pass, metric: demo exam, owner: demo, date: 2026-11-01, relative_loss: 0.003}
      w4a16: {result: pass, metric: demo exam, owner: demo, date: 2026-11-01, relative_loss: 0.009}
  - name: summarise
    match: {job: simulated-summarise}
    weight_bits: 16
    gpus_per_replica: 4
    minimum_replicas: 1
    objectives: {ttft: {seconds: 12}, itl: {seconds: 0.5}}
    tensor_parallel_choices: [2]
    schemes: [fp8-w8a8, int8-w8a8, w4a16]
    price: {usd_per_gpu_hour: 2.50, source: demo, date: 2026-11-01}
    costs: {engineering_hours: 60, engineering_usd_per_hour: 110}
"""
"""What an operator would write for the simulated fleet; every figure in it is invented."""


def demo_settings() -> Settings:
    """The settings of the demo, without its targets."""
    return parse_settings(DEMO_CONFIG, "demo")


@dataclass(frozen=True, slots=True)
class Past:
    """What polls of one simulated replica in the past would have found, by unix time."""

    polls: tuple[tuple[float, Found], ...]
    gpus: tuple[GpuSample, ...]


class Simulation:
    """A simulated fleet: its past, then its servers, targets and GPU readings. Everything in it is invented.

    `dialect` is the engine as which its servers answer, a name of `collector.simulator.dialects.DIALECTS`.
    """

    def __init__(self, clock: Clock, seed: int = 1, dialect: str = VLLM) -> None:
        self._clock = clock
        self._now_s = clock.wall_s()
        self._fleet = build(demo_fleet(dialect), seed, self._now_s - PAST_S)
        self._served: ServedFleet | None = None

    def past(self, progress: Callable[[float], None]) -> tuple[Past, ...]:
        """Run the fleet up to now; `progress` is told the share done. Takes some tens of seconds of one core.

        Must not be called where an event loop runs.
        """
        return asyncio.run(self._past(progress))

    async def _past(self, progress: Callable[[float], None]) -> tuple[Past, ...]:
        count = int(PAST_S / PAST_INTERVAL_S)
        polls = [SimulatedPolls(replica, exclusive=False) for replica in self._fleet]
        found: list[list[tuple[float, Found]]] = [[] for _ in self._fleet]
        gpus: list[list[GpuSample]] = [[] for _ in self._fleet]
        for number in range(1, count + 1):
            virtual_s = number * PAST_INTERVAL_S
            at_s = self._now_s - PAST_S + virtual_s
            for index, replica in enumerate(self._fleet):
                found[index].append((at_s, await polls[index].poll(virtual_s, PAST_INTERVAL_S)))
                gpus[index] += [_gpu_sample(one, at_s) for one in replica.gpus.read(PAST_INTERVAL_S)]
            progress(number / count)
        return tuple(Past(tuple(mine), tuple(cards)) for mine, cards in zip(found, gpus, strict=True))

    async def serve(self) -> None:
        """Serve the fleet on loopback from now on. Raises BreakevenError when no port is to be had."""
        ports = [FIRST_PORT + replica.spec.port_offset for replica in self._fleet]
        try:
            self._served = await serve(self._fleet, self._clock, "127.0.0.1", ports)
        except BreakevenError:
            self._served = await serve(self._fleet, self._clock, "127.0.0.1", [0] * len(ports))

    def targets(self, settings: Settings) -> tuple[Target, ...]:
        """The servers as targets, named as simulated, their GPUs joined to them."""
        assert self._served is not None
        return tuple(
            _target(replica, url, settings) for replica, url in zip(self._fleet, self._served.urls, strict=True)
        )

    def write_past(self, store: Store, targets: Sequence[Target], past: Sequence[Past]) -> None:
        """Store the past under the epoch that the live servers will have: they tell the same identity."""
        for target, mine in zip(targets, past, strict=True):
            store.writer.append(_samples(store, target, mine), mine.gpus)
        store.roll_up(self._clock.wall_s())

    def gpus(self, interval_s: float) -> ReplayReader:
        """The fleet's GPUs as a source of readings."""

        async def readings() -> list[GpuReading]:
            return [
                GpuReading(
                    uuid=str(one["uuid"]),
                    name=str(one["name"]),
                    fields={name: value for name, value in one.items() if name in _GPU_FIELDS},  # type: ignore[misc]
                )
                for replica in self._fleet
                for one in replica.gpus.read(interval_s)
            ]

        return ReplayReader(readings)

    async def close(self) -> None:
        """Stop serving."""
        if self._served is not None:
            await self._served.close()


def _target(replica: SimulatedReplica, url: str, settings: Settings) -> Target:
    first, count = replica.spec.first_gpu, replica.spec.tensor_parallel
    labels = {GPU_LABEL: ",".join(uuid(number) for number in range(first, first + count))}
    name = f"simulated-{replica.spec.deployment}"
    found = found_target(name, settings, url.removeprefix("http://"), labels)
    return replace(found, url=url + replica.site.page_path, simulated=True)


def _samples(store: Store, target: Target, past: Past) -> list[ReplicaSample]:
    samples = []
    book = EpochBook(store)
    for at_s, found in past.polls:
        key = ReplicaKey(target.url, found.model, found.rank)
        identity = Identity(found.engine, **found.identity)
        epoch = book.epoch(key, identity, found.process_start, target.job.job_name, at_s)
        samples.append(found.sample(target.url, epoch, at_s, PAST_INTERVAL_S))
    return samples


def _gpu_sample(one: dict[str, float | str | None], at_s: float) -> GpuSample:
    return GpuSample(**{**one, "at_s": at_s})  # type: ignore[arg-type]
