"""`capacity`: the largest load of a replica before and after a change of its step costs, and its latency today."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, isfinite

import numpy as np

from analyzer.capacity.costs import COSTS, Array, Costs, costs_of
from analyzer.capacity.gaps import Gaps, mean_gap_s
from analyzer.capacity.load import KV_MARGIN_TOKENS, load
from analyzer.capacity.mix import Limits, Mix
from analyzer.capacity.objectives import Objective, Objectives
from analyzer.capacity.solve import capacity_per_s, stability_limit
from analyzer.capacity.waiting import Waits
from analyzer.evidence import Estimate, Evidence, Figure, Missing
from analyzer.predict.transform import Coefficients
from analyzer.steptime.account import COEFFICIENT_ERROR, Z80
from analyzer.steptime.fit import StepModel
from analyzer.steptime.laws import Law

METHOD = "capacity_of_step_model"
SOLVER_SD = 0.02
"""What the queueing formulas err by, relative: their error against simulated servers whose costs were known."""
USUAL = 0.95
"""The percentile of latencies that is reported where no objective names one."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """How unsure the costs are: covariance of the logarithms of `before` in its fields' order (6, 6), and the standard
    deviation of the logarithm of the change's step speed-up.
    """

    covariance: Array
    change_sd: float
    evidence: Evidence

    @classmethod
    def none(cls, evidence: Evidence) -> Doubt:
        """Costs that are simply given."""
        return cls(np.zeros((len(COSTS), len(COSTS))), 0.0, evidence)


def doubt_of(model: StepModel, speedup: Estimate) -> Doubt:
    """The doubt of a fitted model under its likelier law, and of a prediction's step speed-up."""
    law = max(Law, key=model.weight_of)
    own = [one for one in model.hypotheses if one.law is law]
    whole = sum(one.weight for one in own)
    mean = np.log(np.sum([one.weight * np.exp(one.logs) for one in own], axis=0) / whole)
    covariance = np.eye(len(COSTS)) * COEFFICIENT_ERROR**2
    for one in own:
        apart = one.logs - mean
        covariance = covariance + one.weight / whole * (one.covariance + np.outer(apart, apart))
    spread = np.log(speedup.high / speedup.low) / 2 / Z80
    return Doubt(covariance, float(spread), speedup.evidence)


@dataclass(frozen=True, slots=True)
class Latency:
    """At today's load. Percentiles are those that the objectives name, the 95th where they name none."""

    decode_batch: Figure
    token_gap_mean_s: Figure
    token_gap_s: Figure
    first_token_mean_s: Figure
    first_token_s: Figure


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a change. `concurrency` are sequences at once by KV memory, `longest_context` tokens one may have.

    `bound` is what sets the capacity: `first_token`, `token_gap`, `utilisation`, or `unreachable` at a capacity of 0.
    """

    capacity_per_s: Figure
    stability_per_s: Figure
    today: Latency
    concurrency: float | None
    longest_context: float | None
    bound: str


@dataclass(frozen=True, slots=True)
class CapacityReport:
    """Requests a second that one replica takes, before and after; `ratio` is after over before.

    `kv_credited`: whether KV tokens that the change frees raised the capacity.
    """

    before: Side
    after: Side
    ratio: Figure
    kv_credited: bool
    objectives: Objectives


def capacity(
    before: Coefficients,
    after: Coefficients,
    mix: Mix,
    limits: Limits,
    objectives: Objectives,
    doubt: Doubt | None = None,
    kv_capacity_after: float | None = None,
) -> CapacityReport:
    """The largest rate of this mix that keeps the objectives and fits seats and KV memory, and latency at its rate.

    `doubt`: how unsure `before` and the change are; None: nothing is known of that, and the evidence is `assumed`.
    `kv_capacity_after`: KV tokens that fit after the change (`kv_tokens_after`); credited only where `limits` are KV
    bound. Intervals (P10, P90) follow from the doubt to first order. Raises ValueError for laws that differ.
    """
    doubt = Doubt.none(Evidence.ASSUMED) if doubt is None else doubt
    credited = limits.kv_bound and kv_capacity_after is not None and kv_capacity_after != limits.kv_capacity_tokens
    # Less room than before counts at once, whatever shows today.
    shrunk = kv_capacity_after is not None and kv_capacity_after < (limits.kv_capacity_tokens or 0.0)
    own = limits
    if credited or shrunk:
        own = Limits(limits.chunk_tokens, limits.seats, kv_capacity_after, limits.kv_bound)
    first, second = _draws(before, after, doubt)
    one, old = _side(first, mix, limits, objectives, doubt, changed=False)
    other, new = _side(second, mix, own, objectives, doubt, changed=True)
    ratio: Figure = Missing("no load keeps the objectives as it is: there is nothing to compare with")
    if old[0] > 0:
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = _estimate(new / old, doubt, changed=True, solver_sd=SOLVER_SD)
    return CapacityReport(one, other, ratio, credited, objectives)


def _draws(before: Coefficients, after: Coefficients, doubt: Doubt) -> tuple[Costs, Costs]:
    """The middle, one standard deviation along each principal direction of the doubt, and the change's own."""
    values, directions = np.linalg.eigh(doubt.covariance)
    moved = directions.T * np.sqrt(np.maximum(values, 0.0))[:, None]
    middle = np.log(np.maximum([getattr(before, name) for name in COSTS], 1e-18))
    changed = np.log(np.maximum([getattr(after, name) for name in COSTS], 1e-18))
    none = np.zeros((1, len(COSTS)))
    shifts = np.concatenate([none, moved, none])
    slower = np.zeros((len(shifts), 1))
    slower[-1] = doubt.change_sd

    def of(logs: Array, rounding: float) -> Costs:
        rows = [dict(zip(COSTS, map(float, row), strict=True)) for row in np.exp(logs)]
        return costs_of([Coefficients(**row, rounding=rounding) for row in rows])

    return of(middle + shifts, before.rounding), of(changed + shifts + slower, after.rounding)


def _side(
    costs: Costs, mix: Mix, limits: Limits, objectives: Objectives, doubt: Doubt, *, changed: bool
) -> tuple[Side, Array]:
    found = capacity_per_s(costs, mix, limits, objectives)[:, 0]
    stable = stability_limit(costs, mix, limits)[:, 0]
    held = limits.kv_capacity_tokens
    side = Side(
        capacity_per_s=_estimate(found, doubt, changed=changed, solver_sd=SOLVER_SD),
        stability_per_s=_estimate(stable, doubt, changed=changed, solver_sd=SOLVER_SD),
        today=_latency(costs, mix, limits, objectives, doubt, changed=changed),
        concurrency=None if held is None else held / (mix.context_tokens + KV_MARGIN_TOKENS),
        longest_context=held,
        bound=_bound(costs, mix, limits, objectives, float(found[0])),
    )
    return side, found


def _latency(costs: Costs, mix: Mix, limits: Limits, objectives: Objectives, doubt: Doubt, *, changed: bool) -> Latency:
    at = load(costs, mix, limits, np.full((len(costs), 1), mix.rate_per_s))
    if not at.stable[0, 0]:
        why = Missing("more requests come than can be served: the queue grows without end")
        return Latency(why, why, why, why, why)
    gaps, waits = Gaps(costs, mix, limits, at), Waits(costs, mix, limits, at)

    def told(values: Array) -> Figure:
        return _estimate(values[:, 0], doubt, changed=changed, solver_sd=SOLVER_SD)

    return Latency(
        decode_batch=told(at.rate_per_s * mix.sequence_steps / at.step_rate),
        token_gap_mean_s=told(mean_gap_s(mix, at)),
        token_gap_s=told(gaps.percentile_s(_share(objectives.token_gap))),
        first_token_mean_s=told(waits.mean_s()),
        first_token_s=told(waits.percentile_s(_share(objectives.first_token))),
    )


def _share(objective: Objective | None) -> float:
    return USUAL if objective is None else objective.share


def _bound(costs: Costs, mix: Mix, limits: Limits, objectives: Objectives, found: float) -> str:
    """The objective that alone gives the least capacity."""
    if found <= 0:
        return "unreachable"
    alone = {
        "first_token": objectives.first_token and Objectives(objectives.first_token, None),
        "token_gap": objectives.token_gap and Objectives(None, objectives.token_gap),
    }
    each = {name: float(capacity_per_s(costs, mix, limits, one)[0, 0]) for name, one in alone.items() if one}
    return min(each, key=lambda name: each[name]) if each else "utilisation"


def _estimate(values: Array, doubt: Doubt, *, changed: bool, solver_sd: float) -> Figure:
    """The first draw with an interval from the others' distances, added up as independent, in logarithms."""
    middle = float(values[0])
    if not (isfinite(middle) and middle >= 0):
        return Missing("more requests come than can be served: the queue grows without end")
    if middle == 0:
        return Estimate.exact(0.0, doubt.evidence, METHOD)
    used = values[1:] if changed else values[1:-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = np.log(used / middle)
    # Where a draw leaves no capacity or no end of waiting, a factor e stands for that.
    apart = np.clip(np.nan_to_num(apart, nan=1.0, posinf=1.0, neginf=-1.0), -1.0, 1.0)
    sd = float(np.sqrt((apart**2).sum() + solver_sd**2))
    spread = exp(Z80 * sd)
    return Estimate(middle, middle / spread, middle * spread, doubt.evidence, METHOD)
