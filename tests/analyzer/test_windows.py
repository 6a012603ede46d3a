"""Windows refuse what would lie; totals only add up."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.samples import ReplicaKey, ReplicaSample
from analyzer.windows import (
    MAX_GAP_INTERVALS,
    Refusal,
    Totals,
    Window,
    add_up,
    add_up_whole,
    empty,
    of_window,
    pairwise_totals,
    window,
)

KEY = ReplicaKey("http://127.0.0.1:8000/metrics", "m")


def sample(at_s: float, *, epoch: int = 1, interval_s: float = 5.0, **fields: float | None) -> ReplicaSample:
    return ReplicaSample(KEY, epoch, at_s, interval_s, **fields)


def made(before: ReplicaSample, after: ReplicaSample) -> Window:
    result = window(before, after)
    assert isinstance(result, Window)
    return result


def test_a_window_holds_differences_and_means() -> None:
    """Counter 100 -> 130 is 30; a gauge of 2 and 4 has the mean 3."""
    one = made(
        sample(10, generation_tokens_total=100, running_requests=2),
        sample(15, generation_tokens_total=130, running_requests=4),
    )

    assert one.deltas["generation_tokens_total"] == 30
    assert one.means["running_requests"] == 3
    assert one.duration_s == 5
    assert one.active is True


def test_a_series_missing_at_either_end_is_missing_not_zero() -> None:
    one = made(sample(10, steps_total=7), sample(15))

    assert one.deltas["steps_total"] is None
    assert one.means["kv_usage_ratio"] is None
    assert one.active is None


def test_a_counter_that_stands_still_is_zero_not_missing() -> None:
    one = made(sample(10, steps_total=0), sample(15, steps_total=0))

    assert one.deltas["steps_total"] == 0


@pytest.mark.fault(
    "3", "a counter steps back without a restart", promise="the interval is dropped and counted as an anomaly"
)
def test_a_counter_that_fell_drops_the_window_and_is_called_an_anomaly() -> None:
    """PromQL would count 170 -> 160 as a reset and add 160."""
    result = window(sample(10, steps_total=170), sample(15, steps_total=160))

    assert result is Refusal.ANOMALY


@pytest.mark.fault("3", "a counter steps back without a restart", promise="the rise out of the dip is no work")
def test_the_rise_out_of_a_dip_is_no_work_done() -> None:
    """100, 200, a page with half of it, then 300 and 400: the windows into and out of the dip are refused."""
    counts = (100, 200, 100, 300, 400)
    parts = pairwise_totals([sample(5 * n, steps_total=count) for n, count in enumerate(counts)])
    total = add_up(parts)

    assert total is not None
    assert total.deltas["steps_total"] == 200
    assert total.covered_s == 10
    assert total.refusals == {Refusal.ANOMALY: 2}


@pytest.mark.fault("3", "a server restarts between polls", promise="counted again from the new process on")
def test_a_counter_that_stays_low_has_restarted_and_is_counted_again() -> None:
    """1,000 falls to 5 and goes on by 10 a poll: only the window of the fall is refused."""
    parts = pairwise_totals([sample(5 * n, steps_total=count) for n, count in enumerate((1000, 5, 15, 25))])
    total = add_up(parts)

    assert total is not None
    assert total.deltas["steps_total"] == 20
    assert total.refusals == {Refusal.ANOMALY: 1}


def test_a_counter_beyond_all_bounds_is_an_anomaly() -> None:
    assert window(sample(10, steps_total=0), sample(15, steps_total=float("inf"))) is Refusal.ANOMALY


@pytest.mark.fault(
    "3", "the model is swapped on the same port", promise="a new epoch; nothing is differenced across it"
)
def test_samples_of_two_epochs_are_never_differenced() -> None:
    result = window(sample(10, epoch=1, steps_total=5), sample(15, epoch=2, steps_total=9))

    assert result is Refusal.EPOCH


@pytest.mark.fault("3", "the wall clock steps back", promise="no interval is made of it")
def test_a_clock_that_went_back_makes_no_window() -> None:
    assert window(sample(10), sample(10)) is Refusal.CLOCK
    assert window(sample(10), sample(7)) is Refusal.CLOCK


def test_one_missed_poll_is_bridged_two_are_a_gap() -> None:
    """Polls every 5 s: 10 s hold one missed poll, 15 s two."""
    assert isinstance(window(sample(10), sample(20)), Window)
    assert window(sample(10), sample(25)) is Refusal.GAP
    assert 2 < MAX_GAP_INTERVALS < 3


def test_two_replicas_make_no_window_at_all() -> None:
    other = replace(sample(15), replica=ReplicaKey(KEY.target, "other"))

    with pytest.raises(ValueError, match="two replicas"):
        window(sample(10), other)


def test_active_means_requests_running_at_both_ends() -> None:
    assert made(sample(10, running_requests=1), sample(15, running_requests=0)).active is False
    assert of_window(made(sample(10, running_requests=1), sample(15, running_requests=0))).active_s == 0
    assert of_window(made(sample(10, running_requests=1), sample(15, running_requests=3))).active_s == 5


def test_totals_of_a_gap_count_it_and_cover_nothing() -> None:
    parts = pairwise_totals([sample(0, steps_total=0), sample(5, steps_total=10), sample(60, steps_total=900)])
    total = add_up(parts)

    assert total is not None
    assert total.deltas["steps_total"] == 10
    assert total.covered_s == 5
    assert total.refusals == {Refusal.GAP: 1}
    assert total.coverage_ratio == pytest.approx(5 / 60)


def test_the_first_sample_of_a_new_epoch_invents_no_interval() -> None:
    assert pairwise_totals([sample(0, epoch=1, steps_total=50), sample(5, epoch=2, steps_total=3)]) == []


def test_two_processes_that_answer_in_turns_have_windows_of_their_own() -> None:
    """Epoch 1 rises by 10 a second, epoch 2 by 1, polled every 5 s in turns: 100 and 10 in ten seconds each."""
    turns = [sample(5 * n, epoch=1 + n % 2, steps_total=5 * n * (10 if n % 2 == 0 else 1)) for n in range(4)]
    totals = by_epoch(pairwise_totals(turns))

    assert totals[1].deltas["steps_total"] == 100
    assert totals[2].deltas["steps_total"] == 10


def test_totals_of_different_epochs_are_never_added() -> None:
    with pytest.raises(ValueError, match="never added"):
        empty(KEY, 1, 0, 5) + empty(KEY, 2, 5, 10)


def test_a_series_missing_from_one_window_is_missing_from_the_sum() -> None:
    parts = pairwise_totals([sample(0, steps_total=1), sample(5, steps_total=2), sample(10), sample(15, steps_total=9)])
    total = add_up(parts)

    assert total is not None
    assert total.windows == 3
    assert total.deltas["steps_total"] is None
    assert total.rate("steps_total") is None


def test_nothing_covered_has_no_rate() -> None:
    assert empty(KEY, 1, 0, 5).rate("steps_total") is None
    assert empty(KEY, 1, 0, 5).mean("running_requests") is None
    assert empty(KEY, 1, 5, 5).coverage_ratio is None


amounts = st.one_of(st.none(), st.integers(0, 1000))


@st.composite
def histories(draw: st.DrawFn) -> list[ReplicaSample]:
    """A replica's samples: growing counters, missing values, gaps, restarts, repeated and reversed stamps."""
    at_s, epoch, steps = 0.0, 1, 0
    result = []
    for _ in range(draw(st.integers(0, 20))):
        at_s += draw(st.sampled_from([0.0, 4.0, 5.0, 6.0, 30.0]))
        if draw(st.integers(0, 9)) == 0:
            epoch, steps = epoch + 1, 0
        steps += draw(st.integers(0, 50))
        shown = None if draw(st.integers(0, 9)) == 0 else steps - draw(st.sampled_from([0, 0, 0, 0, 60]))
        running = draw(st.sampled_from([None, 0, 1, 5]))
        result.append(sample(at_s, epoch=epoch, steps_total=shown, running_requests=running))
    return result


def by_epoch(parts: list[Totals]) -> dict[int, Totals]:
    sums: dict[int, Totals] = {}
    for part in parts:
        sums[part.epoch] = sums[part.epoch] + part if part.epoch in sums else part
    return sums


@given(histories(), st.randoms())
def test_the_order_of_samples_and_of_additions_does_not_matter(history: list[ReplicaSample], random: object) -> None:
    distinct = list({one.at_s: one for one in history}.values())
    shuffled = list(distinct)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    parts = pairwise_totals(distinct)
    mixed = pairwise_totals(shuffled)
    random.shuffle(mixed)  # type: ignore[attr-defined]

    assert by_epoch(parts) == by_epoch(mixed)


@given(histories())
def test_no_history_gives_a_negative_increase_or_more_cover_than_span(history: list[ReplicaSample]) -> None:
    for total in by_epoch(pairwise_totals(history)).values():
        assert all(delta is None or delta >= 0 for delta in total.deltas.values())
        assert 0 <= total.covered_s <= total.end_s - total.start_s + 1e-9
        assert total.active_s is None or total.active_s <= total.covered_s
        assert total.windows + sum(total.refusals.values()) <= len(history)


@given(histories(), st.integers(0, 20))
def test_totals_of_the_parts_are_the_totals_of_the_whole(history: list[ReplicaSample], cut: int) -> None:
    """Cutting between two windows, wherever, changes nothing: what five-minute buckets rest on."""
    parts = pairwise_totals(history)
    cut = min(cut, len(parts))
    halves = by_epoch(list(by_epoch(parts[:cut]).values()) + list(by_epoch(parts[cut:]).values()))

    assert by_epoch(parts) == halves


def stretch(count: int, lacking: set[int]) -> list[Totals]:
    """Windows of 100 s with one step each; those in `lacking` were told no prefill seconds."""
    at_s = [100.0 * number for number in range(count + 1)]
    parts = []
    for number in range(count):
        told = {} if number in lacking else {"prefill_s_total": 0.0}
        before = sample(at_s[number], interval_s=100.0, steps_total=0.0, **told)
        after = sample(at_s[number + 1], interval_s=100.0, steps_total=1.0, **dict.fromkeys(told, 2.0))
        parts.append(of_window(made(before, after)))
    return parts


def test_one_missed_answer_does_not_silence_a_series_for_days() -> None:
    """1 of 20 windows lacks the timer: 19 * 2 s remain, over the 1900 s that they cover."""
    whole = add_up_whole(stretch(20, {7}))
    assert whole is not None
    assert whole.deltas["prefill_s_total"] == 38
    assert whole.deltas["steps_total"] == 19
    assert whole.covered_s == 1900


def test_a_series_that_is_often_missing_stays_missing() -> None:
    """3 of 20 windows lack it: too many to leave out, and the steps of all are kept."""
    whole = add_up_whole(stretch(20, {1, 7, 9}))
    assert whole is not None
    assert whole.deltas["prefill_s_total"] is None
    assert whole.deltas["steps_total"] == 20


def test_the_sum_of_no_parts_is_none() -> None:
    assert add_up_whole([]) is None


@pytest.mark.fault(
    "3",
    "two daemons' clocks differ",
    promise="samples of two whose clocks differ by less than an interval, however mixed, add up to what the counter "
    "rose by",
)
@given(st.lists(st.booleans(), min_size=2, max_size=50), st.floats(-10, 10))
def test_samples_of_two_clocks_add_up_to_what_the_counter_rose_by(ahead: list[bool], ahead_s: float) -> None:
    """Both poll every 15 s by their own clock; whoever is first at a tick has it. The counter rises by 20 a second."""
    polls = [
        sample(15.0 * n, interval_s=15, steps_total=20 * (1000 + 15.0 * n - (ahead_s if other else 0)))
        for n, other in enumerate(ahead)
    ]
    total = add_up(pairwise_totals(polls))

    assert total is not None
    assert total.refusals == {}
    steps = total.deltas["steps_total"]
    assert polls[0].steps_total is not None
    assert polls[-1].steps_total is not None
    assert steps == pytest.approx(polls[-1].steps_total - polls[0].steps_total)
    assert steps == pytest.approx(20 * total.covered_s, abs=20 * 10)
