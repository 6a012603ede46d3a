"""Totals -> where a replica's time went: phase mix (marginal and exclusive), components, memory-bound share.

The evidence ladder, best first: the engine's own timers, the step-time model fitted to this server, the roofline. A
rung that cannot tell a figure leaves it to the next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analyzer.batching import decode_batch
from analyzer.busy import busy_ratio
from analyzer.evidence import Estimate, Evidence, Figure, Missing, worst
from analyzer.hardware import Hardware
from analyzer.roofline import Seconds, corners, work
from analyzer.samples import Identity
from analyzer.steptime.account import Share, SpanShares, interval, shares
from analyzer.steptime.fit import StepModel
from analyzer.steptime.parts import Part
from analyzer.windows import Totals

COMPONENTS = ("weight_read", "kv_read", "decode_compute", "prefill", "overhead", "idle")
NO_MODEL = Missing("no step-time model is fitted to this replica yet")
STEP_MODEL = "step_time_model"
ARTICLE_LARGE_BATCH = 16
"""The article's own bound: decode at a larger batch is not called memory-bound."""


@dataclass(frozen=True, slots=True)
class PhaseAccount:
    """Where the covered time went. Shares are of busy time, `components` are of wall time and sum to 1.

    Marginal prefill is step time minus what the same decode batch alone would have cost; exclusive prefill is the
    whole of every step that carries a prompt token. `request_seconds_prefill` is the per-request histograms' ratio,
    which is no phase mix: it stands here as a contrast only.
    """

    busy: Figure
    prefill_marginal: Figure
    prefill_exclusive: Figure
    memory_bound: Figure
    components: Mapping[str, Estimate] | Missing
    request_seconds_prefill: Figure


@dataclass(frozen=True, slots=True)
class _Shares:
    """One scenario's result: shares of busy time and components of wall time."""

    marginal: float
    exclusive: float
    memory: float
    components: Mapping[str, float]


def account(
    totals: Totals,
    identity: Identity,
    hardware: Hardware | Missing,
    gpu_utilization: float | None,
    model: StepModel | Missing = NO_MODEL,
    parts: Sequence[Part] = (),
) -> PhaseAccount:
    """The best account that the evidence allows.

    `model` is the replica's fitted step-time model, `parts` are the totals in parts within which the load may swing.
    """
    busy = busy_ratio(totals, gpu_utilization)
    below = _fitted(totals, hardware, busy, model, parts)
    if isinstance(below, Missing):
        below = _modelled(totals, hardware, busy)
    measured = measured_prefill(totals, busy)
    if isinstance(measured, Missing):
        return below
    marginal: Figure = _measured_marginal(totals, busy)
    if isinstance(marginal, Missing):
        marginal = measured if identity.mixed_steps is False else below.prefill_marginal
    components, memory = below.components, below.memory_bound
    if isinstance(memory, Missing):
        memory = _article_memory_bound(totals, measured, memory)
    return PhaseAccount(
        busy=below.busy if isinstance(busy, Missing) else busy,
        prefill_marginal=marginal,
        prefill_exclusive=measured,
        memory_bound=memory,
        components=components,
        request_seconds_prefill=_request_seconds(totals),
    )


def measured_prefill(totals: Totals, busy: Figure) -> Figure:
    """Exclusive prefill share of busy time from the engine's own timers."""
    prefill_s, decode_s = totals.deltas["prefill_s_total"], totals.deltas["decode_s_total"]
    if prefill_s is None:
        return Missing("the engine has no per-phase timer")
    if decode_s is not None:
        if prefill_s + decode_s <= 0:
            return Missing("the engine's timers did not move: the server was idle")
        return Estimate.exact(prefill_s / (prefill_s + decode_s), Evidence.MEASURED, "engine_timer")
    if isinstance(busy, Missing):
        return busy
    if busy.value <= 0:
        return Missing("the server was idle")
    share = prefill_s / totals.covered_s

    def of_busy(ratio: float) -> float:
        return min(1.0, share / ratio) if ratio > 0 else 1.0

    low, high = of_busy(busy.high), of_busy(busy.low)
    return Estimate(of_busy(busy.value), low, high, busy.evidence, "engine_prefill_timer_per_busy")


def _measured_marginal(totals: Totals, busy: Figure) -> Figure:
    """Marginal prefill share of busy time where the engine's own record of every step tells it."""
    marginal_s = totals.deltas["prefill_marginal_s_total"]
    if marginal_s is None or isinstance(busy, Missing) or busy.value <= 0 or busy.evidence is not Evidence.MEASURED:
        return Missing("the engine does not say how long each step took")
    share = min(1.0, marginal_s / (busy.value * totals.covered_s))
    return Estimate.exact(share, Evidence.MEASURED, "engine_step_records")


def _fitted(
    totals: Totals, hardware: Hardware | Missing, busy: Figure, model: StepModel | Missing, parts: Sequence[Part]
) -> PhaseAccount | Missing:
    """The account of the fitted step-time model.

    It is `fitted` where live data decide what a step costs. Which part of that the reads of weights take no counter
    tells: that split is a roofline's, and so at most `modelled`.
    """
    if isinstance(model, Missing):
        return model
    found = shares(model, parts)
    if isinstance(found, Missing):
        return found
    guess = Evidence.MODELLED if isinstance(hardware, Missing) or not hardware.assumed else Evidence.ASSUMED
    decided = model.decided
    if isinstance(busy, Missing):
        ratio = min(1.0, found.busy_s / found.covered_s)
        busy = Estimate(ratio, ratio * 0.9, min(1.0, ratio * 1.1), Evidence.FITTED if decided else guess, STEP_MODEL)
    if busy.value <= 0:
        return Missing("the server was idle")
    told = Evidence.FITTED if decided else guess

    def figure(name: str, evidence: Evidence) -> Estimate:
        return Estimate(*interval(found.shares[name]), evidence, STEP_MODEL)

    components: Mapping[str, Estimate] | Missing
    memory: Figure
    if model.unsplit is None:
        components, memory = _components(found, busy, worst(busy.evidence, guess)), figure("memory", guess)
    else:
        why = hardware if isinstance(hardware, Missing) else model.unsplit
        components, memory = why, why
    return PhaseAccount(
        busy=busy,
        prefill_marginal=figure("marginal", told),
        prefill_exclusive=figure("exclusive", told),
        memory_bound=memory,
        components=components,
        request_seconds_prefill=_request_seconds(totals),
    )


def _components(found: SpanShares, busy: Estimate, evidence: Evidence) -> Mapping[str, Estimate]:
    """Components of wall time from shares of busy time: they sum to 1 with the idle time."""
    result = {}
    for name in COMPONENTS:
        if name == "idle":
            continue
        share: Share = found.shares[name]
        value, low, high = interval(share)
        result[name] = Estimate(value * busy.value, low * busy.low, min(1.0, high * busy.high), evidence, STEP_MODEL)
    idle = max(0.0, 1 - sum(one.value for one in result.values()))
    low, high = min(idle, 1 - busy.high), max(idle, 1 - busy.low)
    return {**result, "idle": Estimate(idle, max(0.0, low), min(1.0, high), busy.evidence, busy.method)}


def _article_memory_bound(totals: Totals, prefill: Estimate, why: Missing) -> Figure:
    """The article's rule, decode is memory-bound, where no hardware facts allow better; only at a small batch."""
    batch = decode_batch(totals)
    if isinstance(batch, Missing) or batch.value > ARTICLE_LARGE_BATCH:
        return why
    decode = 1 - prefill.value
    return Estimate(decode, decode / 2, decode, Evidence.ASSUMED, "article_decode_is_memory_bound")


def _request_seconds(totals: Totals) -> Figure:
    prefill_s, decode_s = totals.deltas["request_prefill_s_total"], totals.deltas["request_decode_s_total"]
    if prefill_s is None or decode_s is None:
        return Missing("the engine has no per-request phase histograms")
    if prefill_s + decode_s <= 0:
        return Missing("no request finished in this span")
    return Estimate.exact(prefill_s / (prefill_s + decode_s), Evidence.MEASURED, "request_seconds_not_a_phase_mix")


def _modelled(totals: Totals, hardware: Hardware | Missing, busy: Figure) -> PhaseAccount:
    """The roofline account, its interval the spread over efficiencies and over the busy time's own interval."""
    done = work(totals)
    why = hardware if isinstance(hardware, Missing) else done
    if isinstance(hardware, Missing) or isinstance(done, Missing):
        assert isinstance(why, Missing)
        return _nothing(totals, busy, why)
    central, ends = corners(done, hardware)
    if central.total <= 0 or totals.covered_s <= 0:
        return _nothing(totals, busy, Missing("the server was idle"))
    if isinstance(busy, Missing):
        ratio = min(1.0, central.total / totals.covered_s)
        busy = Estimate(ratio, ratio * 0.8, min(1.0, ratio * 1.5), Evidence.MODELLED, "roofline_without_busy_time")
    if busy.value <= 0:
        return _nothing(totals, busy, Missing("the server was idle"))
    middle = _split(central, busy.value, totals.covered_s)
    spread = [
        _split(end, ratio, totals.covered_s) for end in ends for ratio in (busy.low, busy.value, busy.high) if ratio > 0
    ]
    evidence = worst(busy.evidence, Evidence.ASSUMED if hardware.assumed else Evidence.MODELLED)

    def figure(pick: str) -> Estimate:
        return _interval(getattr(middle, pick), [getattr(one, pick) for one in spread], evidence)

    return PhaseAccount(
        busy=busy,
        prefill_marginal=figure("marginal"),
        prefill_exclusive=figure("exclusive"),
        memory_bound=figure("memory"),
        components={
            name: _interval(middle.components[name], [one.components[name] for one in spread], evidence)
            for name in COMPONENTS
        },
        request_seconds_prefill=_request_seconds(totals),
    )


def _interval(value: float, others: list[float], evidence: Evidence) -> Estimate:
    return Estimate(value, min(value, *others), max(value, *others), evidence, "roofline")


def _nothing(totals: Totals, busy: Figure, why: Missing) -> PhaseAccount:
    return PhaseAccount(busy, why, why, why, why, _request_seconds(totals))


def _split(modelled: Seconds, busy: float, covered_s: float) -> _Shares:
    """Modelled seconds against the busy time: what the model cannot explain is overhead, never stretched work.

    Modelled seconds beyond the busy time cannot have happened; they are scaled down to it.
    """
    busy_s = busy * covered_s
    scale = min(1.0, busy_s / modelled.total)
    explained_s = modelled.total * scale
    prefill_s = modelled.prefill_marginal * scale
    return _Shares(
        marginal=min(1.0, prefill_s / busy_s),
        exclusive=min(1.0, modelled.prefill_exclusive * scale / busy_s),
        memory=min(1.0, modelled.memory * scale / busy_s),
        components={
            "weight_read": modelled.weight_read * scale / covered_s,
            "kv_read": modelled.kv_read * scale / covered_s,
            "decode_compute": modelled.decode_compute * scale / covered_s,
            "prefill": prefill_s / covered_s,
            "overhead": max(0.0, busy_s - explained_s) / covered_s,
            "idle": max(0.0, 1 - busy),
        },
    )
