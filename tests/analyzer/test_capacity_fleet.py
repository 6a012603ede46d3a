"""A deployment's load against what its replicas carry: the peak, uneven balancing, whole replicas."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.capacity import Limits, capacity, plain_mix
from analyzer.capacity.demand import Demand, Span, peak
from analyzer.capacity.fleet import fleet_capacity, imbalance, needed, scheme_capacity
from analyzer.capacity.live import ReplicaCapacity
from analyzer.capacity.memory import KvLimit
from analyzer.evidence import Estimate, Evidence, Missing
from analyzer.objectives import Objectives
from analyzer.predict import Coefficients

BUCKET_S = 300.0
WHY = Missing("not told")
COSTS = Coefficients(5.6e-3, 0.5e-3, 2.7e-5, 1e-5, 4.9e-8, 2.9e-5, 1.0)
REPORT = capacity(COSTS, replace(COSTS, weight_read_s=2.8e-3), plain_mix(5.0, 300, 600), Limits(2048, 64), Objectives())


def demand(*counts: float, start_s: float = 0.0) -> Demand:
    return Demand(tuple(Span(start_s + BUCKET_S * at, BUCKET_S, count) for at, count in enumerate(counts)))


def sure(value: float) -> Estimate:
    return Estimate.exact(value, Evidence.FITTED, "by hand")


def one(rate_per_s: float, hours: int = 1) -> ReplicaCapacity:
    """A replica of about 10 requests a second at most, evenly loaded."""
    load = demand(*[rate_per_s * BUCKET_S] * (12 * hours))
    told = KvLimit(None, "not told")
    return ReplicaCapacity(sure(rate_per_s), told, REPORT.before, {"fp8-w8a8": REPORT}, Objectives(), False, load)


def test_replicas_add_up_bucket_by_bucket_and_one_that_was_not_there_had_no_load() -> None:
    """300 and 600 requests in five minutes: 1 + 2 a second; the later replica adds 3 a second in the second bucket."""
    whole = Demand.together([demand(300, 300), demand(600, 600), demand(900, start_s=BUCKET_S)])

    assert [span.rate_per_s for span in whole.spans] == pytest.approx([3.0, 6.0])
    assert whole.span_s == 2 * BUCKET_S


def test_the_peak_of_a_swinging_load_is_its_99th_percentile() -> None:
    """Two of a hundred buckets are at 40 a second, the rest at 10: chance (12,000 in a bucket) takes away 1 %."""
    found = peak(demand(*[3000.0] * 98, 12_000.0, 12_000.0))

    assert isinstance(found, Estimate)
    assert found.value == pytest.approx(40, rel=0.01)


def test_chance_alone_is_no_peak() -> None:
    """Counts of 300 scatter by 17: their 99th percentile is 340, though the load never was more than 1 a second."""
    counts = np.random.default_rng(3).poisson(300, 2000)
    found = peak(demand(*map(float, counts)))

    assert isinstance(found, Estimate)
    assert float(np.quantile(counts, 0.99)) / BUCKET_S > 1.12
    assert found.value < 1.05


def test_an_hour_of_load_has_a_peak_and_less_has_none() -> None:
    assert isinstance(peak(demand(*[300.0] * 12)), Estimate)
    assert isinstance(peak(demand(*[300.0] * 11)), Missing)
    assert isinstance(peak(Demand()), Missing)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1e5), min_size=12, max_size=60), st.floats(0.1, 10))
def test_a_peak_lies_between_the_mean_and_the_most(counts: list[float], times: float) -> None:
    found, mean = peak(demand(*counts)), demand(*counts).mean_per_s()
    assert isinstance(found, Estimate)
    assert isinstance(mean, Estimate)

    assert mean.value - 1e-9 <= found.value <= max(counts) / BUCKET_S + 1e-9


def test_whole_replicas_by_hand() -> None:
    """20 a second at 6 to 9 a replica (7 most likely): 20 / 7 = 2.86 > 3; 4 at worst, 3 at best. 1.2 uneven: 24 / 7."""
    per_s = Estimate(7.0, 6.0, 9.0, Evidence.FITTED, "by hand")
    even, uneven = needed(sure(20.0), sure(1.0), per_s), needed(sure(20.0), sure(1.2), per_s)

    assert isinstance(even, Estimate)
    assert isinstance(uneven, Estimate)
    assert (even.low, even.value, even.high) == (3, 3, 4)
    assert (uneven.low, uneven.value, uneven.high) == (3, 4, 4)
    assert isinstance(needed(sure(1.0), sure(1.0), Estimate(1, 0, 2, Evidence.FITTED, "by hand")), Missing)
    assert needed(WHY, sure(1.0), per_s) == WHY


@given(st.floats(0.01, 1e4), st.floats(1, 3), st.floats(0.01, 1e3), st.floats(1, 4))
def test_more_capacity_never_needs_more_replicas(load: float, uneven: float, per_s: float, times: float) -> None:
    fewer, more = (needed(sure(load), sure(uneven), sure(one)) for one in (per_s * times, per_s))
    assert isinstance(fewer, Estimate)
    assert isinstance(more, Estimate)

    assert 1 <= fewer.value <= more.value <= ceil(load * uneven / per_s) + 1
    assert needed(sure(load), sure(uneven), sure(per_s)) == more


def test_the_most_loaded_replica_sets_what_the_fleet_carries() -> None:
    """3, 3 and 6 a second: half as much again as the mean of 4. A spare one with 0.1 is not counted."""
    found = imbalance([one(3), one(3), one(6)])
    spare = imbalance([one(3), one(3), one(6), one(0.1)])

    assert isinstance(found, Estimate)
    assert found.value == pytest.approx(1.5)
    assert isinstance(spare, Estimate)
    assert spare.value == pytest.approx(1.5)


def test_a_fleet_at_a_third_of_its_load_needs_fewer_replicas_already() -> None:
    """Six replicas with 2 requests a second each; one carries some 8.6: two are enough as they are."""
    members = [one(2.0) for _ in range(6)]
    fleet = fleet_capacity(members, 6)
    scheme = scheme_capacity("fp8-w8a8", members, fleet, members[0])
    before = REPORT.before.capacity_per_s
    assert isinstance(before, Estimate)
    assert isinstance(fleet.needed, Estimate)
    assert isinstance(fleet.load, Estimate)
    assert isinstance(scheme.needed, Estimate)

    assert fleet.load.value == pytest.approx(12 / 6 / before.value)
    assert fleet.needed.value == ceil(12 / before.value) == 2
    assert scheme.needed.value <= fleet.needed.value


def test_without_a_long_history_nothing_is_claimed() -> None:
    fleet = fleet_capacity([], 3)

    assert isinstance(fleet.needed, Missing)
    assert isinstance(scheme_capacity("fp8-w8a8", [], fleet, None).needed, Missing)
