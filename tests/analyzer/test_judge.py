"""The judgement of today's figures: what it takes, what stands against it, and what would change it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analyzer.assumptions import Context, Costs, Deployment, Policy, Price, Quality, QualityResult
from analyzer.capacity.fleet import SchemeCapacity
from analyzer.evidence import Estimate, Evidence, Missing
from analyzer.facts.quality import quality_prior
from analyzer.facts.schemes import Support
from analyzer.judge import Case, judge
from analyzer.money import Load, just_enough, money
from analyzer.objectives import Objective, Objectives
from analyzer.verdict import Verdict
from tests.fakes.histories import CHAT

POLICY = Policy()
NATIVE = Support("native", "FP8 tensor cores")
PASSED = Quality(QualityResult.PASS, "exam", "alice", 0.0, 0.005)
STATED = replace(CHAT, objectives=Objectives(first_token=Objective(1.0, 0.95), token_gap=Objective(0.05, 0.95)))
FAST = Estimate(1.5, 1.3, 1.7, Evidence.FITTED, "test")
NO_HISTORY = Missing("no history")


def case(
    ratio: Estimate = FAST,
    *,
    deployment: Deployment = STATED,
    replicas: int = 10,
    load: float = 9.5,
    quality: Quality | None = PASSED,
) -> Case:
    """`load` is today's peak in replicas' worth of capacity; steps and capacity change by the same ratio."""
    peak = Load(Estimate.exact(load, Evidence.FITTED, "test"), computed=True)
    return Case(
        deployment=deployment,
        scheme="fp8-w8a8",
        already_served=False,
        support=NATIVE,
        replicas=replicas,
        missing_data=(),
        busy=Estimate.exact(0.8, Evidence.MEASURED, "test"),
        memory_bound=Estimate.exact(0.8, Evidence.FITTED, "test"),
        speedup=ratio,
        capacity=SchemeCapacity(NO_HISTORY, ratio, NO_HISTORY, NO_HISTORY),
        quality=quality,
        prior=quality_prior("fp8-w8a8", None),
        money=money(deployment, replicas, 1, peak, ratio),
        price_stale=False,
    )


def uncomputed(speedup: Estimate) -> Case:
    """Nobody knows what a replica carries: today's replicas count as just enough."""
    worth = money(STATED, 10, 1, just_enough(10), speedup)
    return replace(case(speedup), money=worth, capacity=SchemeCapacity(*[Missing("no model")] * 4))


def test_worth_it_needs_capacity_money_and_quality_at_the_pessimistic_end() -> None:
    """A peak worth 9.5 of 10 replicas at 1.3x needs 9.5 / 1.3 = 7.3, so 8: two GPUs at $2 an hour, $2,920 a month."""
    result = judge(case(), POLICY)

    assert result.verdict is Verdict.WORTH_IT
    assert "GPUs given back, $" in result.reasons_for[0]


def test_worth_it_still_says_the_strongest_counter_reason_and_what_would_turn_it() -> None:
    result = judge(case(), POLICY)

    assert any("lasting complexity" in reason for reason in result.reasons_against)
    assert any("a price below $" in change for change in result.would_change)
    assert any("failed evaluation" in change for change in result.would_change)


def test_without_a_computed_capacity_it_is_at_most_worth_evaluating() -> None:
    """Faster steps are not fewer replicas: what they carry within the objectives has to be known."""
    result = judge(uncomputed(FAST), POLICY)

    assert result.verdict is Verdict.EVALUATE
    assert any("latency objectives is not known: no model" in reason for reason in result.reasons_against)


def test_without_stated_objectives_it_is_at_most_worth_evaluating() -> None:
    result = judge(case(deployment=CHAT), POLICY)

    assert result.verdict is Verdict.EVALUATE
    assert any("you state no latency objectives" in reason for reason in result.reasons_against)
    assert any("deployments[].objectives" in change for change in result.would_change)


def test_an_assumed_speedup_is_at_most_worth_evaluating() -> None:
    result = judge(uncomputed(replace(FAST, evidence=Evidence.ASSUMED)), POLICY)

    assert result.verdict is Verdict.EVALUATE
    assert any("assumed" in reason for reason in result.reasons_against)


@pytest.mark.parametrize("quality", [None, replace(PASSED, result=QualityResult.PENDING)])
def test_without_a_quality_verdict_it_is_at_most_worth_evaluating(quality: Quality | None) -> None:
    result = judge(case(quality=quality), POLICY)

    assert result.verdict is Verdict.EVALUATE
    assert any("quality" in reason for reason in result.reasons_against)
    assert any("deployments[].quality" in remedy for remedy in result.would_change)


def test_failed_quality_is_a_no_whatever_it_saves() -> None:
    result = judge(case(quality=replace(PASSED, result=QualityResult.FAIL)), POLICY)

    assert result.verdict is Verdict.NO
    assert result.settled
    assert "alice" in result.reasons_against[0]


def test_no_more_capacity_even_at_the_optimistic_end_is_a_no() -> None:
    result = judge(case(Estimate(0.9, 0.8, 0.99, Evidence.MODELLED, "test")), POLICY)

    assert result.verdict is Verdict.NO
    assert "carries no more load (0.90x" in result.reasons_against[0]


def test_two_replicas_with_a_floor_of_two_claim_no_money_even_at_twice_the_capacity() -> None:
    """The peak needs both as it is; at 2x one would do, but the floor keeps two."""
    twice = Estimate(2.0, 1.9, 2.1, Evidence.FITTED, "test")
    told = case(twice, replicas=2, load=1.9, deployment=replace(STATED, minimum_replicas=2))
    result = judge(told, POLICY)

    assert result.verdict is Verdict.NO
    assert result.reasons_against[0] == "no GPU can be given back: 2 replica(s) with a floor of 2"
    saving = told.money.saving_usd_per_month
    assert isinstance(saving, Estimate)
    assert (saving.low, saving.high) == (0, 0)


def test_no_whole_gpu_is_a_no_with_the_arithmetic() -> None:
    """A peak worth 1.9 replicas at 1.7x needs 1.9 / 1.7 = 1.12: still two."""
    result = judge(case(replicas=2, load=1.9), POLICY)

    assert result.verdict is Verdict.NO
    assert "the peak needs 2 of 2 replica(s) as it is and 2 with fp8-w8a8" in result.reasons_against[0]


def test_a_fleet_at_30_percent_load_is_to_be_consolidated_first() -> None:
    """A peak worth 3 of 10 replicas: 3 / 1.3 still needs 3 at the pessimistic end, and 7 are idle without a scheme."""
    result = judge(case(load=3.0), POLICY)

    assert result.verdict is not Verdict.WORTH_IT
    assert "consolidate first: 3 of 10 replicas carry today's peak as they are" in result.reasons_against


def test_what_is_served_already_and_what_cannot_run_are_told_apart() -> None:
    served = judge(replace(case(), already_served=True), POLICY)
    unable = judge(replace(case(), support=Support("unsupported", "no FP4 tensor cores")), POLICY)

    assert "already" in served.reasons_against[0]
    assert unable.reasons_against == ("no FP4 tensor cores",)
    assert served.verdict is unable.verdict is Verdict.NO


@pytest.mark.fault(
    "5", "a verdict on missing data", promise="too little data is `insufficient_data`, with what is missing"
)
def test_missing_data_are_no_verdict_against_it() -> None:
    result = judge(replace(case(), speedup=Missing("no GPU"), missing_data=("2.0 h of the 24 h",)), POLICY)

    assert result.verdict is Verdict.INSUFFICIENT_DATA
    assert result.reasons_against[0] == "2.0 h of the 24 h"


def test_a_first_year_that_cannot_pay_for_the_work_is_a_no() -> None:
    """Two or three GPUs save at most $52,560 a year: $1,000,000 of engineering is never paid for."""
    dear = replace(STATED, costs=Costs(engineering_hours=10_000, engineering_usd_per_hour=100))
    result = judge(case(deployment=dear), POLICY)

    assert result.verdict is Verdict.NO
    assert "even at the optimistic end the first year nets -$" in result.reasons_against[0]


def test_a_net_just_above_what_is_wanted_keeps_a_worth_it_and_does_not_begin_one() -> None:
    """The pessimistic net lies within a tenth of the investment: hysteresis, so that nothing flaps at the edge."""
    told = case()
    net = told.money.year_1_net_usd
    assert isinstance(net, Estimate)
    wanted = replace(STATED, minimum_year_1_net_usd=net.low - 500.0)
    edge = case(deployment=wanted)

    assert judge(replace(edge, former=None), POLICY).verdict is Verdict.EVALUATE
    assert judge(replace(edge, former=Verdict.WORTH_IT), POLICY).verdict is Verdict.WORTH_IT


def test_no_price_and_no_costs_are_named_with_what_to_state() -> None:
    result = judge(case(deployment=replace(STATED, costs=Costs())), POLICY)

    assert result.verdict is Verdict.EVALUATE
    assert any("deployments[].costs" in change for change in result.would_change)


def test_a_price_that_ships_with_the_product_is_nobodys_price() -> None:
    shipped = Price(2.0, "reference price", 0.0, shipped=True)
    result = judge(case(deployment=replace(STATED, price=shipped)), POLICY)

    assert result.verdict is Verdict.EVALUATE
    assert any("your own price" in change for change in result.would_change)


def test_what_the_operator_says_of_the_context_stands_among_the_reasons_against() -> None:
    told = replace(STATED, context=Context(quality_is_differentiator=True, small_team=True))
    against = judge(case(deployment=told), POLICY).reasons_against

    assert any("quality is why users choose you" in reason for reason in against)
    assert any("the team is small" in reason for reason in against)
