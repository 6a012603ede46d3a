"""What a deployment's replicas do, together: where their time goes, now and hour by hour, and how large steps are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

from analyzer.combine import weighted_mean
from analyzer.evidence import Estimate, Evidence, Missing, worst
from analyzer.hours import MixHours, deployment_hours
from analyzer.phases import COMPONENTS, PhaseAccount
from analyzer.replicas import ReplicaReport
from analyzer.stepsizes import StepSize, StepSizes


@dataclass(frozen=True, slots=True)
class Workload:
    """`now` and `decision` are shares of wall time by what it went to, over the live and the decision span."""

    now: Mapping[str, Estimate] | Missing
    decision: Mapping[str, Estimate] | Missing
    hours: MixHours | Missing
    step_sizes: StepSizes | Missing
    """Over the decision span."""


def workload(members: Sequence[ReplicaReport]) -> Workload:
    """The replicas of one deployment, each weighing as much as is covered of it."""
    fresh = [one for one in members if one.fresh]
    return Workload(
        now=_shares([one.phases for one in fresh], [one.recent_covered_s for one in fresh]),
        decision=_shares([one.decision for one in members], [one.history_covered_s for one in members]),
        hours=deployment_hours([one.hours for one in members]),
        step_sizes=_sizes([one.history_step_sizes for one in members]),
    )


def _shares(accounts: Sequence[PhaseAccount], weights: Sequence[float]) -> Mapping[str, Estimate] | Missing:
    told = [one.components for one in accounts]
    known = [(one, weight) for one, weight in zip(told, weights, strict=True) if not isinstance(one, Missing)]
    if not known:
        reasons = [one.reason for one in told if isinstance(one, Missing)]
        return Missing(reasons[0] if reasons else "no replica answers")
    found = {
        name: weighted_mean([one[name] for one, _ in known], [weight for _, weight in known]) for name in COMPONENTS
    }
    missing = [one for one in found.values() if isinstance(one, Missing)]
    return missing[0] if missing else {name: one for name, one in found.items() if isinstance(one, Estimate)}


def _sizes(members: Sequence[StepSizes | Missing]) -> StepSizes | Missing:
    known = [one for one in members if isinstance(one, StepSizes)]
    if not known:
        reasons = [one.reason for one in members if isinstance(one, Missing)]
        return Missing(reasons[0] if reasons else "no replica of this deployment has been seen")
    return reduce(_both, known)


def _both(one: StepSizes, other: StepSizes) -> StepSizes:
    """Two replicas' steps together: counts add up, and so does their time where both tell it."""
    steps = one.counted_steps + other.counted_steps
    my_s, their_s = _length_s(one), _length_s(other)
    return StepSizes(
        sizes=tuple(
            _size(mine, one.counted_steps, theirs, other.counted_steps, my_s, their_s)
            for mine, theirs in zip(one.sizes, other.sizes, strict=True)
        ),
        counted_steps=steps,
        mean_tokens=(one.mean_tokens * one.counted_steps + other.mean_tokens * other.counted_steps) / steps,
        largest_batch=None,
        evidence=_evidence(one.evidence, other.evidence),
    )


def _size(
    mine: StepSize, my_steps: float, theirs: StepSize, their_steps: float, my_s: float | None, their_s: float | None
) -> StepSize:
    counts = mine.steps * my_steps, theirs.steps * their_steps
    count, whole = sum(counts), my_steps + their_steps
    busy = step_s = None
    if my_s is not None and their_s is not None and mine.busy is not None and theirs.busy is not None:
        spent_s = mine.busy * my_s + theirs.busy * their_s
        busy, step_s = spent_s / (my_s + their_s), spent_s / count if count > 0 else mine.step_s
    tokens = (mine.mean_tokens * counts[0] + theirs.mean_tokens * counts[1]) / count if count > 0 else mine.mean_tokens
    return StepSize(mine.up_to_tokens, tokens, count / whole, busy, step_s)


def _length_s(one: StepSizes) -> float | None:
    """Seconds of all counted steps; None where no model tells how long one takes."""
    told = [(size.steps, size.step_s) for size in one.sizes]
    return (
        None
        if any(length is None for _, length in told)
        else one.counted_steps * sum(steps * length for steps, length in told if length is not None)
    )


def _evidence(one: Evidence | Missing, other: Evidence | Missing) -> Evidence | Missing:
    if isinstance(one, Missing):
        return one
    return other if isinstance(other, Missing) else worst(one, other)
