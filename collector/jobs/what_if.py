"""What another price, load, objective, GPU or scheme would make of the verdict: from stored history, or from flags."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

from analyzer.assumptions import Deployment, Policy, Price, Quality, QualityResult
from analyzer.deployments import DeploymentReport, report_deployment
from analyzer.elsewhere import on_other
from analyzer.facts.gpus import Gpu
from analyzer.facts.model_shape import ModelShape
from analyzer.objectives import Objective, Objectives
from analyzer.replicas import report_replica
from analyzer.report import Report
from collector.errors import StoreError
from collector.jobs.analyse import Analyse
from collector.jobs.polled import Polled, Roster
from collector.jobs.score_simulated import history_of
from collector.jobs.simulated_polls import watch
from collector.settings.model import Settings
from collector.simulator.scenarios import H100, kv_capacity_tokens
from collector.simulator.scenarios import ModelShape as ServedModel
from collector.simulator.traffic import Lengths
from collector.simulator.workloads import Workload
from collector.store import Store

Plain = Mapping[str, Any]
FLAGS = "flags of this command"
MOST_LOAD = 1.5
"""Beyond it the queue of a simulated hour only grows, and nothing is learned."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What is to be otherwise; None or empty: as it is. Times in seconds, at the 95th percentile."""

    usd_per_gpu_hour: float | None = None
    load_ratio: float | None = None
    first_token_s: float | None = None
    token_gap_s: float | None = None
    gpu: str | None = None
    gpus_per_replica: int | None = None
    schemes: tuple[str, ...] = ()
    minimum_replicas: int | None = None
    growth_per_month: float | None = None
    investment_usd: float | None = None
    quality_passes: bool = False

    def of(self, deployment: Deployment, now_s: float) -> Deployment:
        """The deployment with these changes."""
        told: dict[str, Any] = {}
        if self.usd_per_gpu_hour is not None:
            told["price"] = Price(self.usd_per_gpu_hour, FLAGS, now_s)
        if self.first_token_s is not None or self.token_gap_s is not None:
            told["objectives"] = _objectives(deployment.objectives, self.first_token_s, self.token_gap_s)
        if self.investment_usd is not None:
            once = {"engineering_hours": 1.0, "engineering_usd_per_hour": self.investment_usd, "evaluation_hours": 0.0}
            told["costs"] = replace(deployment.costs, **once)
        if self.gpu is not None or self.gpus_per_replica is not None:
            told["imagined"] = True
            if self.gpu is not None and self.usd_per_gpu_hour is None:
                told["price"] = None
        for name in ("load_ratio", "gpu", "gpus_per_replica", "minimum_replicas", "growth_per_month"):
            if getattr(self, name) is not None:
                told[name] = getattr(self, name)
        if self.schemes:
            told["schemes"] = self.schemes
        changed = replace(deployment, **told)
        if not self.quality_passes:
            return changed
        passed = Quality(QualityResult.PASS, "supposed", FLAGS, now_s)
        named = changed.schemes or deployment.schemes
        return replace(changed, quality={**changed.quality, **dict.fromkeys(named, passed)})


def _objectives(former: Objectives | None, first_token_s: float | None, token_gap_s: float | None) -> Objectives:
    kept = Objectives() if former is None else former
    first = kept.first_token if first_token_s is None else Objective(first_token_s)
    gap = kept.token_gap if token_gap_s is None else Objective(token_gap_s)
    return Objectives(first, gap, kept.utilisation)


def from_history(
    store: Store, settings: Settings, body: Plain, name: str, changes: Changes
) -> tuple[DeploymentReport, DeploymentReport]:
    """A deployment of the last report (`body`) as it is and with the changes.

    Raises StoreError; also where the settings give the replicas no deployment of that name, or it cannot be computed.
    """
    now_s = body["made_at_s"]
    roster = _roster(store, body)
    reports = Analyse(store, settings).what_if(
        roster.polled,
        roster.epochs,
        now_s,
        lambda one: changes.of(one, now_s) if one.name == name else one,
    )
    before, after = (_named(one, name) for one in reports)
    return before, after


def _named(report: Report, name: str) -> DeploymentReport:
    found = next((one for one in report.deployments if one.name == name), None)
    if found is None:
        failed = next((one for one in report.failures if one.startswith(f"deployment {name}:")), None)
        why = "the configuration has none of that name: name the file of the running daemon by --config.file"
        raise StoreError(f"deployment {name!r} cannot be judged: {why}" if failed is None else failed)
    return found


def _roster(store: Store, body: Plain) -> Roster:
    """The replicas of the last report, each in its newest epoch."""
    roster = Roster()
    newest = {one.replica: one for one in store.reader.epochs()}
    told = {tuple(one["replica"].values()): one for one in body["replicas"]}
    for key, epoch in newest.items():
        one = told.get((key.target, key.model, key.rank))
        last = None if one is None else store.reader.last_sample(key)
        if one is None or last is None:
            continue
        roster.epochs[key] = last.epoch
        roster.polled[key] = Polled(
            replica=key,
            job=one["job"],
            identity=epoch.identity,
            process_start=epoch.process_start,
            tick_s=last.at_s,
            at_s=last.at_s,
            interval_s=last.interval_s,
            fields={},
            simulated=one["simulated"],
            unreported=tuple(one["unreported"]),
            gpu_uuids=tuple(one["gpu_uuids"]),
        )
    return roster


@dataclass(frozen=True, slots=True)
class Flags:
    """A fleet that nobody measured: `requests_per_s` come to all replicas together, all alike but for their lengths."""

    model_name: str
    model: ModelShape
    gpu: Gpu
    gpus_per_replica: int
    replicas: int
    requests_per_s: float
    prompt_tokens: int
    output_tokens: int


def from_flags(flags: Flags, deployment: Deployment, changes: Changes) -> tuple[DeploymentReport, DeploymentReport]:
    """As `from_history`, of an hour of a simulated server at the fleet's load.

    Its steps cost what the data sheets and usual efficiencies make of them: all figures are assumptions.
    Raises ValueError for flags that make no server.
    """
    watched = asyncio.run(watch(_workload(flags)))
    last = watched.samples[-1]
    stated = replace(deployment, gpu=flags.gpu.name, gpus_per_replica=flags.gpus_per_replica, model=flags.model_name,
                     weight_bits=16.0)  # fmt: skip
    # The duty cycle of a GPU that is not there is no measurement.
    history = replace(history_of(watched, stated), gpu_utilization_recent=None, gpu_utilization_history=None)
    reports = []
    for one in (stated, changes.of(stated, last.at_s)):
        replica = report_replica(on_other(history, stated, one), one, last.at_s)
        fleet = [replace(replica, replica=replace(replica.replica, rank=str(rank))) for rank in range(flags.replicas)]
        # An hour of made-up traffic has no daily cycle to wait for.
        reports.append(report_deployment(one, fleet, {}, Policy(min_history_s=0.0), last.at_s))
    return reports[0], reports[1]


def _workload(flags: Flags) -> Workload:
    shape, gpu = flags.model, flags.gpu
    if gpu.bandwidth_bytes_per_s is None:
        raise ValueError(f"the memory bandwidth of {gpu.name} is not known")
    if shape.experts is not None or shape.latent is not None:
        raise ValueError(f"{shape.name} has experts or latent attention, which no simulated server has: use a history")
    one = Workload(
        "flags",
        load=1.0,
        prompt=_lengths(flags.prompt_tokens),
        output=_lengths(flags.output_tokens),
        seed=1,
        model=ServedModel(
            name=flags.model_name,
            parameters=shape.parameters,
            layers=shape.layers,
            hidden=shape.hidden_size,
            kv_heads=shape.kv_heads,
            head_size=shape.head_dim,
            # Of a tied table every row is multiplied with, as `lm_head`.
            vocabulary=0 if shape.tied_embeddings else shape.vocabulary,
        ),
        gpu=replace(
            H100,
            name=gpu.name,
            bandwidth_bytes_per_s=gpu.bandwidth_bytes_per_s,
            flops_per_s=gpu.bf16_flops_per_s,
            memory_bytes=gpu.memory_bytes,
        ),
        tensor_parallel=flags.gpus_per_replica,
    )
    longest, fits = one.max_model_len, kv_capacity_tokens(one.model, one.gpu, one.tensor_parallel)
    if longest > fits:
        raise ValueError(
            f"a request may have {longest:,} tokens (four times the means), and {max(0, fits):,} fit into the KV "
            f"memory of {flags.gpus_per_replica} x {gpu.name}: fewer tokens, or more --gpus-per-replica"
        )
    load = flags.requests_per_s / flags.replicas / one.capacity_per_s
    if load > MOST_LOAD:
        least = ceil(flags.replicas * load)
        raise ValueError(
            f"each replica is offered {load:,.1f} times what it can serve: it takes about {least:,} replicas"
        )
    return replace(one, load=load)


def _lengths(mean: int) -> Lengths:
    return Lengths(mean=mean, sigma=0.5, minimum=max(1, mean // 8), maximum=4 * mean)
