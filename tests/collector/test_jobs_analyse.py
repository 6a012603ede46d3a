"""What the decision span is read from: hours for what is old, five minutes for the last day, every window once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from analyzer.samples import Identity, ReplicaKey, ReplicaSample
from collector.jobs.analyse import Analyse
from collector.jobs.history_reads import buckets_of, read_at_once
from collector.jobs.polled import Polled
from collector.settings.load import parse_settings
from collector.store import Keep, Store
from tests.fakes.hand_clock import HandClock

DAY_S = 86_400.0
BEGIN_S = 1_795_428_000.0
"""2026-11-23 10:00:00 UTC."""
KEY = ReplicaKey("http://a:8000/metrics", "llama", "0")
VLLM = Identity("vllm")
POLL_S = 300.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store.open(str(tmp_path / "breakeven.db"), HandClock(BEGIN_S))) as opened:
        yield opened


def polled(store: Store, since_s: float, until_s: float, start: str = "1") -> int:
    """One step at each poll, a poll every five minutes, each in a bucket of its own; the epoch."""
    epoch = store.writer.register(KEY, VLLM, start, "vllm", since_s)
    store.writer.append(
        [
            ReplicaSample(KEY, epoch, since_s + n * POLL_S, POLL_S, steps_total=float(n))
            for n in range(int((until_s - since_s) / POLL_S))
        ]
    )
    store.roll_up(until_s)
    return epoch


def rows(store: Store, epoch: int, now_s: float, settings: str = "") -> tuple[float, float, int]:
    """Seconds covered and spanned by the report's decision span, and how many rows of totals it was made of."""
    analyse = Analyse(store, parse_settings(settings, ""))
    one = Polled(KEY, "vllm", VLLM, "1", now_s, now_s, POLL_S, {})
    (report,) = analyse.run({KEY: one}, {KEY: epoch}, now_s).replicas
    read = read_at_once(store.reader, {epoch: one}, analyse._spans, now_s)
    buckets = buckets_of(store.reader, read, KEY, epoch, now_s - analyse._spans.history_s, now_s)
    return report.history_covered_s, report.history_span_s, len(buckets)


@pytest.mark.parametrize("past_s", [0.0, 1500.0])
def test_a_week_counts_each_window_once_wherever_the_hour_stands(store: Store, past_s: float) -> None:
    """Eight days, of which a week is read: its first 11 five-minute buckets at most are left out, and nothing twice."""
    now_s = BEGIN_S + 8 * DAY_S + past_s
    epoch = polled(store, BEGIN_S, now_s)
    covered_s, span_s, read = rows(store, epoch, now_s)
    assert covered_s == span_s
    assert 7 * DAY_S - 3600 - 2 * POLL_S < covered_s <= 7 * DAY_S
    # 143 or 144 hours, the first of them and the last 24 to 25 hours by five minutes.
    assert 143 + 11 + 288 - 1 <= read <= 143 + 12 + 300


def test_an_epoch_that_began_within_the_span_is_read_from_its_first_window_on(store: Store) -> None:
    """Begun three days ago at half past, beside a former one: 864 polls give 863 windows."""
    start_s = BEGIN_S + 1800.0
    polled(store, BEGIN_S - 2 * DAY_S, start_s, "0")
    epoch = polled(store, start_s, start_s + 3 * DAY_S)
    covered_s, span_s, _ = rows(store, epoch, start_s + 3 * DAY_S)
    assert covered_s == span_s == 863 * POLL_S


def test_a_span_of_less_than_a_day_is_read_by_five_minutes(store: Store) -> None:
    """Two days of polls, an hour and a half of which is asked for: 18 buckets."""
    now_s = BEGIN_S + 2 * DAY_S
    epoch = polled(store, BEGIN_S, now_s)
    assert rows(store, epoch, now_s, "analysis: {history: 90m}") == (18 * POLL_S, 18 * POLL_S, 18)


def test_hours_serve_where_five_minute_totals_are_gone(store: Store) -> None:
    """A replica silent for two days, whose five-minute totals have been deleted: 24 hours, 287 windows."""
    epoch = polled(store, BEGIN_S, BEGIN_S + DAY_S)
    now_s = BEGIN_S + 3 * DAY_S
    store.prune(Keep(DAY_S, DAY_S, 9 * DAY_S), now_s)
    assert store.reader.totals(0, 4e9) == []
    assert rows(store, epoch, now_s) == (287 * POLL_S, 287 * POLL_S, 24)


def test_hours_stand_in_within_the_last_day_too(store: Store) -> None:
    """Five-minute totals kept for six hours only: 18 hours and 72 buckets, and the day's 287 windows all the same."""
    epoch = polled(store, BEGIN_S, BEGIN_S + DAY_S)
    store.prune(Keep(9 * DAY_S, DAY_S / 4, 9 * DAY_S), BEGIN_S + DAY_S)
    assert rows(store, epoch, BEGIN_S + DAY_S) == (287 * POLL_S, 287 * POLL_S, 18 + 72)
