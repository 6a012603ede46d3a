"""Hourly totals: the sum of an hour's five-minute totals, whenever and however often it is made."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, delete

from analyzer.samples import Identity, ReplicaKey
from analyzer.windows import Refusal, Totals, add_up, add_up_whole
from collector.store import Keep, Store
from collector.store.rollup import FEW_OF_AN_HOUR, hour_rows
from collector.store.schema import replica_hours, replica_totals
from tests.contract.store_samples import START_S, VLLM, fresh_key, registered, sample
from tests.contract.test_store_rollup import LATER_S, approximately, by_epoch, histories, plain, steps_in

HOUR_S = 3600.0
DAY_S = 86_400.0


def hours(store: Store, key: ReplicaKey) -> list[tuple[float, Totals]]:
    """All hourly totals of a replica."""
    return store.reader.hours(0, 4e9, key)


def steps(store: Store, key: ReplicaKey) -> list[tuple[float, float | None]]:
    """(hours after the start, steps counted) of each hour."""
    return [((start_s - START_S) / HOUR_S, totals.deltas["steps_total"]) for start_s, totals in hours(store, key)]


def minutes(store: Store, count: int, first: int = 0) -> tuple[ReplicaKey, int]:
    """A replica polled each minute from START_S on, a step a minute."""
    key, epoch = registered(store)
    store.writer.append(
        [sample(key, epoch, START_S + 60.0 * n, 60.0, steps_total=float(n)) for n in range(first, first + count)]
    )
    return key, epoch


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(polls=histories(), data=st.data())
def test_hours_are_the_sum_of_their_five_minute_totals_whenever_they_are_made(
    store: Store, polls: list[dict[str, Any]], data: st.DataObject
) -> None:
    """Samples arrive in any order, in batches of any size; the roll-up runs between any of them, at any time."""
    key = fresh_key()
    samples = []
    for poll in polls:
        values = dict(poll)
        epoch = store.writer.register(key, VLLM, str(values.pop("process")), "vllm", START_S)
        samples.append(sample(key, epoch, values.pop("at_s"), 15.0, **values))
    left = data.draw(st.permutations(samples)) if data.draw(st.booleans()) else samples
    while left:
        size = data.draw(st.integers(1, len(left)))
        store.writer.append(left[:size])
        left = left[size:]
        if data.draw(st.booleans()):
            store.roll_up(data.draw(st.sampled_from([START_S, START_S + 4000, START_S + 9000, LATER_S])))
    store.roll_up(LATER_S)
    expected: dict[tuple[float, int], list[Totals]] = defaultdict(list)
    for start_s, totals in store.reader.totals(0, 4e9, key):
        expected[start_s // HOUR_S * HOUR_S, totals.epoch].append(totals)
    assert {
        where: approximately(whole)
        for where, parts in expected.items()
        if (whole := add_up_whole(parts, FEW_OF_AN_HOUR)) is not None
    } == {(start_s, totals.epoch): plain(totals) for start_s, totals in hours(store, key)}


def test_hours_hold_every_window_and_every_step_size_once(store: Store) -> None:
    """Three hours of polls 15 s apart from half past on, steps of two sizes: four hours, and all 719 windows."""
    key, epoch = registered(store)
    polls = [
        sample(
            key,
            epoch,
            START_S + 1800 + 15.0 * n,
            steps_total=float(n),
            running_requests=2.0,
            step_tokens=steps_in(n, 2.0 * n) if n % 4 == 0 else None,
        )
        for n in range(720)
    ]
    store.writer.append(polls)
    store.roll_up(LATER_S)
    found = [totals for _, totals in hours(store, key)]
    whole, by_bucket = add_up(found), add_up(totals for _, totals in store.reader.totals(0, 4e9, key))
    assert whole is not None
    assert by_bucket is not None
    assert [totals.windows for totals in found] == [119, 240, 240, 120]
    assert approximately(by_bucket) == plain(whole)
    # The last poll that tells them is number 716.
    assert whole.histograms["step_tokens"] == steps_in(716.0, 1432.0)
    assert [start_s for start_s, _ in hours(store, key)] == [START_S + HOUR_S * n for n in range(4)]
    assert len(store.reader.hours(START_S + HOUR_S, START_S + 3 * HOUR_S)) == 2


def test_an_open_hour_is_left_alone_and_a_silent_end_does_not_keep_it_open(store: Store) -> None:
    """The replica is last heard of at 10:19, and nothing is stored until the hour is over."""
    key, _ = minutes(store, 20)
    store.roll_up(START_S + HOUR_S - 0.1)
    assert steps(store, key) == []
    assert len(store.reader.totals(0, 4e9, key)) == 4
    assert store.roll_up(START_S + HOUR_S) == 0, "no bucket is left to do"
    assert steps(store, key) == [(0, 19.0)]


def test_an_hour_is_added_up_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def counted(connection: Connection, hour_ms: int) -> list[dict[str, Any]]:
        made.append(hour_ms / 1000)
        return hour_rows(connection, hour_ms)

    monkeypatch.setattr("collector.store.rollup.hour_rows", counted)
    minutes(store, 120)
    for _ in range(3):
        store.roll_up(LATER_S)
    assert made == [START_S, START_S + HOUR_S]


def test_late_samples_bring_their_hour_back(store: Store) -> None:
    """A spool replayed after others wrote on: 10:30 to 11:29 late, the rest in time."""
    key, epoch = registered(store)
    polls = [sample(key, epoch, START_S + 60.0 * n, 60.0, steps_total=float(n)) for n in range(180)]
    store.writer.append([*polls[:30], *polls[90:]])
    store.roll_up(LATER_S)
    assert steps(store, key) == [(0, 29.0), (1, 29.0), (2, 60.0)]
    store.writer.append(polls[30:90])
    store.roll_up(LATER_S)
    assert steps(store, key) == [(0, 59.0), (1, 60.0), (2, 60.0)]


def test_two_epochs_of_an_hour_stay_apart(store: Store) -> None:
    key, former = minutes(store, 30)
    later = store.writer.register(key, Identity("vllm", quantization="fp8"), "2", "vllm", START_S + 1800)
    store.writer.append([sample(key, later, START_S + 60.0 * n, 60.0) for n in range(30, 50)])
    store.roll_up(LATER_S)
    assert {former: 29, later: 19} == {totals.epoch: totals.windows for _, totals in hours(store, key)}


@pytest.mark.parametrize(("silent", "covered"), [(32, 54), (34, 49)])
def test_one_missed_answer_silences_no_series_of_the_hour(store: Store, silent: int, covered: int) -> None:
    """At 10:32 it spoils two windows of one bucket, at 10:34 one of each of two; these buckets are not covered.

    59 windows less 5 or 10. Each minute covered has two steps.
    """
    key, epoch = registered(store)
    store.writer.append(
        [
            sample(key, epoch, START_S + 60.0 * n, 60.0, steps_total=2.0 * n, busy_s_total=None if n == silent else n)
            for n in range(60)
        ]
    )
    store.roll_up(LATER_S)
    ((_, totals),) = hours(store, key)
    assert totals.covered_s == covered * 60.0
    assert (totals.deltas["busy_s_total"], totals.deltas["steps_total"]) == (covered, 2 * covered)


def test_a_roll_up_that_dies_between_a_bucket_and_its_hour_is_repeated(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second of three hours fails: the first is kept, the others are made by the next run."""
    key, _ = minutes(store, 180)
    calls = []

    def dies_second(connection: Connection, hour_ms: int) -> list[dict[str, Any]]:
        calls.append(hour_ms)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return hour_rows(connection, hour_ms)

    with monkeypatch.context() as patched:
        patched.setattr("collector.store.rollup.hour_rows", dies_second)
        with pytest.raises(KeyboardInterrupt):
            store.roll_up(LATER_S)
    assert steps(store, key) == [(0, 59.0)]
    store.roll_up(LATER_S)
    assert steps(store, key) == [(0, 59.0), (1, 60.0), (2, 60.0)]


def test_totals_that_come_back_bring_their_hour_back_but_fewer_do_not_replace_it(store: Store) -> None:
    """Once the five-minute totals are gone, one that is made anew from a late sample must not become the hour."""
    key, epoch = minutes(store, 60)
    store.roll_up(LATER_S)
    before = hours(store, key)
    with store._engines.writing.begin() as connection:
        connection.execute(delete(replica_totals))
    store.writer.append([sample(key, epoch, START_S + 90.0, 60.0, steps_total=1.5)])
    store.roll_up(LATER_S)
    assert len(store.reader.totals(0, 4e9, key)) == 2
    assert before == hours(store, key)


def test_an_hour_that_leaves_a_bucket_out_replaces_one_that_did_not(store: Store) -> None:
    """The late bucket lacks a series: the sum then has fewer windows than before, and is right all the same."""
    key, epoch = registered(store)

    def poll(n: int) -> Any:
        return sample(key, epoch, START_S + 60.0 * n, 60.0, steps_total=float(n), busy_s_total=n / 2)

    store.writer.append([poll(n) for n in range(60)])
    store.roll_up(LATER_S)
    late = replace(poll(32), at_s=START_S + 32 * 60.0 + 30, interval_s=1.0, busy_s_total=None)
    store.writer.append([late])
    store.roll_up(LATER_S)
    ((_, totals),) = hours(store, key)
    assert totals.windows == 54
    assert totals.deltas["busy_s_total"] == 27.0


def test_totals_outlive_their_time_until_their_hour_is_made(store: Store) -> None:
    """Rolled up last at 11:50 and pruned a year later: the first hour's totals may go, the second's must not yet."""
    key, _ = minutes(store, 110)
    store.roll_up(START_S + 110 * 60)
    keep = Keep(DAY_S, DAY_S, 1000 * DAY_S)
    assert store.prune(keep, START_S + 365 * DAY_S).totals == 12
    store.roll_up(START_S + 365 * DAY_S)
    assert store.prune(keep, START_S + 365 * DAY_S).totals == 10
    assert store.reader.totals(0, 4e9) == []
    assert steps(store, key) == [(0, 59.0), (1, 50.0)]


def test_five_minute_totals_go_by_whole_hours(store: Store) -> None:
    """Kept from 10:35 on: the totals of 10 o'clock are one hour's and stay together; those before go."""
    minutes(store, 240, first=-120)
    store.roll_up(LATER_S)
    now_s = START_S + 35 * 60 + DAY_S
    assert store.prune(Keep(DAY_S, DAY_S, DAY_S), now_s).totals == 24
    assert next(start_s for start_s, _ in store.reader.totals(0, 4e9)) == START_S


def test_a_refused_pair_is_counted_in_its_hour(store: Store) -> None:
    key, epoch = registered(store)
    store.writer.append([sample(key, epoch, START_S + at_s) for at_s in (0.0, 15.0, DAY_S, DAY_S + 15.0)])
    store.roll_up(LATER_S)
    (_, first), (start_s, after) = hours(store, key)
    assert (first.windows, dict(first.refusals)) == (1, {})
    assert (start_s, after.windows, dict(after.refusals)) == (START_S + DAY_S, 1, {Refusal.GAP: 1})


def test_a_day_of_hours_is_what_a_day_of_five_minutes_is(store: Store) -> None:
    key, _ = minutes(store, 26 * 60)
    store.roll_up(LATER_S)
    parts = [[totals for _, totals in read(0, 4e9, key)] for read in (store.reader.totals, store.reader.hours)]
    (fine,), (coarse,) = (list(by_epoch(one).values()) for one in parts)
    assert approximately(fine) == plain(coarse)
    assert [len(one) for one in parts] == [26 * 12, 26]


def test_hours_and_totals_have_the_same_columns() -> None:
    named = [[column.name for column in table.columns] for table in (replica_totals, replica_hours)]
    assert [*named[0], "pairs"] == named[1]
