"""Polls across steps of the wall clock: those that could be taken to follow one another are kept apart."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from analyzer.samples import ReplicaKey, ReplicaSample
from analyzer.windows import pairwise_totals
from collector.jobs.stretches import Stretches

INTERVAL_S, STEPS_PER_S = 5.0, 20.0
START_S = 1_800_000_000.0


def marks(offsets_s: list[float]) -> list[str | None]:
    """The marks of polls every 5 s, each with the wall clock so far from the true time."""
    stretches = Stretches(INTERVAL_S)
    return [
        stretches.mark(START_S + INTERVAL_S * number + offset_s, INTERVAL_S * number)
        for number, offset_s in enumerate(offsets_s)
    ]


def test_a_clock_that_is_never_set_leaves_no_mark() -> None:
    """It may be slewed: half a second between two polls, two minutes in all."""
    assert set(marks([0.5 * number for number in range(240)])) == {None}


def test_after_a_step_back_polls_stay_apart_until_the_clock_has_passed_what_went_before() -> None:
    """The last poll before the step is of 45 s; set back by 30 s, the clock tells 20 s, and 60 s at the tenth poll.

    12.5 s, which are two and a half intervals, lie between the two stretches then, and no window is made across.
    """
    found = marks([0.0] * 10 + [-30.0] * 12)

    assert found[:10] == [None] * 10
    assert found[10:18] == [f"clock set at {START_S + 45:.3f}"] * 8
    assert found[18:] == [None] * 4


def test_a_far_step_forward_leaves_a_gap_and_needs_no_mark() -> None:
    assert set(marks([0.0] * 3 + [3600.0] * 3)) == {None}


def test_a_small_step_forward_is_no_time_in_which_work_was_done() -> None:
    """Set 6 s forward after 10 s: the next poll tells 21 s, too soon to be a gap; the one after tells 26 s."""
    found = marks([0.0] * 3 + [6.0] * 3)

    assert [mark is None for mark in found] == [True, True, True, False, True, True]


def test_a_clock_that_is_set_twice_after_the_same_time_begins_two_stretches() -> None:
    """Set back by 80 s after the first poll, which told 80 s, and again when it tells 80 s: now it tells 64 s."""
    found = marks([80.0] + [0.0] * 16 + [-21.0])

    assert found[1] == f"clock set at {START_S + 80:.3f}"
    assert found[-1] == f"{found[1]}, 2"


def test_a_restarted_daemon_goes_on_in_the_same_stretch() -> None:
    """The run before polled until six hours ahead of the time that the clock, set right, tells now."""
    ahead_s = START_S + 21_600
    before, after, later = Stretches(INTERVAL_S), Stretches(INTERVAL_S, ahead_s), Stretches(INTERVAL_S, START_S)
    before.mark(ahead_s, 0.0)

    assert before.mark(START_S + 5, 5.0) == after.mark(START_S + 20, 0.0) == f"clock set at {ahead_s:.3f}"
    assert later.mark(START_S + 20, 0.0) is None


@pytest.mark.fault("3", "the wall clock steps back", promise="no work is made up of times that were told twice")
@example([(1, 80), (16, 0), (1, -21)], set())
@example([(1, 80), (16, 0), (1, 3)], set())
@given(
    st.lists(st.tuples(st.integers(1, 12), st.integers(-90, 90)), min_size=1, max_size=12),
    st.sets(st.integers(0, 143)),
)
def test_no_steps_of_the_clock_make_up_work(held: list[tuple[int, int]], missed: set[int]) -> None:
    """Whatever the clock is set to and whichever polls are missed: windows hold no more than the counter rose by.

    Nor more time than passed, but for the 2 s by which a clock may be off without having been set.
    """
    stretches, epochs, samples = Stretches(INTERVAL_S), dict[str | None, int](), []
    offsets_s = [float(offset_s) for polls, offset_s in held for _ in range(polls)]
    for number, offset_s in enumerate(offsets_s):
        if number not in missed:
            true_s = INTERVAL_S * number
            wall_s = START_S + true_s + offset_s
            epoch = epochs.setdefault(stretches.mark(wall_s, true_s), len(epochs))
            key = ReplicaKey("http://server:8000/metrics", "llama")
            samples.append(ReplicaSample(key, epoch, wall_s, INTERVAL_S, steps_total=STEPS_PER_S * true_s))
    found = [part for part in pairwise_totals(samples) if part.windows > 0]

    assert sum(part.deltas["steps_total"] or 0.0 for part in found) <= STEPS_PER_S * INTERVAL_S * len(offsets_s)
    for part in found:
        assert part.deltas["steps_total"] == pytest.approx(STEPS_PER_S * part.covered_s, abs=2.0 * STEPS_PER_S)
