"""An hour of a thousand replicas: two simulated servers polled once, and copies of their samples that vary a bit."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from analyzer.samples import GpuSample, Identity, ReplicaKey, ReplicaSample, counter_names
from collector.jobs.simulated_polls import Watched, watch
from collector.simulator.traffic import Lengths
from collector.simulator.workloads import Workload

POLL_S = 5.0
HOUR_S = 3600.0
_COUNTERS = counter_names(ReplicaSample)


def _workload(name: str, prompt: int, output: int, seed: int, poll_s: float) -> Workload:
    lengths = [Lengths(mean=mean, sigma=0.5, minimum=mean // 8, maximum=4 * mean) for mean in (prompt, output)]
    return Workload(
        name, 0.6, *lengths, seed=seed, seats=128, chunk_tokens=2048, swing=0.5, poll_interval_s=poll_s, span_s=HOUR_S
    )


def watched_hour(poll_s: float = POLL_S) -> list[Watched]:
    """An hour of a chat and of a document server, polled through the real page reader."""
    servers = (_workload("chat", 400, 300, 5, poll_s), _workload("documents", 3000, 200, 6, poll_s))
    return [asyncio.run(watch(one)) for one in servers]


@dataclass(frozen=True)
class Member:
    """One replica of the fleet with what was polled of it."""

    key: ReplicaKey
    identity: Identity
    samples: Sequence[ReplicaSample]
    gpus: Sequence[GpuSample]
    watched: Watched


def _grown(value: float, factor: float) -> float:
    """What counts whole things still does."""
    return float(round(value * factor)) if value.is_integer() else value * factor


def member(number: int, hour: Sequence[Watched]) -> Member:
    """Replica `number`: one of the servers, all its counters times a factor of its own between 1 and 1.5."""
    one = hour[number % len(hour)]
    key = ReplicaKey(f"http://replica-{number}:8000/metrics", one.samples[0].replica.model)
    factor = 1 + number % 97 / 194
    others = [field.name for field in fields(ReplicaSample) if field.name not in (*_COUNTERS, "replica", "epoch")]
    samples = []
    for sample in one.samples:
        grown = {
            name: None if (value := getattr(sample, name)) is None else _grown(value, factor)
            for name in _COUNTERS
            if not name.endswith("_s_total")
        }
        told = {name: getattr(sample, name) for name in _COUNTERS if name.endswith("_s_total")}
        samples.append(
            ReplicaSample(key, number + 1, **{name: getattr(sample, name) for name in others}, **grown, **told)
        )
    gpus = [replace(reading, uuid=f"GPU-{number}") for reading in one.gpus if reading.uuid == one.gpus[0].uuid]
    return Member(key, one.identity, samples, gpus, one)
