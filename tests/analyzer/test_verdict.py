"""The verdict: what it takes, what stands against it, and that it never flips on missing data."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analyzer.assumptions import Policy, Quality, QualityResult
from analyzer.evidence import Estimate, Evidence, Missing
from analyzer.facts.quality import quality_prior
from analyzer.facts.schemes import Support
from analyzer.money import just_enough, money
from analyzer.verdict import Case, Verdict, VerdictState, judge, settle
from tests.fakes.histories import CHAT

POLICY = Policy()
NATIVE = Support("native", "FP8 tensor cores")
PASSED = Quality(QualityResult.PASS, "exam", "alice", 0.0, 0.005)
T = 1_000_000.0


def case(speedup: Estimate | Missing | None = None, *, replicas: int = 10, quality: Quality | None = PASSED) -> Case:
    fast = Estimate(1.5, 1.3, 1.7, Evidence.FITTED, "test") if speedup is None else speedup
    return Case(
        deployment=CHAT,
        scheme="fp8-w8a8",
        already_served=False,
        support=NATIVE,
        replicas=replicas,
        missing_data=(),
        busy=Estimate.exact(0.8, Evidence.MEASURED, "test"),
        memory_bound=Estimate.exact(0.8, Evidence.FITTED, "test"),
        speedup=fast,
        quality=quality,
        prior=quality_prior("fp8-w8a8", None),
        money=money(CHAT, replicas, 1, just_enough(replicas), fast),
        capacity_known=True,
    )


def test_worth_it_needs_speed_money_and_quality_at_the_pessimistic_end() -> None:
    """10 replicas at 1.3x still need only 8: two GPUs, $2,920 a month, $25,040 net in the first year."""
    result = judge(case(), POLICY)

    assert result.verdict is Verdict.WORTH_IT
    assert result.reasons_against != ()


def test_without_a_computed_capacity_it_is_at_most_worth_evaluating() -> None:
    """Faster steps are not fewer replicas: what they carry within the objectives has to be known."""
    result = judge(replace(case(), capacity_known=False), POLICY)

    assert result.verdict is Verdict.EVALUATE
    assert any("latency objectives" in reason for reason in result.reasons_against)


def test_an_assumed_speedup_is_at_most_worth_evaluating() -> None:
    result = judge(case(Estimate(1.5, 1.3, 1.7, Evidence.ASSUMED, "test")), POLICY)

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
    assert "alice" in result.reasons_against[0]


def test_no_speed_even_at_the_optimistic_end_is_a_no() -> None:
    result = judge(case(Estimate(0.9, 0.8, 0.99, Evidence.MODELLED, "test")), POLICY)

    assert result.verdict is Verdict.NO
    assert "0.90x" in result.reasons_against[0]


def test_no_whole_gpu_is_a_no_with_the_number_of_replicas() -> None:
    """Two replicas at 1.7x need 2 / 1.7 = 1.18: still two."""
    result = judge(case(replicas=2), POLICY)

    assert result.verdict is Verdict.NO
    assert "2 replica(s)" in result.reasons_against[0]


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
    result = judge(replace(case(Missing("no GPU")), missing_data=("2.0 h of the 24 h",)), POLICY)

    assert result.verdict is Verdict.INSUFFICIENT_DATA
    assert result.reasons_against[0] == "2.0 h of the 24 h"


def test_idle_replicas_are_to_be_consolidated_first() -> None:
    idle = replace(case(), busy=Estimate(0.1, 0.05, 0.15, Evidence.MEASURED, "test"))
    result = judge(idle, POLICY)

    assert result.verdict is Verdict.EVALUATE
    assert "consolidate" in result.reasons_against[0]


def test_the_first_verdict_is_adopted_at_once() -> None:
    assert settle(None, Verdict.NO, T, POLICY) == VerdictState(Verdict.NO, T, T)


def test_a_new_verdict_must_hold_before_it_replaces_the_former() -> None:
    state = settle(None, Verdict.NO, T, POLICY)
    shown = []
    for minute in range(40):
        state = settle(state, Verdict.EVALUATE, T + 60 * minute, POLICY)
        shown.append(state.verdict)

    assert shown[:30] == [Verdict.NO] * 30
    assert shown[30:] == [Verdict.EVALUATE] * 10


def test_a_verdict_that_comes_and_goes_never_replaces_the_former() -> None:
    state = settle(None, Verdict.NO, T, POLICY)
    for minute in range(600):
        state = settle(state, (Verdict.EVALUATE, Verdict.NO)[minute // 20 % 2], T + 60 * minute, POLICY)

        assert state.verdict is Verdict.NO


@pytest.mark.fault("5", "a verdict on missing data", promise="the former verdict stands for a day, then there is none")
def test_missing_data_keep_the_former_verdict_for_a_day() -> None:
    state = settle(None, Verdict.WORTH_IT, T, POLICY)
    after_23_h = settle(state, Verdict.INSUFFICIENT_DATA, T + 23 * 3600, POLICY)
    after_25_h = settle(after_23_h, Verdict.INSUFFICIENT_DATA, T + 25 * 3600, POLICY)

    assert after_23_h.verdict is Verdict.WORTH_IT
    assert after_25_h.verdict is Verdict.INSUFFICIENT_DATA


def test_time_without_data_does_not_count_towards_the_dwell() -> None:
    """One `no`, half an hour of nothing, one more `no`: the former verdict still stands."""
    state = settle(None, Verdict.WORTH_IT, T, POLICY)
    state = settle(state, Verdict.NO, T + 60, POLICY)
    for minute in range(2, 40):
        state = settle(state, Verdict.INSUFFICIENT_DATA, T + 60 * minute, POLICY)
    state = settle(state, Verdict.NO, T + 60 * 40, POLICY)

    assert state.verdict is Verdict.WORTH_IT


def test_what_no_traffic_changes_replaces_the_former_verdict_at_once() -> None:
    failed = judge(case(quality=replace(PASSED, result=QualityResult.FAIL)), POLICY)
    state = settle(None, Verdict.WORTH_IT, T, POLICY)

    assert failed.settled
    assert settle(state, failed.verdict, T + 60, POLICY, at_once=failed.settled).verdict is Verdict.NO


def test_data_after_none_give_a_verdict_at_once() -> None:
    state = settle(None, Verdict.INSUFFICIENT_DATA, T, POLICY)

    assert settle(state, Verdict.NO, T + 60, POLICY).verdict is Verdict.NO
    assert state.last_data_s is None
