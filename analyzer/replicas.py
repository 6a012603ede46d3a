"""One replica's history -> its figures: phases, batch, tokens per second, latency, coverage, freshness."""

from __future__ import annotations

from dataclasses import dataclass

from analyzer.assumptions import Deployment
from analyzer.batching import decode_batch, mean_gauge, mean_per
from analyzer.evidence import Figure, Missing
from analyzer.hardware import Hardware, gpus_of_replica, resolve
from analyzer.phases import PhaseAccount, account
from analyzer.samples import Identity, ReplicaKey, ReplicaSample
from analyzer.throughput import cached_prompt_ratio, generation_tokens_per_s, prefill_tokens_per_s
from analyzer.windows import Totals

FRESH_INTERVALS = 3
"""A replica is fresh while its last sample is younger than this many poll intervals."""


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
    last: ReplicaSample | None
    recent: Totals | None
    history: Totals | None
    joined_gpus: int | None = None
    gpu_utilization_recent: float | None = None
    gpu_utilization_history: float | None = None
    lumpy: frozenset[str] = frozenset()
    unreported: tuple[str, ...] = ()


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
    gpus: int | None
    """GPUs of the replica; None when nobody told."""
    decode_batch: Figure
    history_decode_batch: Figure
    generation_tokens_per_s: Figure
    history_generation_tokens_per_s: Figure
    prefill_tokens_per_s: Figure
    cached_prompt: Figure
    running_requests: Figure
    waiting_requests: Figure
    kv_usage: Figure
    time_to_first_token_s: Figure
    inter_token_s: Figure
    hardware: Hardware | Missing
    unreported: tuple[str, ...]


_NO_WINDOW = Missing("no usable pair of samples in this span yet")


def report_replica(known: ReplicaHistory, deployment: Deployment, now_s: float) -> ReplicaReport:
    """The figures of one replica at `now_s`."""
    hardware = resolve(known.identity, deployment, known.joined_gpus)
    past = history if (history := known.history) is not None and history.windows > 0 else None
    recent, last = known.recent, known.last
    lumpy = "generation_tokens_total" in known.lumpy
    usable = recent if recent is not None and recent.windows > 0 else None
    return ReplicaReport(
        replica=known.replica,
        job=known.job,
        deployment=known.deployment,
        identity=known.identity,
        simulated=known.simulated,
        fresh=last is not None and now_s - last.at_s <= FRESH_INTERVALS * last.interval_s,
        last_sample_s=None if last is None else last.at_s,
        recent_covered_s=0.0 if recent is None else recent.covered_s,
        history_covered_s=0.0 if history is None else history.covered_s,
        history_span_s=0.0 if history is None else history.end_s - history.start_s,
        history_coverage=None if history is None else history.coverage_ratio,
        phases=_account(recent, known.identity, hardware, known.gpu_utilization_recent),
        decision=_account(history, known.identity, hardware, known.gpu_utilization_history),
        gpus=gpus_of_replica(known.identity, deployment, known.joined_gpus),
        decode_batch=_NO_WINDOW if usable is None else decode_batch(usable),
        history_decode_batch=_NO_WINDOW if past is None else decode_batch(past),
        generation_tokens_per_s=_generation(recent, lumpy),
        history_generation_tokens_per_s=_generation(history, lumpy),
        prefill_tokens_per_s=_NO_WINDOW if usable is None else prefill_tokens_per_s(usable),
        cached_prompt=_NO_WINDOW if usable is None else cached_prompt_ratio(usable),
        running_requests=_NO_WINDOW if usable is None else mean_gauge(usable, "running_requests"),
        waiting_requests=_NO_WINDOW if usable is None else mean_gauge(usable, "waiting_requests"),
        kv_usage=_NO_WINDOW if usable is None else mean_gauge(usable, "kv_usage_ratio"),
        time_to_first_token_s=_NO_WINDOW if usable is None else mean_per(usable, "ttft_s_total", "prefills_total"),
        inter_token_s=(
            _NO_WINDOW if usable is None else mean_per(usable, "inter_token_s_total", "decode_sequence_steps_total")
        ),
        hardware=hardware,
        unreported=known.unreported,
    )


def _generation(totals: Totals | None, lumpy: bool) -> Figure:
    if totals is None or totals.windows == 0:
        return _NO_WINDOW
    return generation_tokens_per_s(totals, lumpy)


def _account(
    totals: Totals | None, identity: Identity, hardware: Hardware | Missing, gpu_utilization: float | None
) -> PhaseAccount:
    if totals is None or totals.windows == 0:
        return PhaseAccount(_NO_WINDOW, _NO_WINDOW, _NO_WINDOW, _NO_WINDOW, _NO_WINDOW, _NO_WINDOW)
    return account(totals, identity, hardware, gpu_utilization)
