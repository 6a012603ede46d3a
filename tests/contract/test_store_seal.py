"""Sealed samples are read as if they were not; what comes late joins them; nothing is lost or doubled on the way."""

from __future__ import annotations

import threading
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, func, select

from analyzer.samples import GpuSample, ReplicaKey, ReplicaSample
from collector.errors import StoreError
from collector.store import Appended, Keep, Store
from collector.store.codec import replica_row
from collector.store.engine import open_engines
from collector.store.schema import BLOCKS, gpu_samples, replica_samples
from collector.store.sealing import SEALED_AFTER_S, seal_oldest
from collector.store.statements import add
from tests.contract.postgres_cluster import Cluster
from tests.contract.standing_clock import StandingClock
from tests.contract.store_samples import LATER_S, START_S, VLLM, fresh_key, registered, sample, seal_all

HOUR_S, DAY_S = 3600.0, 86_400.0


def lying(store: Store) -> dict[str, int]:
    """How many rows each table and its blocks have."""
    tables = [one for table in (replica_samples, gpu_samples) for one in (table, BLOCKS[table.name])]
    return {
        table.name: store._engines.read(
            lambda connection, of=table: connection.execute(select(func.count()).select_from(of)).scalar_one()
        )
        for table in tables
    }


def filled(store: Store, hours: float, interval_s: float = 15.0) -> tuple[ReplicaKey, list[ReplicaSample]]:
    """One replica and one GPU, polled from START_S on."""
    key, epoch = registered(store)
    instants = [START_S + n * interval_s for n in range(int(hours * HOUR_S / interval_s))]
    samples = [sample(key, epoch, at_s, interval_s, steps_total=at_s, busy_s_total=at_s / 4) for at_s in instants]
    store.writer.append(samples, [GpuSample("GPU-a", at_s, interval_s, power_w=300.0) for at_s in instants])
    return key, samples


@st.composite
def polls(draw: st.DrawFn) -> list[tuple[int, int, float]]:
    """(replica 0 or 1, number of its process, instant) over some hours: gaps, restarts, and polls of different pace."""
    found, at_s, process = [], START_S, 0
    for _ in range(draw(st.integers(1, 25))):
        at_s += draw(st.sampled_from([0.25, 5.0, 15.0, 15.0, 60.0, 299.0, 3000.0]))
        process += draw(st.integers(0, 9)) == 0
        found.append((draw(st.integers(0, 1)), process, at_s))
    return found


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(told=polls(), data=st.data())
def test_whatever_is_sealed_whenever_the_same_is_read(
    store: Store, told: list[tuple[int, int, float]], data: st.DataObject
) -> None:
    """Samples come in any order and some twice, sealing runs in between: what came first with its key is read."""
    keys = {fresh_key(): 5.0, fresh_key(): 15.0}
    made = []
    for number, (which, process, at_s) in enumerate(told):
        key, interval_s = list(keys.items())[which]
        epoch = store.writer.register(key, VLLM, str(process), "vllm", START_S)
        made.append(sample(key, epoch, at_s, interval_s, steps_total=number + 0.5, prefills_total=float(number)))
    made = data.draw(st.permutations(made))
    first: dict[tuple[int, int], ReplicaSample] = {}
    left = [*made, *data.draw(st.lists(st.sampled_from(made), max_size=5))]
    while left:
        size = data.draw(st.integers(1, len(left)))
        batch, left = left[:size], left[size:]
        store.writer.append(batch)
        for one in batch:
            first.setdefault(replica_row(one)[:2], one)
        if data.draw(st.booleans()):
            seal_all(store, data.draw(st.sampled_from([START_S + SEALED_AFTER_S + 900, LATER_S])))
    since_s, until_s = sorted(data.draw(st.lists(st.sampled_from([one[2] for one in told]), min_size=2, max_size=2)))
    for key in keys:
        mine = sorted((one for one in first.values() if one.replica == key), key=lambda one: (one.at_s, one.epoch))
        assert mine == store.reader.samples(0, 4e9, key)
        within = [one for one in mine if since_s <= one.at_s < until_s]
        assert within == store.reader.samples(since_s, until_s, key)
        earlier = [one for one in mine if one.at_s < until_s]
        assert (earlier[-1] if earlier else None) == store.reader.last_sample(key, until_s)
        newest = store.reader.latest(0).get(key)
        # Two epochs may share a tick.
        assert (None if newest is None else replica_row(newest)[0]) == (replica_row(mine[-1])[0] if mine else None)
    both = [one for one in store.reader.samples(0, 4e9) if one.replica in keys]
    assert sorted(map(repr, first.values())) == sorted(map(repr, both))


def test_only_what_is_old_enough_is_sealed_and_bucket_by_bucket(store: Store) -> None:
    """Three hours every 15 s: of 36 buckets the last 24 are younger than two hours. A bucket has 20 rows of each."""
    key, samples = filled(store, 3)
    readings = store.reader.gpu_samples(0, 4e9)
    now_s = START_S + 3 * HOUR_S
    assert [store.seal(now_s) for _ in range(13)] == [40] * 12 + [0]
    assert lying(store) == {"replica_samples": 480, "replica_blocks": 12, "gpu_samples": 480, "gpu_blocks": 12}
    assert samples == store.reader.samples(0, 4e9, key)
    assert readings == store.reader.gpu_samples(0, 4e9)
    assert readings[:300] == store.reader.gpu_samples(0, START_S + 300 * 15, "GPU-a")


def test_sealing_again_or_nothing_does_nothing(store: Store) -> None:
    assert store.seal(LATER_S) == 0
    filled(store, 0.5)
    assert seal_all(store) == 240
    before = lying(store)
    assert store.seal(LATER_S) == 0
    assert before == lying(store)


def test_what_was_sealed_is_a_duplicate_when_it_comes_again(store: Store) -> None:
    key, samples = filled(store, 0.5)
    seal_all(store)
    changed = [replace(one, steps_total=-1.0) for one in samples[10:30]]
    appended = store.writer.append(changed, [GpuSample("GPU-a", samples[3].at_s, 15.0, power_w=1.0)])
    assert (appended.new, appended.duplicates) == (0, 21)
    assert samples == store.reader.samples(0, 4e9, key)


def test_late_samples_join_what_was_sealed_and_its_totals(store: Store) -> None:
    """Every third poll comes ten days late: read, rolled up and sealed as if it had come in time."""
    key, epoch = registered(store)
    samples = [sample(key, epoch, START_S + 15.0 * n, steps_total=7.0 * n) for n in range(60)]
    store.writer.append([one for n, one in enumerate(samples) if n % 3])
    store.roll_up(LATER_S)
    seal_all(store)
    assert store.writer.append(samples[::3]).new == 20
    assert samples == store.reader.samples(0, 4e9, key)
    store.roll_up(LATER_S)
    made = [totals for _, totals in store.reader.totals(0, 4e9, key)]
    assert [(one.windows, one.deltas["steps_total"]) for one in made] == [(19, 133.0), (20, 140.0), (20, 140.0)]
    assert seal_all(store) == 20
    assert lying(store)["replica_blocks"] == 3
    assert samples == store.reader.samples(0, 4e9, key)
    assert store.reader.latest(START_S)[key] == samples[-1]
    assert store.reader.last_sample(key, START_S + 100) == samples[6]


def test_what_fails_halfway_leaves_the_rows(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    key, samples = filled(store, 0.5)

    def broken(*_: Any) -> None:
        raise StoreError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr("collector.store.sealing.put", broken)
        with pytest.raises(StoreError):
            store.seal(LATER_S)
    assert samples == store.reader.samples(0, 4e9, key)
    assert lying(store)["replica_samples"] == 120
    assert seal_all(store) == 240
    assert samples == store.reader.samples(0, 4e9, key)


def test_sealed_samples_are_deleted_after_their_time_and_counted(store: Store) -> None:
    """30 h from 10:00 UTC, two an hour, one hour kept at 16:00: SQLite deletes 29 h, Postgres the first day."""
    filled(store, 30, interval_s=1800.0)
    now_s = START_S + 30 * HOUR_S
    store.roll_up(now_s)
    seal_all(store, now_s)
    assert (lying(store)["replica_samples"], lying(store)["replica_blocks"]) == (4, 56)
    pruned = store.prune(Keep(HOUR_S, 365 * DAY_S, 365 * DAY_S), now_s)
    gone = 29 * 2 if store.place.startswith("SQLite") else 14 * 2
    assert (pruned.samples, pruned.gpu_samples) == (gone, gone)
    assert 60 - gone == len(store.reader.samples(0, 4e9)) == len(store.reader.gpu_samples(0, 4e9))
    assert len(store.reader.totals(0, 4e9)) == 59


def test_the_size_limit_takes_sealed_samples_first(store: Store) -> None:
    filled(store, 49, interval_s=1800.0)
    now_s = START_S + 49 * HOUR_S
    store.roll_up(now_s)
    seal_all(store, now_s)
    pruned = store.prune(Keep(365 * DAY_S, 365 * DAY_S, 365 * DAY_S, max_bytes=1), now_s)
    left = 2 if store.place.startswith("SQLite") else 11 * 2
    assert (pruned.samples, pruned.gpu_samples) == (49 * 2 - left, 49 * 2 - left)
    assert left == len(store.reader.samples(0, 4e9)) == len(store.reader.gpu_samples(0, 4e9))


def test_a_replica_that_came_back_and_was_sealed_is_not_forgotten(store: Store) -> None:
    key, epoch = registered(store)
    store.writer.append([sample(key, epoch, START_S)])
    store.roll_up(START_S + DAY_S)
    back_s = START_S + 20 * DAY_S
    store.writer.append([sample(key, epoch, back_s)])
    seal_all(store, back_s + DAY_S)
    assert store.prune(Keep(HOUR_S, HOUR_S, 10 * DAY_S), back_s + 60).replicas == 0
    assert [epoch] == [one.id for one in store.reader.epochs(key)]


@pytest.mark.parametrize("store", ["postgres"], indirect=True)
def test_a_day_whose_blocks_have_no_partition_gets_one(store: Store) -> None:
    """As after the upgrade that brought blocks, for the days before it."""
    key, samples = filled(store, 0.5)
    store._engines.write(lambda connection: connection.exec_driver_sql("DROP TABLE replica_blocks_20261123"))
    assert seal_all(store) == 240
    assert samples == store.reader.samples(0, 4e9, key)


@pytest.mark.parametrize("store", ["postgres"], indirect=True)
def test_what_another_daemon_adds_meanwhile_is_not_lost(store: Store) -> None:
    """Its transaction begins before the sealing and ends after it."""
    key, samples = filled(store, 0.5)
    late = replace(samples[0], at_s=samples[0].at_s + 1.0, interval_s=1.0)
    with closing(open_engines(_url(store))) as other:
        with other.writing.begin() as connection:
            assert add(connection, replica_samples, [replica_row(late)]) == 1
            assert store.seal(LATER_S) == 40
        assert late in store.reader.samples(0, 4e9, key)
        assert seal_all(store) == 201
    assert [samples[0], late, *samples[1:]] == store.reader.samples(0, 4e9, key)


@pytest.mark.fault(
    "4",
    "two daemons on one database",
    promise="on Postgres two that seal the same samples take turns, and what comes meanwhile stays",
)
@pytest.mark.parametrize("store", ["postgres"], indirect=True)
def test_two_that_seal_the_same_time_take_turns(store: Store) -> None:
    """The second, which finds a late sample only, waits and adds it to the block of the first."""
    key, samples = filled(store, 0.25)
    late = replace(samples[0], at_s=samples[0].at_s + 1.0, interval_s=1.0)
    until_ms = round(LATER_S * 1000)
    with closing(open_engines(_url(store))) as other:
        with other.writing.begin() as connection:
            assert seal_oldest(connection, replica_samples, until_ms) == 20
            store.writer.append([late])
            second = threading.Thread(target=store.seal, args=(LATER_S,))
            second.start()
            second.join(0.2)
            assert second.is_alive()
        second.join(20)
    seal_all(store)
    assert [samples[0], late, *samples[1:]] == store.reader.samples(0, 4e9, key)


@pytest.mark.fault(
    "4",
    "two daemons on one database",
    promise="samples that one daemon adds while another seals them are neither counted nor kept twice",
)
@pytest.mark.parametrize("store", ["postgres"], indirect=True)
def test_what_is_sealed_between_the_look_and_the_write_is_a_duplicate(store: Store) -> None:
    """Daemon A has seen that nothing is sealed; B seals all before A inserts. One late sample of A's is new."""
    key, samples = filled(store, 0.25)
    late = replace(samples[0], at_s=samples[0].at_s + 1.0, interval_s=1.0)
    sealed: list[int] = []
    with closing(Store.open(_url(store), StandingClock())) as second:

        def seal_first(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            if statement.startswith("INSERT INTO replica_samples") and not sealed:
                sealed.append(seal_all(second))

        event.listen(store._engines.writing, "before_cursor_execute", seal_first)
        appended = store.writer.append([*samples, late])
    assert sealed == [120]
    assert (appended.new, appended.duplicates) == (1, 60)
    assert lying(store)["replica_samples"] == 1
    assert [samples[0], late, *samples[1:]] == store.reader.samples(0, 4e9, key)


@pytest.mark.parametrize("store", ["postgres"], indirect=True)
def test_what_is_being_sealed_when_it_comes_again_is_a_duplicate(store: Store, postgres: Cluster) -> None:
    """B has deleted the rows and written their blocks, and commits while A's insert waits for it."""
    key, samples = filled(store, 0.25)
    made: list[Appended] = []
    waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'transactionid' AND datname = current_database()"
    with closing(open_engines(_url(store))) as other:
        with other.writing.begin() as connection:
            for _ in range(3):
                seal_oldest(connection, replica_samples, round(LATER_S * 1000))
            adding = threading.Thread(target=lambda: made.append(store.writer.append(samples)))
            adding.start()
            while adding.is_alive() and not postgres.run(waiting, _database(store)):
                adding.join(0.01)
            assert adding.is_alive(), "it did not wait for the one that seals"
        adding.join(20)
    assert made == [Appended(0, 60)]
    assert lying(store)["replica_samples"] == 0
    assert samples == store.reader.samples(0, 4e9, key)


def _database(store: Store) -> str:
    return str(store._engines.place.url.database)


def _url(store: Store) -> str:
    return str(store._engines.place.url.render_as_string(hide_password=False))
