"""What a deployment's replicas do, together: where their time goes, now and hour by hour, and how large steps are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import reduce
from itertools import chain
from operator import attrgetter

import numpy as np

from analyzer.columns import Column
from analyzer.combine import weighted_mean
from analyzer.evidence import Estimate, Evidence, Missing, worst
from analyzer.hours import MixHours, deployment_hours
from analyzer.packed import Rows
from analyzer.phases import COMPONENTS, PhaseAccount
from analyzer.replicas import ReplicaReport
from analyzer.stepsizes import StepSize, StepSizes

_FIGURES = attrgetter(*(one.name for one in fields(StepSize)))


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
    return known[0] if len(known) == 1 else _together(known)


def _together(known: Sequence[StepSizes]) -> StepSizes:
    """Several replicas' steps: counts add up, and so does their time where all tell it."""
    counted = np.array([one.counted_steps for one in known])
    sizes = np.stack([_columns(one) for one in known], axis=1)  # figures, replicas, sizes
    up_to, tokens, shares, _, lengths_s = sizes
    counts = shares * counted[:, None]
    count, spent_s = counts.sum(axis=0), (counts * lengths_s).sum(axis=0)
    if np.isnan(spent_s).any():
        spent_s = np.full_like(spent_s, np.nan)
    # Where nobody counted a step, what the first one says stands.
    mean_tokens, length_s = (
        np.divide(of, count, out=first.copy(), where=count > 0)
        for of, first in (((counts * tokens).sum(axis=0), tokens[0]), (spent_s, lengths_s[0] + 0 * spent_s))
    )
    rows = np.column_stack([up_to[0], mean_tokens, count / counted.sum(), spent_s / spent_s.sum(), length_s])
    return StepSizes(
        sizes=Rows(StepSize, rows),
        counted_steps=float(counted.sum()),
        mean_tokens=float(np.array([one.mean_tokens for one in known]) @ counted / counted.sum()),
        largest_batch=None,
        evidence=reduce(_evidence, (one.evidence for one in known)),
    )


def _columns(one: StepSizes) -> Column:
    """The sizes' figures in the order of `StepSize`, shape (figures, sizes); not a number where one is None."""
    sizes = one.sizes
    told = sizes.figures() if isinstance(sizes, Rows) else chain.from_iterable(map(_FIGURES, sizes))
    return np.array(list(told), dtype=np.float64).reshape(len(sizes), -1).T


def _evidence(one: Evidence | Missing, other: Evidence | Missing) -> Evidence | Missing:
    if isinstance(one, Missing):
        return one
    return other if isinstance(other, Missing) else worst(one, other)
