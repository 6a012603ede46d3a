"""The replicas of a deployment -> its load at the peak, and how many replicas that takes, as it is and under a scheme.

Replicas do not share load evenly. The most loaded one meets its limit first, so that n replicas carry n times one's
capacity over `imbalance`: how much more loaded than the mean the most loaded one is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

from analyzer.capacity.answer import CapacityReport, Side
from analyzer.capacity.demand import Demand, peak
from analyzer.capacity.live import ReplicaCapacity
from analyzer.combine import weighted_mean
from analyzer.evidence import Estimate, Evidence, Figure, Missing, worst
from analyzer.folded import part
from analyzer.objectives import Objectives

SERVES = 0.05
"""A replica with less than this share of the mean load is spare: it is not what balancing looks like."""
NO_HISTORY = Missing("no replica has a history long enough")
JUST = 1e-9
"""Load that fills replicas exactly needs no further one."""


@dataclass(frozen=True, slots=True)
class FleetCapacity:
    """A deployment in requests a second of its own mix. `capacity_per_s` is one replica's, `needed` counts replicas.

    `peak_per_s` is the 99th percentile of all replicas' load together over `span_s`. `load` is the peak over what the
    running replicas carry, balanced as they are: 1 is full.
    """

    replicas: int
    mean_per_s: Figure
    peak_per_s: Figure
    span_s: float
    imbalance: Figure
    capacity_per_s: Figure
    load: Figure
    needed: Figure
    replica: Side | Missing
    """The busiest replica as it is: latencies at its load today, concurrency and what binds."""
    objectives: Objectives
    stated: bool
    """Whether the operator stated the objectives; if not, capacity is a share of what can be served at all."""


@dataclass(frozen=True, slots=True)
class SchemeCapacity:
    """What a scheme makes of it: one replica's capacity, after over before, and the replicas that the peak needs.

    `replica` is the busiest replica's report: latencies today, concurrency and what binds, before and after.
    """

    capacity_per_s: Figure
    ratio: Figure
    needed: Figure
    replica: CapacityReport | Missing


def fleet_capacity(
    replicas: Sequence[ReplicaCapacity], running: int, busiest: ReplicaCapacity | None = None
) -> FleetCapacity:
    """The fleet as it is; `running` are all replicas, `replicas` those with a history long enough to judge.

    `busiest` is the one of these whose own figures are shown, the first where nobody says.
    """
    busiest = replicas[0] if busiest is None and replicas else busiest
    shown: Side | Missing = NO_HISTORY if busiest is None else busiest.now
    objectives = Objectives() if busiest is None else busiest.objectives
    stated = busiest is not None and busiest.stated
    each = [_capacity(one) for one in replicas]
    own = weighted_mean(each, [1.0] * len(each))
    demand = Demand.together([one.demand for one in replicas])
    mean, high = demand.mean_per_s(), peak(demand)
    uneven = imbalance(replicas)
    load: Figure = high
    if isinstance(high, Estimate):
        load = _over(high, uneven, own, running)
    return FleetCapacity(
        running, mean, high, demand.span_s, uneven, own, load, needed(high, uneven, own), shown, objectives, stated
    )


def scheme_capacity(
    name: str, replicas: Sequence[ReplicaCapacity], fleet: FleetCapacity, busiest: ReplicaCapacity | None
) -> SchemeCapacity:
    """The fleet under a scheme; `busiest` is the replica whose own figures are shown."""
    if busiest is None:
        return SchemeCapacity(NO_HISTORY, NO_HISTORY, NO_HISTORY, NO_HISTORY)
    alike = [1.0] * len(replicas)
    after = weighted_mean([part(one.schemes, name, "after", "capacity_per_s") for one in replicas], alike)
    ratio = weighted_mean([part(one.schemes, name, "ratio") for one in replicas], alike)
    return SchemeCapacity(after, ratio, needed(fleet.peak_per_s, fleet.imbalance, after), busiest.schemes[name])


def needed(peak_per_s: Figure, imbalance: Figure, capacity_per_s: Figure) -> Figure:
    """Replicas that carry a peak within the objectives: whole ones, at least one. More at the low end of capacity."""
    for one in (peak_per_s, imbalance, capacity_per_s):
        if isinstance(one, Missing):
            return one
    assert isinstance(peak_per_s, Estimate)
    assert isinstance(imbalance, Estimate)
    assert isinstance(capacity_per_s, Estimate)
    if capacity_per_s.low <= 0:
        return Missing("no load keeps the objectives: no number of replicas is enough")
    load = peak_per_s.value * imbalance.value
    count = capacity_per_s.map(lambda per_s: float(whole(load, per_s)), "whole_replicas")
    evidence = worst(count.evidence, peak_per_s.evidence)
    return Estimate(count.value, count.low, count.high, evidence, count.method)


def whole(load_per_s: float, capacity_per_s: float) -> int:
    """Replicas of one capacity that carry a load."""
    return max(1, ceil(load_per_s / capacity_per_s - JUST))


def imbalance(replicas: Sequence[ReplicaCapacity]) -> Figure:
    """How much nearer to its own limit the most loaded replica is than the mean of those that serve."""
    shares = []
    for one in replicas:
        rate, limit = one.rate_per_s, _capacity(one)
        if isinstance(rate, Estimate) and isinstance(limit, Estimate) and limit.value > 0:
            shares.append(rate.value / limit.value)
    if not shares:
        return Missing("no replica's load and capacity are known")
    serving = [one for one in shares if one >= SERVES * float(np.mean(shares))]
    return Estimate.exact(max(serving) / float(np.mean(serving)), Evidence.MEASURED, "most_loaded_replica")


def _over(high: Estimate, uneven: Figure, own: Figure, running: int) -> Figure:
    if isinstance(own, Missing):
        return own
    if isinstance(uneven, Missing):
        return uneven
    if own.low <= 0 or running < 1:
        return Missing("no load keeps the objectives")
    return own.map(lambda per_s: high.value * uneven.value / per_s / running, "peak_over_capacity")


def _capacity(one: ReplicaCapacity) -> Figure:
    return one.now if isinstance(one.now, Missing) else one.now.capacity_per_s
