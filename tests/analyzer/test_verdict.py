"""The verdict that is shown: a new one must hold, one that comes and goes never shows, missing data flip nothing."""

from __future__ import annotations

import pytest

from analyzer.assumptions import Policy
from analyzer.verdict import Verdict, VerdictState, settle

POLICY = Policy()
T = 1_000_000.0


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
    state = settle(None, Verdict.WORTH_IT, T, POLICY)

    assert settle(state, Verdict.NO, T + 60, POLICY, at_once=True).verdict is Verdict.NO


def test_data_after_none_give_a_verdict_at_once() -> None:
    state = settle(None, Verdict.INSUFFICIENT_DATA, T, POLICY)

    assert settle(state, Verdict.NO, T + 60, POLICY).verdict is Verdict.NO
    assert state.last_data_s is None
