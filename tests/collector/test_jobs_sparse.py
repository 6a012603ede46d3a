"""A replica's histograms are stored about once a minute, and at once when its process is new."""

from __future__ import annotations

import pytest

from analyzer.samples import ReplicaKey
from collector.jobs.sparse import HISTOGRAM_PERIOD_S, Sparse

KEY = ReplicaKey("http://127.0.0.1:8000/metrics", "m")
OTHER = ReplicaKey("http://127.0.0.1:8000/metrics", "m", "1")


def stored_at(interval_s: float, polls: int, shift_s: float = 0.0) -> list[float]:
    """When, of so many polls, the histograms are stored."""
    sparse = Sparse()
    times_s = [number * interval_s + (shift_s if number % 2 else 0.0) for number in range(polls)]
    return [at_s for at_s in times_s if sparse.due(KEY, "1", at_s, interval_s)]


@pytest.mark.parametrize(
    ("interval_s", "apart_s"), [(1.0, 60.0), (5.0, 60.0), (15.0, 60.0), (45.0, 45.0), (60.0, 60.0), (300.0, 300.0)]
)
def test_the_poll_nearest_to_a_minute_later_is_the_next(interval_s: float, apart_s: float) -> None:
    polls = int(600 / interval_s) + 1
    times_s = stored_at(interval_s, polls)
    assert HISTOGRAM_PERIOD_S == 60
    assert times_s == [number * apart_s for number in range(len(times_s))]
    assert times_s[-1] + apart_s > 600


def test_polls_that_come_a_little_early_or_late_do_not_lengthen_the_minute() -> None:
    assert stored_at(15.0, 9, shift_s=-0.5) == [0, 60, 120]


def test_the_first_poll_of_another_process_is_one() -> None:
    sparse = Sparse()
    assert [sparse.due(KEY, start, at_s, 5.0) for at_s, start in ((0, "1"), (5, "1"), (10, "2"), (15, "2"))] == [
        *(True, False, True, False),
    ]


def test_an_engine_that_tells_no_start_is_thinned_too() -> None:
    sparse = Sparse()
    assert [sparse.due(KEY, None, at_s, 5.0) for at_s in (0.0, 5.0, 60.0)] == [True, False, True]


def test_replicas_are_thinned_each_for_itself_and_forgotten_when_gone() -> None:
    sparse = Sparse()
    assert sparse.due(KEY, "1", 0.0, 5.0)
    assert sparse.due(OTHER, "1", 5.0, 5.0)
    assert not sparse.due(KEY, "1", 5.0, 5.0)
    sparse.keep([OTHER])
    assert sparse.due(KEY, "1", 10.0, 5.0)
    assert not sparse.due(OTHER, "1", 10.0, 5.0)
