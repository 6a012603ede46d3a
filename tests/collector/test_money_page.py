"""MONEY.md: the article to the digit, ours by hand, and the difference in words."""

from __future__ import annotations

import pytest

from analyzer.evidence import Estimate
from collector.export.money_page import amdahl_example, fleet_money, money_markdown


def figure(one: object) -> float:
    assert isinstance(one, Estimate)
    return one.value


def test_the_articles_example_stands_there_to_the_digit() -> None:
    text = money_markdown()

    for line in (
        "| `speedup` | 1.400 |",
        "| `tps_after` | 42.000 |",
        "| `cost_per_million_before` | 41.667 |",
        "| `cost_per_million_after` | 29.762 |",
        "| `cost_reduction_percent` | 28.571 |",
        "| `recommendation` | worth_it |",
        "| `monthly_savings` | 2,000.00 |",
        "| `payback_months` | 6.00 |",
    ):
        assert line in text


def test_ours_of_ten_replicas_by_hand() -> None:
    """A peak worth 9 of 10 at 15 / 11 = 1.364x needs 6.6, so 7 of 9: two GPUs at $4.50 an hour are $6,570 a month.

    A year of that less $12,000 of work is $66,840. The tenth is idle today already.
    """
    one = fleet_money(10, 1, 0.9, amdahl_example())

    assert amdahl_example() == pytest.approx(15 / 11)
    assert figure(one.replicas_needed) == 9
    assert figure(one.replicas_after) == 7
    assert figure(one.saving_usd_per_month) == pytest.approx(6570)
    assert figure(one.year_1_net_usd) == pytest.approx(66_840)


def test_two_replicas_with_a_floor_of_two_save_nothing_at_any_speed_up() -> None:
    assert figure(fleet_money(2, 2, 0.9, 3.0).saving_usd_per_month) == 0
