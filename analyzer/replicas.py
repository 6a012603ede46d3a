"""One replica's history -> its figures: phases, batch, tokens per second, latency, coverage, freshness."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Protocol

from analyzer.assumptions import DEFAULT_SCHEMES, Deployment
from analyzer.batching import decode_batch, mean_gauge, mean_per
from analyzer.capacity.demand import Demand
from analyzer.capacity.live import ReplicaCapacity, Stated, replica_capacity
from analyzer.chain import Chain, FitChain, fit_chain, span_chain
from analyzer.crosscheck import NO_ACTIVITY, CrossCheck, GpuActivity, cross_check, widened
from analyzer.decision import NO_WINDOW, Decision, Known, account_of, decide, sizes_of
from analyzer.evidence import Estimate, Figure, Missing
from analyzer.folded import Folded
from analyzer.hardware import Hardware, gpus_of_replica, resolve
from analyzer.hours import ReplicaHours
from analyzer.phases import NO_MODEL, PhaseAccount
from analyzer.predict import Prediction
from analyzer.samples import Identity, ReplicaKey
from analyzer.stepsizes import StepSizes
from analyzer.steptime.account import StepTime, step_time
from analyzer.steptime.counted import Counted, counted_in
from analyzer.steptime.fit import StepModel, fit
from analyzer.steptime.parts import Part
from analyzer.throughput import cached_prompt_ratio, generation_tokens_per_s, prefill_tokens_per_s
from analyzer.whatif import predict_schemes
from analyzer.windows import Totals

FRESH_INTERVALS = 3
"""A replica is fresh while its last sample is younger than this many poll intervals."""


NO_HOURS = Missing("the hours of the current epoch are not added up yet")


class Sampled(Protocol):
    """When a sample was taken (unix time), and how long after the one before it was due: any sample tells."""

    @property
    def at_s(self) -> float: ...

    @property
    def interval_s(self) -> float: ...


@dataclass(frozen=True, slots=True)
class ModelFigures:
    """What a step-time model says of itself, which stands as long as the model."""

    model: StepModel | Missing
    step_time: StepTime | Missing
    fit: FitChain | Missing


@dataclass(frozen=True, slots=True)
class ReplicaHistory:
    """All that is known of one replica in its current epoch.

    `recent` are the totals of the live span, `history` those of the decision span; either is None when no pair of
    samples fell into it. `gpu_utilization_*` are the joined GPUs' mean duty cycles (0..1) over the same spans.
    `lumpy` names counters that the engine moves only when a request ends, `unreported` wanted series it lacks.
    """

    replica: ReplicaKey
    job: str
    deployment: str
    identity: Identity
    simulated: bool
    last: Sampled | None
    recent: Totals | None
    history: Totals | None
    joined_gpus: int | None = None
    gpu_utilization_recent: float | None = None
    gpu_utilization_history: float | None = None
    lumpy: frozenset[str] = frozenset()
    unreported: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()
    """The decision span in parts of some minutes, without the epoch's warm-up: what a step-time model is fitted to."""
    model: StepModel | Missing = NO_MODEL
    figures: ModelFigures | None = None
    """What the model says of itself; to be computed where this is None or another model's."""
    predicted: Mapping[str, Prediction | Missing] | None = None
    """What the model predicts of each scheme; None: to be computed."""
    capacity: ReplicaCapacity | None = None
    """What the replica carries; None: to be computed."""
    hours: ReplicaHours | Missing = NO_HOURS
    """Where the time went hour by hour, by this model."""
    decision: Decision | None = None
    """The figures of the decision span, and then `history` and `parts` may not be there; None: to be computed."""
    gpu_uuids: tuple[str, ...] = ()
    gpu_activity: GpuActivity = NO_ACTIVITY
    """Of the joined GPUs over the live span."""
    epoch_started_s: float | None = None
    calibrated_to_s: float | None = None
    """Unix time up to which `model` has seen traffic; None where there is no model."""
    compared: bool = False
    """Whether its steps are compared with those of replicas of its deployment that serve another format."""


@dataclass(frozen=True, slots=True)
class ReplicaReport:
    """A replica's figures over the live span; `decision` is the account over the decision span."""

    replica: ReplicaKey
    job: str
    deployment: str
    identity: Identity
    simulated: bool
    fresh: bool
    last_sample_s: float | None
    recent_covered_s: float
    history_covered_s: float
    history_span_s: float
    history_coverage: float | None
    phases: PhaseAccount
    decision: PhaseAccount
    predicted: Mapping[str, Prediction | Missing] = field(metadata={"plain": False})
    """Each scheme's effect over the decision span. Not in a plain report: the deployment's has what matters of it."""
    capacity: ReplicaCapacity
    """What load it carries within the objectives, as it is and under each scheme."""
    hours: ReplicaHours | Missing = field(metadata={"plain": False})
    """Where the time of the current epoch went. Not in a plain report: the deployment's answer has the sum."""
    cross_check: CrossCheck
    """The model against the GPU's activity counters over the live span; what disagrees widened the intervals above."""
    epoch_started_s: float | None
    calibrated_to_s: float | None
    """Unix time up to which the step-time model has seen traffic."""
    step_time: StepTime | Missing
    step_sizes: StepSizes | Missing
    history_step_sizes: StepSizes | Missing
    gpus: int | None
    """GPUs of the replica; None when nobody told."""
    gpu_uuids: tuple[str, ...]
    """Those that are joined to it."""
    decode_batch: Figure
    history_decode_batch: Figure
    generation_tokens_per_s: Figure
    history_generation_tokens_per_s: Figure
    prefill_tokens_per_s: Figure
    history_prompt_tokens_per_s: Figure
    """Prompt tokens of the decision span, cached ones included."""
    cached_prompt: Figure
    running_requests: Figure
    waiting_requests: Figure
    kv_usage: Figure
    preemptions_per_request: Figure
    time_to_first_token_s: Figure
    inter_token_s: Figure
    hardware: Hardware | Missing
    unreported: tuple[str, ...]
    chain: Chain


def busy_weight(one: ReplicaReport) -> float:
    """Busy seconds of the decision span: what a replica's shares weigh among others'; 0 where it is not known."""
    busy = one.decision.busy
    return busy.value * one.history_covered_s if isinstance(busy, Estimate) else 0.0


NO_BUSY = Missing("the busy time is not needed beside a step-time model")
_NO_CHECK = CrossCheck(NO_WINDOW, NO_WINDOW)


def fit_replica(known: ReplicaHistory, deployment: Deployment, fine: Counted | None = None) -> StepModel | Missing:
    """The step-time model of one replica's current epoch, or why there is none.

    `fine` are shorter spans of the newest stretch: they take the place of the history's parts from there on.
    """
    begin_s = float(fine["start_s"][0]) if fine is not None and len(fine) else inf
    older = [part for part in known.parts if part.totals.end_s <= begin_s]
    told = counted_in(older) if fine is None or older else fine
    if fine is not None and older:
        told = told.then(fine)
    mixed = known.identity.mixed_steps is not False
    return fit(told, resolve(known.identity, deployment, known.joined_gpus), mixed=mixed)


def predict_replica(known: ReplicaHistory, deployment: Deployment, busy: Figure) -> Mapping[str, Prediction | Missing]:
    """What each of the deployment's schemes would do to this replica's steps; `busy` is the decision span's."""
    hardware = resolve(known.identity, deployment, known.joined_gpus)
    schemes = deployment.schemes or DEFAULT_SCHEMES
    parts = known.parts or _whole(known)
    return Folded(predict_schemes(schemes, known.identity, hardware, parts, known.model, busy))


def capacity_of_replica(
    known: ReplicaHistory, deployment: Deployment, predicted: Mapping[str, Prediction | Missing]
) -> ReplicaCapacity:
    """What load this replica carries, as it is and under each scheme that is predicted."""
    hardware = resolve(known.identity, deployment, known.joined_gpus)
    parts = known.parts or _whole(known)
    return replica_capacity(known.identity, hardware, parts, known.model, predicted, stated_limits(deployment))


def demand_of_replica(known: ReplicaHistory, deployment: Deployment) -> Demand:
    """The load that this replica's capacity is compared with."""
    return Demand.of_parts(known.parts or _whole(known)).times(deployment.load_ratio)


def figures_of_replica(known: ReplicaHistory) -> ModelFigures:
    """What the replica's model says of itself, or why there is nothing."""
    model = known.model
    if known.figures is not None and known.figures.model is model:
        return known.figures
    told = model if isinstance(model, Missing) else step_time(model)
    return ModelFigures(model, told, fit_chain(model, told))


def decision_of_replica(known: ReplicaHistory, deployment: Deployment) -> Decision:
    """The figures of this replica's decision span."""
    always = _always(known, resolve(known.identity, deployment, known.joined_gpus), figures_of_replica(known))
    return decide(always, known.history, known.gpu_utilization_history, known.parts)


def _always(known: ReplicaHistory, hardware: Hardware | Missing, figures: ModelFigures) -> Known:
    lumpy = "generation_tokens_total" in known.lumpy
    return Known(known.identity, hardware, known.model, figures.step_time, lumpy)


def stated_limits(deployment: Deployment) -> Stated:
    """What the operator states that bounds a replica."""
    return Stated(deployment.objectives, deployment.seats, deployment.chunk_tokens, deployment.load_ratio)


def report_replica(known: ReplicaHistory, deployment: Deployment, now_s: float) -> ReplicaReport:
    """The figures of one replica at `now_s`."""
    hardware = resolve(known.identity, deployment, known.joined_gpus)
    figures = figures_of_replica(known)
    always = _always(known, hardware, figures)
    recent, last = known.recent, known.last
    usable = recent if recent is not None and recent.windows > 0 else None
    check = _NO_CHECK if usable is None else cross_check(usable, hardware, known.gpu_activity)
    phases = widened(account_of(always, recent, known.gpu_utilization_recent, ()), check)
    past = known.decision
    if past is None:
        past = decide(always, known.history, known.gpu_utilization_history, known.parts)
    decided = widened(past.account, check)
    predicted = known.predicted
    if predicted is None:
        predicted = predict_replica(known, deployment, decided.busy)
    capacity = known.capacity
    if capacity is None:
        capacity = capacity_of_replica(known, deployment, predicted)
    return ReplicaReport(
        replica=known.replica,
        job=known.job,
        deployment=known.deployment,
        identity=known.identity,
        simulated=known.simulated,
        fresh=last is not None and now_s - last.at_s <= FRESH_INTERVALS * last.interval_s,
        last_sample_s=None if last is None else last.at_s,
        recent_covered_s=0.0 if recent is None else recent.covered_s,
        history_covered_s=past.covered_s,
        history_span_s=past.span_s,
        history_coverage=past.coverage,
        phases=phases,
        decision=decided,
        cross_check=check,
        predicted=predicted,
        hours=known.hours,
        epoch_started_s=known.epoch_started_s,
        calibrated_to_s=known.calibrated_to_s,
        capacity=capacity,
        step_time=figures.step_time,
        step_sizes=NO_WINDOW if usable is None else sizes_of(always, usable),
        history_step_sizes=past.step_sizes,
        gpu_uuids=known.gpu_uuids,
        gpus=gpus_of_replica(known.identity, deployment, known.joined_gpus),
        decode_batch=NO_WINDOW if usable is None else decode_batch(usable),
        history_decode_batch=past.decode_batch,
        generation_tokens_per_s=NO_WINDOW if usable is None else generation_tokens_per_s(usable, always.lumpy),
        history_generation_tokens_per_s=past.generation_tokens_per_s,
        prefill_tokens_per_s=NO_WINDOW if usable is None else prefill_tokens_per_s(usable),
        history_prompt_tokens_per_s=past.prompt_tokens_per_s,
        cached_prompt=NO_WINDOW if usable is None else cached_prompt_ratio(usable),
        running_requests=NO_WINDOW if usable is None else mean_gauge(usable, "running_requests"),
        waiting_requests=NO_WINDOW if usable is None else mean_gauge(usable, "waiting_requests"),
        kv_usage=NO_WINDOW if usable is None else mean_gauge(usable, "kv_usage_ratio"),
        preemptions_per_request=(
            NO_WINDOW if usable is None else mean_per(usable, "preemptions_total", "prefills_total")
        ),
        time_to_first_token_s=NO_WINDOW if usable is None else mean_per(usable, "ttft_s_total", "prefills_total"),
        inter_token_s=(
            NO_WINDOW if usable is None else mean_per(usable, "inter_token_s_total", "decode_sequence_steps_total")
        ),
        hardware=hardware,
        unreported=known.unreported,
        chain=Chain(
            span_chain(recent, phases, hardware, known.gpu_utilization_recent, known.model),
            past.chain,
            figures.fit,
        ),
    )


def _whole(known: ReplicaHistory) -> tuple[Part, ...]:
    return () if known.history is None else (Part(known.history, known.gpu_utilization_history),)
