"""The article's eight functions give the article's own numbers, in its own order of rules."""

from __future__ import annotations

import math
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.article import (
    DECISION_FLAGS,
    high_roi_scenarios,
    identify_bottleneck,
    low_roi_scenarios,
    quantization_hidden_costs,
    quantization_roi,
    should_quantize,
    skip_quantization_checklist,
    total_cost_analysis,
)

RATIO = st.floats(0, 1)
SPEEDUP = st.floats(0.05, 8)


@pytest.mark.parametrize(
    ("phase", "batch_size", "expected"),
    [
        ("prefill", 1, "compute_bound"),
        ("prefill", 64, "compute_bound"),
        ("decode", 1, "memory_bound"),
        ("decode", 64, "memory_bound"),
        ("both", 17, "compute_bound"),
        ("both", 16, "mixed"),
        ("both", 2, "mixed"),
        ("both", 1, "memory_bound"),
    ],
)
def test_bottleneck_goes_by_phase_first_and_by_batch_only_then(phase: str, batch_size: int, expected: str) -> None:
    """Prefill and decode are decided whatever the batch; 16 is still mixed, 17 is compute-bound."""
    assert expected == identify_bottleneck({"phase": phase, "batch_size": batch_size})


def test_bottleneck_needs_a_batch_size_only_where_it_decides() -> None:
    """A decode workload without a batch size is answered, another phase without one is refused."""
    assert identify_bottleneck({"phase": "decode"}) == "memory_bound"
    with pytest.raises(ValueError, match="batch_size"):
        identify_bottleneck({"phase": "both"})
    with pytest.raises(ValueError, match="batch_size"):
        identify_bottleneck({"phase": "both", "batch_size": 0})
    with pytest.raises(ValueError, match="phase"):
        identify_bottleneck({"batch_size": 4})


def test_the_articles_worked_example_to_the_digit() -> None:
    """30 TPS at $4.50/h, f 0.8, s 1.5, loss 0.02.

    effective = 1 + 0.5 · 0.8 = 1.4; 30 · 1.4 = 42 TPS; 4.50 / (30 · 3600) · 10^6 = 41.667 $/1M;
    4.50 / (42 · 3600) · 10^6 = 29.762 $/1M; 1 - 1/1.4 = 28.571 %.
    """
    result = quantization_roi(30, 4.50, 0.8, 1.5, 0.02)

    assert list(result) == [
        "speedup",
        "tps_before",
        "tps_after",
        "cost_per_million_before",
        "cost_per_million_after",
        "cost_reduction_percent",
        "quality_cost",
        "recommendation",
    ]
    assert result["speedup"] == pytest.approx(1.4, abs=1e-12)
    assert result["tps_before"] == 30
    assert result["tps_after"] == pytest.approx(42.0, abs=1e-9)
    assert f"{result['cost_per_million_before']:.3f}" == "41.667"
    assert f"{result['cost_per_million_after']:.3f}" == "29.762"
    assert f"{result['cost_reduction_percent']:.3f}" == "28.571"
    assert result["quality_cost"] == "2.0% quality loss"
    assert result["recommendation"] == "worth_it"


def test_the_rule_is_additive_and_not_amdahls_law() -> None:
    """Published as is: 0.8 and 1.5 give 1.400 here, where Amdahl's law gives 1 / (0.2 + 0.8 / 1.5) = 1.364."""
    assert f"{quantization_roi(1, 1, 0.8, 1.5, 0)['speedup']:.3f}" == "1.400"
    assert f"{1 / (0.2 + 0.8 / 1.5):.3f}" == "1.364"


@pytest.mark.parametrize(
    ("fraction", "speedup", "loss", "expected"),
    [
        (0.5, 1.5, 0.0299, "worth_it"),
        (0.5, 1.5, 0.03, "evaluate_carefully"),
        (0.0, 4.0, 0.0, "evaluate_carefully"),
        (0.25, 1.25, 0.0, "evaluate_carefully"),
    ],
)
def test_worth_it_needs_more_than_a_tenth_and_less_than_three_percent(
    fraction: float, speedup: float, loss: float, expected: str
) -> None:
    """Both bounds exclude themselves: a loss of exactly 0.03 and a speed-up of 1.0625 do not pass."""
    assert expected == quantization_roi(30, 4.5, fraction, speedup, loss)["recommendation"]


@pytest.mark.parametrize(
    ("changed", "value"),
    [
        ("current_tps", 0),
        ("current_tps", -1),
        ("current_tps", math.nan),
        ("current_cost_per_hour", -0.01),
        ("memory_bound_fraction", 1.01),
        ("memory_bound_fraction", -0.01),
        ("quantization_speedup", 0),
        ("quality_degradation", 2.0),
    ],
)
def test_an_input_out_of_range_is_one_clear_line(changed: str, value: float) -> None:
    """No division by zero, no percentage taken for a ratio: a ValueError that names the argument."""
    arguments = {
        "current_tps": 30,
        "current_cost_per_hour": 4.5,
        "memory_bound_fraction": 0.8,
        "quantization_speedup": 1.5,
        "quality_degradation": 0.02,
    }
    with pytest.raises(ValueError, match=changed) as caught:
        quantization_roi(**{**arguments, changed: value})
    assert "\n" not in str(caught.value)


@given(RATIO, RATIO, SPEEDUP)
def test_more_memory_bound_time_never_lowers_a_gain(first: float, second: float, speedup: float) -> None:
    """The effective speed-up grows with f where s is above 1, falls where below, and lies between 1 and s."""
    low, high = sorted((first, second))
    slow = quantization_roi(30, 4.5, low, speedup, 0.0)["speedup"]
    fast = quantization_roi(30, 4.5, high, speedup, 0.0)["speedup"]

    assert (fast >= slow) if speedup >= 1 else (fast <= slow)
    assert min(1.0, speedup) - 1e-9 <= fast <= max(1.0, speedup) + 1e-9


@given(st.floats(0.1, 1e5), st.floats(0.01, 1e4), RATIO, SPEEDUP)
def test_cost_falls_by_what_the_reduction_says(tps: float, cost: float, fraction: float, speedup: float) -> None:
    """before · (1 - reduction) = after, and each cost is dollars per hour over tokens per hour."""
    result = quantization_roi(tps, cost, fraction, speedup, 0.0)
    after = result["cost_per_million_before"] * (1 - result["cost_reduction_percent"] / 100)

    assert after == pytest.approx(result["cost_per_million_after"], rel=1e-9)
    assert result["cost_per_million_before"] * tps * 3600 / 1e6 == pytest.approx(cost, rel=1e-9)


def test_the_scenario_tables_hold_the_articles_numbers() -> None:
    """Three workloads where it pays, three where it pays little, all with the same four keys."""
    high, low = high_roi_scenarios(), low_roi_scenarios()
    shown = {
        name: (entry["memory_bound_fraction"], entry["expected_benefit"], entry["typical_speedup"])
        for name, entry in (high | low).items()
    }

    assert shown == {
        "decode_heavy": (0.8, "High", "1.3-1.5x"),
        "low_batch_size": (0.9, "High", "1.5-2x"),
        "long_outputs": (0.85, "High", "1.4-1.6x"),
        "prefill_heavy": (0.3, "Low", "1.0-1.15x"),
        "large_batch": (0.4, "Low-Medium", "1.1-1.2x"),
        "already_memory_efficient": ("Varies", "Diminishing returns", "1.0-1.1x"),
    }
    keys = {"description", "memory_bound_fraction", "expected_benefit", "typical_speedup"}
    assert all(set(entry) == keys for entry in (high | low).values())
    assert "FP8" in low["already_memory_efficient"]["description"]


def test_hidden_costs_are_four_each_with_what_it_is_for() -> None:
    """Engineering, quality regressions, complexity and debugging."""
    costs = quantization_hidden_costs()

    assert list(costs) == ["engineering_time", "quality_regression_risk", "complexity", "debugging_difficulty"]
    assert all(set(entry) == {"cost", "for"} and all(entry.values()) for entry in costs.values())


def test_total_cost_of_a_plain_case() -> None:
    """10,000 · (1 - 1/1.25) = 2,000 a month; 80 h · $150 = 12,000: back in 6 months, 12 · 2,000 - 12,000 in year 1."""
    result = total_cost_analysis(10_000, 80, 150, 1.25)

    assert result == {
        "monthly_savings": pytest.approx(2_000),
        "engineering_investment": 12_000,
        "payback_months": pytest.approx(6.0),
        "year_1_net": pytest.approx(12_000),
    }


@pytest.mark.parametrize("speedup", [1.0, 0.8])
def test_no_saving_never_pays_back(speedup: float) -> None:
    """A speed-up of 1, and a slow-down, give an infinite payback; the investment is lost."""
    result = total_cost_analysis(10_000, 80, 150, speedup)

    assert result["payback_months"] == math.inf
    assert result["year_1_net"] <= -12_000


@pytest.mark.parametrize("arguments", [(-1, 1, 1, 1), (1, -1, 1, 1), (1, 1, -1, 1), (1, 1, 1, 0), (1, 1, 1, math.nan)])
def test_total_cost_refuses_amounts_that_cannot_be(arguments: tuple[float, float, float, float]) -> None:
    """Negative money or hours, and a speed-up that is not above 0."""
    with pytest.raises(ValueError, match="not"):
        total_cost_analysis(*arguments)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (("memory_constrained", "decode_heavy"), "Yes: likely necessary"),
        (("memory_constrained",), "Evaluate"),
        (("quality_critical", "not_memory_constrained"), "No: risk without benefit"),
        (("quality_critical",), "Evaluate"),
        (("moderate_volume", "engineering_capacity"), "Maybe: run the numbers"),
        (("moderate_volume",), "No: engineering likely costs more than it brings"),
        (("high_volume",), "Probably: small percentages of a large volume"),
        ((), "Evaluate"),
    ],
)
def test_each_rule_of_the_decision_matrix(flags: tuple[str, ...], expected: str) -> None:
    """One answer per rule; a flag that is absent is not ticked."""
    assert expected == should_quantize(dict.fromkeys(flags, True))


def test_earlier_rules_win_over_later_ones() -> None:
    """With every flag ticked the first rule answers; without it the second; then moderate before high volume."""
    everything = dict.fromkeys(DECISION_FLAGS, True)

    assert should_quantize(everything) == "Yes: likely necessary"
    assert should_quantize({**everything, "decode_heavy": False}) == "No: risk without benefit"
    assert should_quantize({**everything, "decode_heavy": None, "quality_critical": False}) == "Maybe: run the numbers"


def test_the_matrix_answers_every_combination_and_refuses_unknown_flags() -> None:
    """2^7 combinations give one of six texts; a misspelt flag is named."""
    answers = {
        should_quantize(dict(zip(DECISION_FLAGS, ticks, strict=True)))
        for ticks in product((True, False), repeat=len(DECISION_FLAGS))
    }

    assert len(answers) == 6
    with pytest.raises(ValueError, match="decode_hevy"):
        should_quantize({"decode_hevy": True})


def test_the_checklist_has_five_conditions_with_reasons() -> None:
    """Quality, cost share, latency, team and model changes, in the article's order."""
    conditions = [entry["condition"].lower() for entry in skip_quantization_checklist()]

    assert len(conditions) == 5
    for word, condition in zip(("quality", "compute", "latency", "team", "models"), conditions, strict=True):
        assert word in condition
    assert all(set(entry) == {"condition", "reason"} for entry in skip_quantization_checklist())


def test_a_reader_may_change_a_result_without_changing_the_rule() -> None:
    """Every call gives fresh dicts."""
    high_roi_scenarios()["decode_heavy"]["memory_bound_fraction"] = 0
    skip_quantization_checklist().clear()

    assert high_roi_scenarios()["decode_heavy"]["memory_bound_fraction"] == 0.8
    assert len(skip_quantization_checklist()) == 5
