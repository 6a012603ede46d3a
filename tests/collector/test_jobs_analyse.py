"""What the decision span is read from: hours for what is old, five minutes for the last day, every window once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from analyzer.replicas import ReplicaReport
from analyzer.samples import Identity, ReplicaKey, ReplicaSample
from collector.jobs.analyse import Analyse
from collector.jobs.history_reads import buckets_of, read_at_once
from collector.jobs.polled import Polled
from collector.settings.load import parse_settings
from collector.store import Keep, Store
from collector.store.read import Reader
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
    read = read_at_once(store.reader, {epoch: one}, {epoch}, analyse._spans, now_s)
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


class Counted:
    """A store's reader; `asked` are the questions whose answers grow with the history."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name in {"totals_of", "hours_of"}:
            self.asked.append(name)
        return getattr(self._reader, name)


class Reports:
    """Reports of the one replica, polled from `BEGIN_S` on, and what each asked the store for."""

    def __init__(self, store: Store, settings: str = "", until_s: float = BEGIN_S + DAY_S / 2) -> None:
        self._epoch = polled(store, BEGIN_S, until_s)
        self._counted = Counted(store.reader)
        self.analyse = Analyse(SimpleNamespace(reader=self._counted), parse_settings(settings, ""))  # type: ignore[arg-type]

    def at(self, now_s: float) -> tuple[ReplicaReport, list[str]]:
        self._counted.asked.clear()
        one = Polled(KEY, "vllm", VLLM, "1", now_s, now_s, POLL_S, {})
        (report,) = self.analyse.run({KEY: one}, {KEY: self._epoch}, now_s).replicas
        return report, sorted(self._counted.asked)


HOUR_S = 3600.0
NOW_S = BEGIN_S + 10 * HOUR_S
WHOLE = ["hours_of", "totals_of"]


def test_a_report_reads_a_long_history_only_when_its_figures_are_old(store: Store) -> None:
    """A hundredth of ten hours is over five minutes, which is waited without a model, or a quarter more at most."""
    reports = Reports(store)
    first, asked_first = reports.at(NOW_S)
    soon, asked_soon = reports.at(NOW_S + 299.0)
    later, asked_later = reports.at(NOW_S + 375.0)

    assert (asked_first, asked_soon, asked_later) == (WHOLE, [], WHOLE)
    assert first.last_sample_s is not None
    assert later.last_sample_s == first.last_sample_s + POLL_S
    assert (soon.history_covered_s, soon.decision) == (first.history_covered_s, first.decision)
    assert later.history_covered_s == first.history_covered_s + POLL_S


def test_the_report_between_is_the_same_as_one_made_anew_but_for_the_decision_span(store: Store) -> None:
    reports = Reports(store)
    reports.at(NOW_S)
    between, asked = reports.at(NOW_S + 299.0)
    anew = Reports.at(Reports(store), NOW_S + 299.0)[0]
    assert asked == []

    past = {one.name: getattr(anew, one.name) for one in fields(anew) if "history" in one.name}
    assert replace(between, **past, chain=anew.chain, capacity=anew.capacity) == anew


def test_a_replica_that_fell_silent_keeps_its_last_sample(store: Store) -> None:
    """Its polls end before `NOW_S`; four minutes later the live span is empty."""
    reports = Reports(store, until_s=NOW_S)
    first, _ = reports.at(NOW_S - 1.0)
    later, asked = reports.at(NOW_S + 240.0)

    assert asked == []
    assert later.last_sample_s == first.last_sample_s == NOW_S - POLL_S
    assert (first.fresh, later.fresh) == (True, True)
    assert not reports.at(NOW_S + 4 * POLL_S)[0].fresh


def test_other_facts_are_answered_from_the_whole_history_at_once(store: Store) -> None:
    reports = Reports(store)
    reports.at(NOW_S)
    reports.analyse.configure(parse_settings("deployments: [{name: one, match: {job: vllm}}]", ""))
    told, asked = reports.at(NOW_S + 60.0)

    assert told.deployment == "one"
    assert asked == WHOLE
    assert told.history_span_s > 9 * HOUR_S


def test_a_changed_decision_span_is_followed_at_once(store: Store) -> None:
    reports = Reports(store)
    reports.at(NOW_S)
    reports.analyse.configure(parse_settings("analysis: {history: 6h}", ""))
    told, asked = reports.at(NOW_S + 60.0)

    assert asked == WHOLE
    assert told.history_span_s <= 6 * HOUR_S


def test_where_other_gpus_can_be_had_every_report_reads_the_history(store: Store) -> None:
    """What the busiest replica would do on them is computed with each report."""
    reports = Reports(store, "deployments: [{name: one, match: {job: vllm}, tensor_parallel_choices: [1, 2]}]")

    assert [reports.at(NOW_S + 60.0 * minute)[1] for minute in range(2)] == [WHOLE, WHOLE]
