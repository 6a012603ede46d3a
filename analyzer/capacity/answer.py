"""The largest load of a replica as it is and under changes of its step costs, and its latency at today's load."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import exp, isfinite

import numpy as np

from analyzer.capacity.costs import Array, Costs
from analyzer.capacity.doubt import Doubt, drawn
from analyzer.capacity.gaps import Gaps, mean_gap_s
from analyzer.capacity.load import load, room_of
from analyzer.capacity.mix import Limits, Mix
from analyzer.capacity.room import MARGIN_TOKENS, Rooms
from analyzer.capacity.solve import find
from analyzer.capacity.waiting import Waits
from analyzer.evidence import Estimate, Evidence, Figure, Missing, worst
from analyzer.objectives import Objective, Objectives
from analyzer.predict.transform import Coefficients
from analyzer.steptime.coefficients import Z80

METHOD = "capacity_of_step_model"
SOLVER_SD = 0.02
"""What the queueing formulas err by, relative: their error against simulated servers whose costs were known."""
USUAL = 0.95
"""The percentile of latencies that is reported where no objective names one."""


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
    """One side of a change. `concurrency` are sequences of the live context that KV memory holds at once,
    `longest_context` the tokens that one alone may have there; both are of memory, whether it limits or not.

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
    apart: Array = field(metadata={"plain": False}, repr=False, compare=False)
    """How far the logarithms of both capacities move by one standard deviation of each independent doubt: (2, k)."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a scheme makes of a replica: its costs, the standard deviation of the logarithm of its step speed-up, the
    evidence of that, and the KV tokens that fit (`kv_tokens_after`; None: not known).
    """

    after: Coefficients
    sd: float
    evidence: Evidence
    kv_capacity_tokens: float | None = None


@dataclass(frozen=True, slots=True)
class Replica:
    """A replica as it is: what it costs, is asked and is limited by; solved once for all changes."""

    costs: Coefficients
    mix: Mix
    limits: Limits
    objectives: Objectives
    doubt: Doubt
    now: Side
    found: Array
    """Capacity of the middle and of one draw per direction of the doubt."""


def replica(
    costs: Coefficients, mix: Mix, limits: Limits, objectives: Objectives, doubt: Doubt | None = None
) -> Replica:
    """The largest rate of this mix that keeps the objectives and fits seats and KV memory, and latency at its rate.

    `doubt`: how unsure the costs are; None: nothing is known of that, and the evidence is `assumed`. Intervals
    (P10, P90) follow from the doubt to first order.
    """
    doubt = Doubt.none(Evidence.ASSUMED) if doubt is None else doubt
    ((now, found),) = _sides([drawn(costs, doubt)], mix, [limits], objectives, [doubt.evidence])
    return Replica(costs, mix, limits, objectives, doubt, now, found)


def under(one: Replica, changes: Mapping[str, Change]) -> dict[str, CapacityReport]:
    """The replica under each change, all solved at once. Raises ValueError for costs that follow another law.

    Freed KV tokens are credited only where its limits are KV bound; less room than before counts at once, whatever
    shows today.
    """
    if not changes:
        return {}
    each = list(changes.values())
    costs = [drawn(change.after, one.doubt, change.sd) for change in each]
    limits = [_limits(one.limits, change) for change in each]
    evidence = [worst(one.doubt.evidence, change.evidence) for change in each]
    sides = _sides(costs, one.mix, limits, one.objectives, evidence)
    return {
        name: _report(one, change, *side, evidence=own)
        for (name, change), side, own in zip(changes.items(), sides, evidence, strict=True)
    }


def _credited(limits: Limits, change: Change) -> bool:
    held, fits = limits.kv_capacity_tokens, change.kv_capacity_tokens
    return limits.kv_bound and fits is not None and fits > (0.0 if held is None else held)


def _limits(limits: Limits, change: Change) -> Limits:
    held, fits = limits.kv_capacity_tokens, change.kv_capacity_tokens
    shrunk = fits is not None and held is not None and fits < held
    return replace(limits, kv_capacity_tokens=fits) if shrunk or _credited(limits, change) else limits


def _report(one: Replica, change: Change, after: Side, new: Array, *, evidence: Evidence) -> CapacityReport:
    if change.kv_capacity_tokens is not None:
        fits = change.kv_capacity_tokens
        after = replace(after, concurrency=_concurrency(fits, one.mix), longest_context=fits)
    old = np.append(one.found, one.found[0])
    apart = np.stack([_apart(old), _apart(new)])
    ratio: Figure = Missing("no load keeps the objectives as it is: there is nothing to compare with")
    if old[0] > 0:
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = _estimate(new / old, evidence)
    return CapacityReport(one.now, after, ratio, _credited(one.limits, change), one.objectives, apart)


def capacity(
    before: Coefficients,
    after: Coefficients,
    mix: Mix,
    limits: Limits,
    objectives: Objectives,
    doubt: Doubt | None = None,
    kv_capacity_after: float | None = None,
    change_sd: float = 0.0,
) -> CapacityReport:
    """`replica` and one change of it."""
    one = replica(before, mix, limits, objectives, doubt)
    return under(one, {"": Change(after, change_sd, one.doubt.evidence, kv_capacity_after)})[""]


def draws(report: CapacityReport, count: int, seed: int = 0) -> Array:
    """Capacity before and after in `count` cases that are as likely as the doubts make them, requests a second (2, n).

    Both move together where the same cost is in doubt. The first case is the middle.
    """
    sides = (report.before.capacity_per_s, report.after.capacity_per_s)
    middle = np.array([[one.value if isinstance(one, Estimate) else 0.0] for one in sides])
    rng = np.random.default_rng(seed)
    moved = rng.standard_normal((count, report.apart.shape[1])) @ report.apart.T
    moved += rng.standard_normal((count, 1)) * SOLVER_SD
    moved[0] = 0.0
    return np.asarray(middle * np.exp(moved.T), dtype=np.float64)


def _sides(
    each: Sequence[Costs], mix: Mix, limits: Sequence[Limits], objectives: Objectives, evidence: Sequence[Evidence]
) -> list[tuple[Side, Array]]:
    """Each side with the capacities of its draws, all solved at once; limits differ in their KV tokens alone."""
    costs = Costs.together(each)
    ends = np.cumsum([len(one) for one in each])
    rows = [slice(int(end) - len(one), int(end)) for end, one in zip(ends, each, strict=True)]
    held = [one.kv_capacity_tokens for one in limits]
    space = {own: room_of(mix, limits[0], own) for own in set(held)}
    fits = [space[own] for one, own in zip(each, held, strict=True) for _ in range(len(one))]
    together = replace(limits[0], rooms=Rooms.of(fits))
    found = find(costs, mix, together, objectives)
    latencies = _latencies(costs, mix, together, objectives)
    sides = []
    for own, row, known in zip(held, rows, evidence, strict=True):
        side = Side(
            capacity_per_s=_estimate(found.capacity_per_s[row, 0], known),
            stability_per_s=_estimate(found.stability_per_s[row, 0], known),
            today=_latency(latencies, row, known),
            concurrency=None if own is None else _concurrency(own, mix),
            longest_context=own,
            bound=str(found.binding[row.start, 0]),
        )
        sides.append((side, found.capacity_per_s[row, 0]))
    return sides


def _concurrency(kv_tokens: float, mix: Mix) -> float:
    return kv_tokens / (mix.context_tokens + MARGIN_TOKENS)


def _latencies(costs: Costs, mix: Mix, limits: Limits, objectives: Objectives) -> Array:
    """`Latency`'s figures of each draw at today's load (k, 5); infinite where the queue grows without end."""
    at = load(costs, mix, limits, np.full((len(costs), 1), mix.rate_per_s))
    gaps, waits = Gaps(costs, mix, limits, at), Waits(costs, mix, limits, at)
    told = (
        at.rate_per_s * mix.sequence_steps / at.step_rate,
        mean_gap_s(mix, at),
        gaps.percentile_s(_share(objectives.token_gap)),
        waits.mean_s(),
        waits.percentile_s(_share(objectives.first_token)),
    )
    return np.where(at.stable, np.concatenate(told, axis=1), np.inf)


def _latency(each: Array, row: slice, evidence: Evidence) -> Latency:
    return Latency(*(_estimate(one, evidence) for one in each[row].T))


def _share(objective: Objective | None) -> float:
    return USUAL if objective is None else objective.share


def _apart(values: Array) -> Array:
    """How far the others' logarithms lie from the first's."""
    if not values[0] > 0:
        return np.zeros(len(values) - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = np.log(values[1:] / values[0])
    # Where a draw leaves no capacity or no end of waiting, a factor e stands for that.
    return np.asarray(np.clip(np.nan_to_num(apart, nan=1.0, posinf=1.0, neginf=-1.0), -1.0, 1.0))


def _estimate(values: Array, evidence: Evidence) -> Figure:
    """The first draw with an interval from the others' distances, added up as independent, in logarithms."""
    middle = float(values[0])
    if not (isfinite(middle) and middle >= 0):
        return Missing("more requests come than can be served: the queue grows without end")
    if middle == 0:
        return Estimate.exact(0.0, evidence, METHOD)
    sd = float(np.sqrt((_apart(values) ** 2).sum() + SOLVER_SD**2))
    spread = exp(Z80 * sd)
    return Estimate(middle, middle / spread, middle * spread, evidence, METHOD)
