"""A histogram that comes now and then is counted once, where it can be, and never over what was refused."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.histograms import HISTOGRAM_SPAN_S, HISTOGRAMS, Counts, add_counts
from analyzer.samples import LENGTH_BOUNDS, STEP_TOKENS_BOUNDS, ReplicaKey, ReplicaSample, bounds_of, histogram_names
from analyzer.windows import Refusal, Totals, add_up, empty, pairwise_totals

KEY = ReplicaKey("http://127.0.0.1:8000/metrics", "m")


def sample(at_s: float, steps: Counts | None = None, *, epoch: int = 1, interval_s: float = 5.0) -> ReplicaSample:
    return ReplicaSample(KEY, epoch, at_s, interval_s, step_tokens=steps)


def counts(*first: float) -> Counts:
    """A histogram whose first buckets have these counts."""
    return (*map(float, first), *[0.0] * (len(STEP_TOKENS_BOUNDS) + 1 - len(first)))


def booked(samples: list[ReplicaSample]) -> list[tuple[float, Counts | None]]:
    """What each window has of the step sizes, by its end."""
    return [(part.end_s, part.histograms["step_tokens"]) for part in pairwise_totals(samples)]


def test_the_buckets_are_the_ones_vllm_documents() -> None:
    assert STEP_TOKENS_BOUNDS == (1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)
    assert LENGTH_BOUNDS[:7] == (1, 2, 5, 10, 20, 50, 100)
    assert LENGTH_BOUNDS[-3:] == (200_000, 500_000, 1_000_000)
    assert HISTOGRAMS == histogram_names(ReplicaSample) == ("step_tokens", "prompt_lengths", "generation_lengths")
    assert bounds_of(ReplicaSample, "generation_lengths") == LENGTH_BOUNDS
    with pytest.raises(KeyError):
        bounds_of(ReplicaSample, "steps_total")
    with pytest.raises(KeyError):
        bounds_of(ReplicaSample, "steps")


def test_an_increase_is_booked_on_the_window_that_ends_at_the_later_of_two_samples_that_carry_it() -> None:
    """Told at 0, 15 and 20 s of polls 5 s apart: 3 - 1 and 7 - 2 in the window to 15 s, 4 - 3 in the one to 20 s."""
    parts = [sample(0, counts(1, 2)), sample(5), sample(10), sample(15, counts(3, 7)), sample(20, counts(4, 7))]

    assert booked(parts) == [(5, None), (10, None), (15, counts(2, 5)), (20, counts(1, 0))]


def test_nothing_told_is_not_nothing_counted() -> None:
    assert booked([sample(0, counts(1)), sample(5, counts(1))]) == [(5, counts(0))]
    assert booked([sample(0), sample(5, counts(1))]) == [(5, None)]


@pytest.mark.parametrize(
    ("between", "refusal"),
    [
        ([sample(5), sample(25)], Refusal.GAP),
        ([sample(5), sample(5)], Refusal.CLOCK),
        (
            [
                ReplicaSample(KEY, 1, 5, 5.0, steps_total=9),
                ReplicaSample(KEY, 1, 10, 5.0, steps_total=3),
            ],
            Refusal.ANOMALY,
        ),
    ],
)
def test_a_refused_window_in_between_drops_the_increase(between: list[ReplicaSample], refusal: Refusal) -> None:
    end_s = between[-1].at_s
    samples = [sample(0, counts(1)), *between, sample(end_s + 5, counts(5)), sample(end_s + 10, counts(7))]
    total = add_up(pairwise_totals(samples))

    assert total is not None
    assert total.refusals == {refusal: 1}
    assert total.histograms["step_tokens"] == counts(2)


def test_what_a_refused_window_ends_with_begins_the_next_increase() -> None:
    samples = [sample(0, counts(1)), sample(60, counts(5)), sample(65, counts(7))]

    assert booked(samples) == [(60, None), (65, counts(2))]


def test_a_bucket_that_fell_drops_the_increase_and_no_other() -> None:
    samples = [sample(0, counts(5, 5)), sample(5, counts(9, 4)), sample(10, counts(10, 6))]

    assert booked(samples) == [(5, None), (10, counts(1, 2))]


def test_another_epoch_begins_anew() -> None:
    samples = [sample(0, counts(5)), sample(5, counts(6)), sample(10, counts(7), epoch=2), sample(15, epoch=2)]

    assert booked(samples) == [(5, counts(1)), (15, None)]


def test_histograms_that_come_too_rarely_tell_nothing_but_neighbours_always_do() -> None:
    polls = int(HISTOGRAM_SPAN_S / 5)
    within = [sample(0, counts(1)), *(sample(5 * n) for n in range(1, polls)), sample(5 * polls, counts(2))]
    beyond = [*within[:-1], sample(5 * polls), sample(5 * polls + 5, counts(2))]
    rare = [sample(0, counts(1), interval_s=900), sample(900, counts(2), interval_s=900)]

    assert booked(within)[-1] == (HISTOGRAM_SPAN_S, counts(1))
    assert booked(beyond)[-1] == (HISTOGRAM_SPAN_S + 5, None)
    assert booked(rare) == [(900, counts(1))]


def test_each_histogram_has_its_own_last_sample() -> None:
    lengths = tuple(float(n) for n in range(len(LENGTH_BOUNDS) + 1))
    more = tuple(2 * count for count in lengths)
    samples = [
        ReplicaSample(KEY, 1, 0, 5.0, step_tokens=counts(1), prompt_lengths=lengths),
        ReplicaSample(KEY, 1, 5, 5.0, step_tokens=counts(2)),
        ReplicaSample(KEY, 1, 10, 5.0, step_tokens=counts(4), prompt_lengths=more, generation_lengths=lengths),
    ]
    total = add_up(pairwise_totals(samples))

    assert total is not None
    assert total.histograms == {"step_tokens": counts(3), "prompt_lengths": lengths, "generation_lengths": None}


def test_totals_that_tell_nothing_add_as_nothing() -> None:
    told = pairwise_totals([sample(0, counts(1)), sample(5, counts(4))])[0]
    silent = empty(KEY, 1, 5, 10)

    assert (told + silent).histograms["step_tokens"] == counts(3)
    assert (silent + told).histograms["step_tokens"] == counts(3)
    assert (silent + silent).histograms == dict.fromkeys(HISTOGRAMS)


whole = st.lists(st.integers(0, 2**40), min_size=14, max_size=14).map(lambda found: tuple(map(float, found)))


@given(st.none() | whole, st.none() | whole, st.none() | whole)
def test_sums_do_not_depend_on_the_order(first: Counts | None, second: Counts | None, third: Counts | None) -> None:
    assert add_counts(first, second) == add_counts(second, first)
    assert add_counts(add_counts(first, second), third) == add_counts(first, add_counts(second, third))


@st.composite
def histories(draw: st.DrawFn) -> list[ReplicaSample]:
    """A replica's samples: histograms now and then, that grow or fall, over gaps, restarts and stamps that stand."""
    at_s, epoch, steps = 0.0, 1, [0.0, 0.0]
    result = []
    for _ in range(draw(st.integers(0, 25))):
        at_s += draw(st.sampled_from([0.0, 5.0, 5.0, 5.0, 10.0, 30.0]))
        if draw(st.integers(0, 9)) == 0:
            epoch, steps = epoch + 1, [0.0, 0.0]
        steps = [one + draw(st.integers(0, 50)) for one in steps]
        shown = counts(*(max(0.0, one - draw(st.sampled_from([0, 0, 0, 60]))) for one in steps))
        result.append(sample(at_s, draw(st.sampled_from([None, None, shown])), epoch=epoch))
    return result


@given(histories(), st.integers(0, 25))
def test_cutting_between_two_windows_changes_no_histogram(history: list[ReplicaSample], cut: int) -> None:
    parts = pairwise_totals(history)
    cut = min(cut, len(parts))

    assert sums(parts) == sums([*_added(parts[:cut]), *_added(parts[cut:])])


@given(histories())
def test_no_more_is_counted_than_the_highest_count_told(history: list[ReplicaSample]) -> None:
    """Increases between neighbours that carry the histogram are disjoint, so a rise is in at most one of them."""
    for epoch, total in sums(pairwise_totals(history)).items():
        told = [one.step_tokens for one in history if one.epoch == epoch and one.step_tokens is not None]
        rises = [sum(max(0.0, b - a) for a, b in pairwise(bucket)) for bucket in zip(*told, strict=True)]
        assert total is None or all(0 <= one <= most for one, most in zip(total, rises, strict=True))


def _added(parts: list[Totals]) -> list[Totals]:
    by_epoch: dict[int, list[Totals]] = {}
    for part in parts:
        by_epoch.setdefault(part.epoch, []).append(part)
    return [total for group in by_epoch.values() if (total := add_up(group)) is not None]


def sums(parts: list[Totals]) -> dict[int, Any]:
    """The step sizes of each epoch."""
    return {total.epoch: total.histograms["step_tokens"] for total in _added(parts)}
