"""Money: whole GPUs or nothing, through the steps one draw at a time; payback, first-year net, break-even."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.assumptions import Costs, Deployment
from analyzer.evidence import Estimate, Evidence, Figure, Missing
from analyzer.money import Load, Mode, Money, just_enough, money
from analyzer.money.draws import COUNT, draws, summary
from analyzer.money.fleet import needed, replicas_needed
from analyzer.money.savings import payback_months
from tests.fakes.histories import CHAT, PRICE

FREE = Costs(engineering_hours=0, engineering_usd_per_hour=0)


def sure(value: float) -> Estimate:
    return Estimate.exact(value, Evidence.MODELLED, "test")


def peak(replicas: float, low: float | None = None, high: float | None = None) -> Load:
    ends = (replicas if low is None else low, replicas if high is None else high)
    return Load(Estimate(replicas, *ends, Evidence.FITTED, "test"), computed=True)


def value(figure: Figure) -> float:
    assert isinstance(figure, Estimate), figure
    return figure.value


def interval(figure: Figure) -> tuple[float, float, float]:
    assert isinstance(figure, Estimate), figure
    return figure.low, figure.value, figure.high


def test_money_of_ten_replicas_by_hand() -> None:
    """10 / 1.4 = 7.14 needs 8 replicas of 1 GPU at $2/h: 2 * 2 * 730 = $2,920 a month; 10,000 / 2,920 = 3.42 months;
    12 * 2,920 - 10,000 = $25,040 in the first year. One GPU alone nets 17,520 - 10,000 > 0: 10 / 9 = 1.111x is enough,
    and 10,000 / (2 * 8,760 h) = $0.571 an hour.
    """
    result = money(CHAT, 10, 1, just_enough(10), sure(1.4))

    found = (result.replicas_needed, result.replicas_after, result.gpus_released, result.saving_usd_per_month)
    assert [value(one) for one in found] == [10, 8, 2, 2920]
    assert value(result.payback_months) == pytest.approx(3.4247, rel=1e-4)
    assert value(result.year_1_net_usd) == pytest.approx(25_040)
    assert value(result.break_even_ratio) == pytest.approx(10 / 9, rel=1e-4)
    assert not isinstance(result.pays_from, Missing)
    assert result.pays_from.usd_per_gpu_hour == pytest.approx(0.5708, rel=1e-3)
    assert result.mode is Mode.RELEASED


def test_two_replicas_with_a_floor_of_two_save_nothing_even_at_twice_the_speed() -> None:
    floor = replace(CHAT, minimum_replicas=2)
    result = money(floor, 2, 1, just_enough(2), sure(2.0))

    assert interval(result.gpus_released) == (0, 0, 0)
    assert interval(result.saving_usd_per_month) == (0, 0, 0)
    assert value(result.payback_months) == inf
    assert value(result.break_even_ratio) == inf
    assert result.mode is Mode.LATENCY_ONLY


def test_a_floor_above_todays_number_adds_no_replicas() -> None:
    result = money(replace(CHAT, minimum_replicas=3), 1, 1, just_enough(1), sure(1.0))

    assert value(result.replicas_after) == 1


def test_a_fleet_at_thirty_percent_load_is_credited_only_beyond_consolidation() -> None:
    """Ten replicas, peak 3: 7 go without any scheme. At 1.6x, 3 / 1.6 = 1.875 needs 2: one GPU, not eight."""
    result = money(CHAT, 10, 1, peak(3.0), sure(1.6))

    assert value(result.gpus_consolidated) == 7
    assert (value(result.replicas_needed), value(result.replicas_after)) == (3, 2)
    assert value(result.gpus_released) == 1
    assert value(result.saving_usd_per_month) == 1460


def test_an_overloaded_fleet_avoids_what_it_would_have_to_buy() -> None:
    """Four replicas, peak 4.6: five are needed, four at 1.2x (3.83). Nothing to give back, one not bought."""
    result = money(CHAT, 4, 1, peak(4.6), sure(1.2))

    assert (value(result.gpus_released), value(result.gpus_avoided)) == (0, 1)
    assert value(result.avoided_usd_per_month) == 1460
    assert result.mode is Mode.AVOIDED


def test_growth_is_avoided_month_by_month() -> None:
    """Two replicas filled to 1.9, growing 5 % a month: beyond 2 from month 2 on (1.9 * 1.05^2 = 2.09), beyond 3 from
    month 10 on (1.9 * 1.05^10 = 3.09). At 1.6x, 1.9 * 1.05^11 / 1.6 = 2.03 needs a third in the last month only.
    Months saved: 2 to 9 one GPU, 10 two, 11 one (4 - 3): 8 + 2 + 1 = 11 GPU-months of $1,460. And two replicas are one
    too many at first: 1.9 / 1.6 = 1.19 needs 2, so none is released.
    """
    growing = replace(CHAT, growth_per_month=0.05)
    result = money(growing, 2, 1, peak(1.9), sure(1.6))

    assert value(result.gpus_released) == 0
    assert value(result.avoided_usd_per_month) == pytest.approx(11 / 12 * 1460)
    assert value(result.year_1_net_usd) == pytest.approx(11 * 1460 - 10_000)
    assert result.mode is Mode.AVOIDED


def test_payback_waits_for_the_months_in_which_something_is_avoided() -> None:
    """Nothing for two months, then 1,000 a month against 1,500: paid back 1.5 months into the third."""
    flows = np.array([[0.0, 0.0] + [1000.0] * 10])

    assert payback_months(flows, 1500.0).tolist() == [3.5]
    assert payback_months(flows, 12_000.0).tolist() == [14.0]
    assert payback_months(np.zeros((1, 12)), 1500.0).tolist() == [inf]
    assert payback_months(flows, 0.0).tolist() == [0.0]


def test_each_model_release_costs_again() -> None:
    """$2,920 a month less 4 releases of 20 h at $100 = $8,000 a year: payback 10,000 / (2,920 - 666.67) = 4.438."""
    costs = Costs(100, 100, requantization_hours=20, model_releases_per_year=4)
    result = money(replace(CHAT, costs=costs), 10, 1, just_enough(10), sure(1.4))

    assert value(result.year_1_net_usd) == pytest.approx(12 * 2920 - 8000 - 10_000)
    assert value(result.payback_months) == pytest.approx(4.4379, rel=1e-4)
    assert costs.left_out == ("no cost of evaluating quality: set deployments[].costs.evaluation_hours",)


def test_whole_replicas_are_given_back_with_all_their_gpus() -> None:
    """Two replicas of four GPUs, one is enough at 2x: four GPUs, never two."""
    result = money(CHAT, 2, 4, just_enough(2), sure(2.0))

    assert value(result.gpus_released) == 4


def test_a_slower_scheme_costs_gpus() -> None:
    """10 / 0.9 = 11.1 needs 12: two more to buy."""
    result = money(CHAT, 10, 1, just_enough(10), sure(0.9))

    assert value(result.gpus_avoided) == -2
    assert value(result.year_1_net_usd) < -10_000
    assert result.mode is Mode.NONE


def test_an_interval_goes_through_the_steps_draw_by_draw() -> None:
    """Demand 3.9 to 4.1 and a sure 2x: half of the draws need 2, half 3. The ends are whole, and so is the middle."""
    result = money(CHAT, 5, 1, peak(4.0, 3.8, 4.2), sure(2.0))

    assert set(interval(result.replicas_after)) <= {2.0, 3.0}
    assert all(one == int(one) for one in interval(result.gpus_released))


def test_released_gpus_are_not_the_difference_of_two_intervals() -> None:
    """More load needs more replicas on both sides at once: demand 6 to 9 at a sure 1.5x frees 2 or 3, although replicas
    needed run from 6 to 9 and from 4 to 6 (9 - 4 = 5, 6 - 6 = 0)."""
    result = money(CHAT, 12, 1, peak(7.4, 6.0, 9.0), sure(1.5))

    low, _, high = interval(result.gpus_released)
    assert low >= 2
    assert high <= 3


def test_doubts_about_one_replica_move_load_and_gain_together() -> None:
    """Steps that cost a tenth more than thought raise the load; if the scheme gains as much more, both cancel: 4 / 1.6
    needs 3 in every case, up to the 2 % of the solver. As independent doubts they would spread from 2 to 4."""
    together = Load(Estimate(4.0, 2.9, 5.5, Evidence.FITTED, "test"), True, np.array([[-0.25], [0.0]]))
    ratio = Estimate(1.6, 1.2, 2.2, Evidence.FITTED, "test")
    apart = replace(together, apart=None)

    assert interval(money(CHAT, 9, 1, together, ratio).replicas_after) == (3, 3, 3)
    assert interval(money(CHAT, 9, 1, apart, ratio).replicas_after) == (2, 3, 4)


def test_money_without_a_price_or_costs_says_what_to_state() -> None:
    without = money(Deployment("chat"), 10, 1, just_enough(10), sure(1.4))
    costless = money(Deployment("chat", price=PRICE), 10, 1, just_enough(10), sure(1.4))

    assert isinstance(without.saving_usd_per_month, Missing)
    assert "price" in without.saving_usd_per_month.reason
    assert value(without.gpus_released) == 2
    assert isinstance(costless.payback_months, Missing)
    assert "costs" in costless.payback_months.reason


def test_a_price_that_is_shipped_is_assumed_and_a_stated_one_is_not() -> None:
    shipped = replace(CHAT, price=replace(PRICE, shipped=True))
    stated = money(CHAT, 10, 1, peak(9.5), sure(1.4)).saving_usd_per_month
    guessed = money(shipped, 10, 1, peak(9.5), sure(1.4)).saving_usd_per_month

    assert isinstance(stated, Estimate)
    assert isinstance(guessed, Estimate)
    assert (stated.evidence, guessed.evidence) == (Evidence.MODELLED, Evidence.ASSUMED)


def test_draws_have_the_interval_they_were_made_of() -> None:
    """P10, P50 and P90 come back within what so many draws can tell."""
    figure = Estimate(1.5, 1.1, 1.8, Evidence.FITTED, "test")
    (drawn,) = draws([figure])

    assert len(drawn) == COUNT
    back = summary(drawn, Evidence.FITTED, "test")
    assert (back.low, back.value, back.high) == pytest.approx((1.1, 1.5, 1.8), rel=0.01)


demands = st.floats(0.05, 60)
ratios = st.floats(0.4, 4)
owned = st.integers(1, 50)
floors = st.integers(1, 5)


@given(owned, floors, demands, ratios, st.floats(-0.05, 0.2))
def test_what_is_released_avoided_and_consolidated_adds_up(
    many: int, floor: int, load: float, ratio: float, growth: float
) -> None:
    """Released and avoided are together what is needed less; released is never more than owned and not consolidated."""
    grown = (1 + growth) ** np.arange(12)
    fleet = replicas_needed(many, floor, np.array([load]), np.array([ratio]), grown)

    assert (fleet.released + fleet.avoided == fleet.without - fleet.under).all()
    assert (fleet.released + fleet.consolidated <= many - min(floor, many)).all()
    assert (fleet.consolidated >= 0).all()
    assert (fleet.under >= min(floor, many)).all()


@given(owned, floors, demands, ratios)
def test_without_a_speedup_nothing_is_saved(many: int, floor: int, load: float, ratio: float) -> None:
    same = replicas_needed(many, floor, np.array([load]), np.array([1.0]), np.ones(12))
    faster = replicas_needed(many, floor, np.array([load]), np.array([max(1.0, ratio)]), np.ones(12))

    assert (same.released == 0).all()
    assert (same.avoided == 0).all()
    assert (faster.released >= 0).all()
    assert (faster.avoided >= 0).all()


@given(demands, demands, floors)
def test_more_load_never_needs_fewer_replicas(first: float, second: float, floor: int) -> None:
    low, high = sorted((first, second))

    assert needed(np.array([low]), floor)[0] <= needed(np.array([high]), floor)[0]


@settings(max_examples=25, deadline=None)
@given(owned, floors, st.floats(0.3, 20), ratios, st.floats(1.0, 1.3), st.integers(1, 8))
def test_money_keeps_its_order_and_its_whole_numbers(
    many: int, floor: int, load: float, ratio: float, spread: float, gpus: int
) -> None:
    """P10 <= P50 <= P90; GPUs are multiples of a replica's; a better ratio never nets less; free work never loses."""
    fast = Estimate(ratio, ratio / spread, ratio * spread, Evidence.FITTED, "test")
    faster = replace(fast, value=ratio * 1.2, low=fast.low * 1.2, high=fast.high * 1.2)
    stated = replace(CHAT, minimum_replicas=floor, costs=FREE)
    results = [money(stated, many, gpus, peak(load, load / spread, load * spread), one) for one in (fast, faster)]

    for one in results:
        assert all(end % gpus == 0 for end in (*interval(one.gpus_released), *interval(one.gpus_avoided)))
        assert value(one.gpus_released) + value(one.gpus_consolidated) <= many * gpus
    assert _ordered(results[0].year_1_net_usd, results[1].year_1_net_usd)
    if fast.low >= 1:
        assert interval(results[0].year_1_net_usd)[0] >= 0


def _ordered(first: Figure, second: Figure) -> bool:
    return all(a <= b + 1e-6 for a, b in zip(interval(first), interval(second), strict=True))


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 40), st.floats(1.1, 3.0))
def test_the_break_even_speedup_is_where_the_net_turns(many: int, ratio: float) -> None:
    """Just above the break-even the first year pays, just below it does not."""
    plain = money(CHAT, many, 1, just_enough(many), sure(ratio))
    turns = value(plain.break_even_ratio)
    assert turns < inf

    above = money(CHAT, many, 1, just_enough(many), sure(turns * 1.001))
    below = money(CHAT, many, 1, just_enough(many), sure(turns * 0.999))
    assert value(above.year_1_net_usd) > 0 >= value(below.year_1_net_usd)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 20), st.floats(1.15, 2.0))
def test_what_would_make_it_pay_makes_it_pay(many: int, ratio: float) -> None:
    """At the price and at the load that `pays_from` names, the pessimistic first year nets nothing or more."""
    fast = Estimate(ratio, ratio / 1.05, ratio * 1.05, Evidence.FITTED, "test")
    found = money(CHAT, many, 1, just_enough(many), fast).pays_from
    assert not isinstance(found, Missing)
    if found.usd_per_gpu_hour is not None:
        dear = replace(CHAT, price=replace(PRICE, usd_per_gpu_hour=found.usd_per_gpu_hour * 1.0001))
        assert _pessimistic(money(dear, many, 1, just_enough(many), fast)) >= 0
    if found.load_ratio is not None:
        assert _pessimistic(money(CHAT, many, 1, peak(many * found.load_ratio), fast)) > -1e-6


def _pessimistic(result: Money) -> float:
    return interval(result.year_1_net_usd)[0]
