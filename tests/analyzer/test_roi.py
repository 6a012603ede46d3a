"""Speed-ups and money: the article's rule beside Amdahl's law; whole GPUs or nothing."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.assumptions import Costs, Deployment
from analyzer.evidence import Estimate, Evidence, Missing
from analyzer.roi import cost_usd_per_million_tokens, money, replicas_needed
from analyzer.speedup import amdahl_speedup, article_speedup, spread
from tests.fakes.histories import CHAT, PRICE


def sure(value: float) -> Estimate:
    return Estimate.exact(value, Evidence.MODELLED, "test")


def test_the_articles_rule_and_amdahls_law_part_at_the_worked_example() -> None:
    """f 0.8, s 1.5: 1 + 0.5 * 0.8 = 1.4; 1 / (0.2 + 0.8 / 1.5) = 1 / 0.7333 = 1.364."""
    assert article_speedup(0.8, 1.5) == pytest.approx(1.4)
    assert amdahl_speedup(0.8, 1.5) == pytest.approx(1.364, abs=5e-4)


@given(st.floats(0, 1), st.floats(0.2, 4))
def test_amdahl_never_promises_more_than_the_article(share: float, speed: float) -> None:
    assert amdahl_speedup(share, speed) <= article_speedup(share, speed) + 1e-12


@given(st.floats(0, 1), st.floats(0, 1), st.floats(1, 4))
def test_more_memory_bound_time_never_lowers_the_speedup(first: float, second: float, speed: float) -> None:
    low, high = sorted((first, second))

    assert amdahl_speedup(low, speed) <= amdahl_speedup(high, speed) + 1e-12


def test_a_spread_holds_every_combination_and_is_at_best_assumed() -> None:
    """f 0.5 to 1, s 0.9 to 2: lowest at f 1, s 0.9 (0.9), highest at f 1, s 2 (2)."""
    share = Estimate(0.8, 0.5, 1.0, Evidence.MEASURED, "test")
    result = spread(amdahl_speedup, share, (0.9, 1.5, 2.0), "amdahl")

    assert (result.low, result.high) == (pytest.approx(0.9), pytest.approx(2.0))
    assert result.evidence is Evidence.ASSUMED


def test_cost_per_million_tokens_by_hand() -> None:
    """4.50 $/h at 30 tokens/s: 4.5 / (30 * 3600) * 1e6 = 41.667."""
    result = cost_usd_per_million_tokens(4.5, sure(30))

    assert isinstance(result, Estimate)
    assert result.value == pytest.approx(41.667, abs=1e-3)
    assert result.evidence is Evidence.ASSUMED


def test_no_tokens_have_no_cost_per_token() -> None:
    assert isinstance(cost_usd_per_million_tokens(4.5, sure(0)), Missing)


def test_whole_replicas_or_nothing() -> None:
    """10 / 1.4 = 7.14 needs 8; 2 / 1.9 = 1.05 needs 2; 2 / 2 needs 1."""
    assert replicas_needed(10, 1.4, 1) == 8
    assert replicas_needed(2, 1.9, 1) == 2
    assert replicas_needed(2, 2.0, 1) == 1


def test_two_replicas_with_a_floor_of_two_save_nothing_even_at_twice_the_speed() -> None:
    floor = Deployment("chat", price=PRICE, minimum_replicas=2, costs=CHAT.costs)
    result = money(floor, 2, 1, sure(2.0))

    assert isinstance(result.gpus_released, Estimate)
    assert isinstance(result.payback_months, Estimate)
    assert result.gpus_released.value == 0
    assert result.payback_months.value == inf


def test_a_floor_above_todays_number_adds_no_replicas() -> None:
    assert replicas_needed(1, 1.0, 3) == 1


def test_money_of_ten_replicas_by_hand() -> None:
    """1.4x: 10 -> 8 replicas of 1 GPU at $2/h: 2 * 2 * 730 = $2,920 a month; 10,000 / 2,920 = 3.42 months;
    12 * 2,920 - 10,000 = $25,040 in the first year. The article's saving: 14,600 * (1 - 1/1.4) = $4,171."""
    result = money(CHAT, 10, 1, sure(1.4))

    values = [
        figure.value
        for figure in (
            result.replicas_after,
            result.gpus_released,
            result.saving_usd_per_month,
            result.payback_months,
            result.year_1_net_usd,
            result.article_saving_usd_per_month,
        )
        if isinstance(figure, Estimate)
    ]
    assert values == pytest.approx([8, 2, 2920, 3.4247, 25_040, 4171.43], rel=1e-4)


def test_a_slower_scheme_costs_gpus() -> None:
    """0.9x: 10 / 0.9 = 11.1 needs 12: two more."""
    result = money(CHAT, 10, 1, sure(0.9))

    assert isinstance(result.gpus_released, Estimate)
    assert result.gpus_released.value == -2


def test_money_without_a_price_or_costs_says_what_to_state() -> None:
    without = money(Deployment("chat"), 10, 1, sure(1.4))
    costless = money(Deployment("chat", price=PRICE, costs=Costs()), 10, 1, sure(1.4))

    assert isinstance(without.saving_usd_per_month, Missing)
    assert "price" in without.saving_usd_per_month.reason
    assert isinstance(costless.payback_months, Missing)
    assert "costs" in costless.payback_months.reason


@given(st.integers(1, 50), st.floats(0.3, 5), st.floats(0.3, 5), st.integers(1, 5))
def test_a_larger_speedup_never_needs_more_replicas(replicas: int, first: float, second: float, floor: int) -> None:
    low, high = sorted((first, second))

    assert replicas_needed(replicas, high, floor) <= replicas_needed(replicas, low, floor)
