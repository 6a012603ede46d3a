"""Samples come back exactly as they went in, once, from SQLite and from Postgres."""

from __future__ import annotations

from dataclasses import fields
from math import inf, isnan, nan

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analyzer.columns import SERIES
from analyzer.histograms import BUCKETS
from analyzer.samples import GpuSample, Identity, ReplicaKey, ReplicaSample, bounds_of, histogram_names
from collector.errors import StoreError
from collector.store import Appended, Store
from collector.store.codec import tick, tick_ms_of
from tests.contract.store_samples import START_S, fresh_key, gpu_samples, registered, replica_samples, sample

shared_store = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@shared_store
@given(data=st.data())
def test_a_replica_sample_comes_back_exactly(store: Store, data: st.DataObject) -> None:
    key, epoch = registered(store)
    written = data.draw(replica_samples(key, epoch))
    store.writer.append([written])
    assert [written] == store.reader.samples(written.at_s, written.at_s + 1, key)
    assert written == store.reader.last_sample(key)
    columns = store.reader.columns(written.at_s, written.at_s + 1, {epoch: key})[epoch]
    assert (written.at_s, written.interval_s) == (columns.at_s[0], columns.interval_s[0])
    series = [None if isnan(value) else value for value in columns.series[:, 0].tolist()]
    assert [getattr(written, name) for name in SERIES] == series
    told = columns.told(np.array([0]))[0]
    for counts, (name, buckets) in zip(told.tolist(), BUCKETS.items(), strict=True):
        assert getattr(written, name) == (None if isnan(counts[0]) else tuple(counts[:buckets]))
    assert written == columns.sample(0)


@shared_store
@given(data=st.data())
def test_a_gpu_sample_comes_back_exactly(store: Store, data: st.DataObject) -> None:
    uuid = fresh_key().target
    written = data.draw(gpu_samples(uuid))
    store.writer.append([], [written])
    assert [written] == store.reader.gpu_samples(written.at_s, written.at_s + 1, uuid)


def test_not_reported_is_not_zero(store: Store) -> None:
    key, epoch = registered(store)
    names = [one.name for one in fields(ReplicaSample) if "unit" in one.metadata]
    empty = {name: (0.0,) * (len(bounds_of(ReplicaSample, name)) + 1) for name in histogram_names(ReplicaSample)}
    zeros = sample(key, epoch, START_S, **dict.fromkeys(names, 0.0), **empty)
    absent = sample(key, epoch, START_S + 15)
    store.writer.append([zeros, absent])
    found = store.reader.samples(START_S, START_S + 30, key)
    assert [{0.0}, {None}] == [{getattr(one, name) for name in names} for one in found]
    assert [empty, dict.fromkeys(empty)] == [{name: getattr(one, name) for name in empty} for one in found]


def test_a_fractional_count_is_kept_exactly(store: Store) -> None:
    """llama.cpp's decode steps are a product of two figures, not whole numbers."""
    key, epoch = registered(store)
    store.writer.append([sample(key, epoch, START_S, decode_sequence_steps_total=1234567.1234567)])
    assert store.reader.samples(START_S, START_S + 1, key)[0].decode_sequence_steps_total == 1234567.1234567


def test_what_cannot_be_a_measurement_is_not_reported_and_stops_no_other(store: Store) -> None:
    key, epoch = registered(store)
    absurd = sample(key, epoch, START_S, prompt_tokens_total=nan, steps_total=inf, busy_s_total=1e300, ttft_s_total=nan)
    other, other_epoch = registered(store)
    store.writer.append([absurd, sample(other, other_epoch, START_S, prompt_tokens_total=7.0)])
    assert [sample(key, epoch, START_S)] == store.reader.samples(START_S, START_S + 1, key)
    assert store.reader.samples(START_S, START_S + 1, other)[0].prompt_tokens_total == 7.0


@pytest.mark.fault("4", "two daemons on one database", promise="what is written twice is there once")
def test_a_batch_may_be_repeated(store: Store) -> None:
    key, epoch = registered(store)
    batch = [sample(key, epoch, START_S + 15 * n, steps_total=float(n)) for n in range(10)]
    readings = [GpuSample("GPU-a", START_S + 15 * n, 15.0, power_w=300.0) for n in range(10)]
    assert Appended(new=20, duplicates=0) == store.writer.append(batch, readings)
    assert Appended(new=0, duplicates=20) == store.writer.append(batch, readings)
    assert batch == store.reader.samples(START_S, START_S + 3600, key)
    assert readings == store.reader.gpu_samples(START_S, START_S + 3600, "GPU-a")


def test_the_first_of_two_samples_in_one_tick_stays(store: Store) -> None:
    """Two daemons that poll the same replica give one series, not two interleaved ones."""
    key, epoch = registered(store)
    first = sample(key, epoch, START_S + 2, steps_total=1.0)
    store.writer.append([first])
    assert Appended(0, 1) == store.writer.append([sample(key, epoch, START_S + 9, steps_total=2.0)])
    assert [first] == store.reader.samples(START_S, START_S + 60, key)


def test_a_batch_with_an_unknown_epoch_is_refused_whole(store: Store) -> None:
    key, epoch = registered(store)
    with pytest.raises(StoreError, match="register the replica again"):
        store.writer.append([sample(key, epoch, START_S), sample(key, 999_999, START_S)])
    assert store.reader.samples(START_S, START_S + 60) == []


def test_a_gpu_first_seen_in_a_refused_batch_can_be_added_later(store: Store) -> None:
    reading = GpuSample("GPU-c", START_S, 15.0)
    with pytest.raises(StoreError):
        store.writer.append([sample(fresh_key(), 999_999, START_S)], [reading])
    assert Appended(1, 0) == store.writer.append([], [reading])
    assert [reading] == store.reader.gpu_samples(START_S, START_S + 1)


@pytest.mark.fault(
    "4",
    "SQLite's disk is full",
    promise="by SQLite's own page limit: a batch that does not fit is refused whole, never in part",
)
@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_a_full_disk_refuses_a_batch_whole_and_is_over_when_there_is_room(store: Store) -> None:
    """SQLite's page limit gives the same error as a disk without space."""
    key, epoch = registered(store)
    batches = [[sample(key, epoch, START_S + 15.0 * (100 * n + m)) for m in range(100)] for n in range(100)]
    store.writer.append(batches[0])
    store._engines.script("PRAGMA max_page_count=60")
    with pytest.raises(StoreError, match=r"disk is full; free space") as refused:
        list(map(store.writer.append, batches))
    assert "\n" not in str(refused.value)
    kept = len(store.reader.samples(0, 4e9))
    assert (kept % 100, 0 < kept < 10_000) == (0, True)
    store._engines.script("PRAGMA max_page_count=1000000")
    assert Appended(100, 0) == store.writer.append(batches[kept // 100])


def test_a_gpu_reading_right_after_midnight_whose_tick_is_of_the_day_before_is_kept(store: Store) -> None:
    """Polled every 7 s, of which a day has no whole number: on Postgres the tick's day needs its partition."""
    midnight_s = (START_S // 86_400 + 5) * 86_400
    reading = GpuSample("GPU-a", midnight_s + 0.5, 7.0, power_w=1.0)
    assert tick_ms_of(reading) < midnight_s * 1000
    assert Appended(1, 0) == store.writer.append([], [reading])
    assert [reading] == store.reader.gpu_samples(0, 4e9)


def test_an_empty_batch_is_nothing(store: Store) -> None:
    assert Appended(0, 0) == store.writer.append([], [])


def test_a_span_holds_its_start_and_not_its_end(store: Store) -> None:
    key, epoch = registered(store)
    batch = [sample(key, epoch, START_S + 15 * n + 7.5) for n in range(4)]
    store.writer.append(batch)
    assert batch[1:3] == store.reader.samples(START_S + 22.5, START_S + 52.5, key)
    assert batch == [
        one for n in range(9) for one in store.reader.samples(START_S + n * 7.5, START_S + (n + 1) * 7.5, key)
    ]


def test_one_replica_is_read_from_among_many_with_other_intervals(store: Store) -> None:
    fleet = [(*registered(store), interval_s) for interval_s in (1.0, 7.0, 15.0, 15.0, 60.0)]
    batches = {
        key: [sample(key, epoch, START_S + n * interval_s + 0.3, interval_s, steps_total=float(n)) for n in range(60)]
        for key, epoch, interval_s in fleet
    }
    store.writer.append([one for batch in batches.values() for one in batch])
    for key, batch in batches.items():
        assert batch == store.reader.samples(START_S, START_S + 3600, key)
        assert batch[-1] == store.reader.last_sample(key)
    in_order = sorted((one for batch in batches.values() for one in batch), key=lambda one: (one.at_s, one.epoch))
    assert in_order == store.reader.samples(START_S, START_S + 3600)


def test_a_replica_s_epochs_are_read_together_in_time_order(store: Store) -> None:
    key, first = registered(store)
    quantized = Identity("vllm", quantization="fp8")
    second = store.writer.register(key, quantized, "1795428030", "vllm", START_S + 30)
    batch = [sample(key, epoch, START_S + 15 * n) for n, epoch in enumerate([first, first, second, second])]
    store.writer.append(reversed(batch))
    assert batch == store.reader.samples(START_S, START_S + 60, key)


def test_the_last_sample_is_found_however_old(store: Store) -> None:
    gone, gone_epoch = registered(store)
    alive, alive_epoch = registered(store)
    store.writer.append([sample(gone, gone_epoch, START_S + n * 15.0) for n in range(3)])
    store.writer.append([sample(alive, alive_epoch, START_S + n * 15.0) for n in range(2000)])
    assert last_at(store, gone) == START_S + 30
    assert last_at(store, gone, START_S + 30) == START_S + 15
    assert last_at(store, alive) == START_S + 1999 * 15
    assert store.reader.last_sample(gone, START_S) is None
    assert store.reader.last_sample(fresh_key()) is None


def last_at(store: Store, key: ReplicaKey, before_s: float = START_S * 2) -> float | None:
    """When the newest sample before an instant was taken."""
    found = store.reader.last_sample(key, before_s)
    return None if found is None else found.at_s


def test_reading_what_was_never_written_is_empty(store: Store) -> None:
    assert store.reader.samples(0, 2e9, fresh_key()) == []
    assert store.reader.samples(0, 2e9) == []
    assert store.reader.gpu_samples(0, 2e9, "GPU-none") == []
    assert store.reader.totals(0, 2e9) == []
    assert [] == store.reader.replicas() == store.reader.epochs()
    assert store.reader.latest_report() is None
    assert store.reader.verdicts() == {}


def test_a_gpu_keeps_the_last_name_that_was_told(store: Store) -> None:
    store.writer.append([], [GpuSample("GPU-b", START_S, 15.0)])
    store.writer.append([], [GpuSample("GPU-b", START_S + 15, 15.0, "NVIDIA H200")])
    store.writer.append([], [GpuSample("GPU-b", START_S + 30, 15.0)])
    found = store.reader.gpu_samples(START_S, START_S + 60, "GPU-b")
    assert [one.name for one in found] == ["NVIDIA H200"] * 3


@given(at_us=st.integers(0, 2**52), interval_ms=st.integers(1, 10**7))
def test_a_tick_is_aligned_and_less_than_a_bucket_before_its_instant(at_us: int, interval_ms: int) -> None:
    tick_ms, offset_us = tick(at_us, interval_ms)
    assert tick_ms * 1000 + offset_us == at_us
    assert tick_ms % min(interval_ms, 300_000) == 0
    assert 0 <= offset_us < min(interval_ms, 300_000) * 1000


def test_the_latest_of_each_replica_is_the_newest_since_an_instant(store: Store) -> None:
    """Sixty are polled, one is silent, one changed its epoch, one is silent for too long, one is gone for good."""
    polled = [registered(store) for _ in range(60)]
    changed, old_epoch = registered(store)
    new_epoch = store.writer.register(changed, Identity("vllm", quantization="fp8"), "1", "vllm", START_S + 6000)
    silent, too_long = registered(store), registered(store)
    store.writer.append([sample(*too_long, START_S), sample(*silent, START_S + 100)])
    store.writer.append([sample(changed, old_epoch, START_S + 5985), sample(changed, new_epoch, START_S + 6000)])
    for number in range(3):
        store.writer.append([sample(*one, START_S + 6000 + 15 * number) for one in polled])
    newest = {key: START_S + 6030 for key, _ in polled} | {changed: START_S + 6000, silent[0]: START_S + 100}
    assert {key: one.at_s for key, one in store.reader.latest(START_S + 15).items()} == newest
    assert store.reader.latest(START_S + 6000)[changed].epoch == new_epoch
    assert store.reader.latest(START_S + 6031) == {}
