"""Five-minute totals: the sum of the windows that end in the bucket, each counted once, whenever they are made."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analyzer.histograms import HISTOGRAM_SPAN_S
from analyzer.samples import LENGTH_BOUNDS, STEP_TOKENS_BOUNDS, Identity, ReplicaKey, ReplicaSample
from analyzer.windows import Refusal, Totals, add_up, pairwise_totals
from collector.store import Store
from collector.store.last_rows import last_rows_before
from collector.store.rollup import bucket_totals
from collector.store.schema import BUCKET_MS
from tests.contract.store_samples import START_S, VLLM, fresh_key, registered, sample

LATER_S = START_S + 1e6


def by_epoch(parts: list[Totals]) -> dict[int, Totals]:
    """The sum of totals per epoch."""
    groups = defaultdict(list)
    for part in parts:
        groups[part.epoch].append(part)
    return {epoch: total for epoch, group in groups.items() if (total := add_up(group)) is not None}


def stored(store: Store, key: ReplicaKey) -> list[tuple[float, Totals]]:
    """All totals of a replica."""
    return store.reader.totals(0, 4e9, key)


def approximately(totals: Totals) -> dict[str, Any]:
    """Totals with their sums to nine digits: floats added in another order differ in the last ones."""

    def rounded(value: float | None) -> Any:
        return None if value is None else pytest.approx(value, rel=1e-9, abs=2e-5)

    return {
        "key": (totals.replica, totals.epoch, totals.windows, dict(totals.refusals)),
        "span": (rounded(totals.start_s), rounded(totals.end_s)),
        "covered_s": rounded(totals.covered_s),
        "active_s": rounded(totals.active_s),
        "deltas": {name: rounded(value) for name, value in totals.deltas.items()},
        "integrals": {name: rounded(value) for name, value in totals.integrals.items()},
        "histograms": dict(totals.histograms),
    }


def plain(totals: Totals) -> dict[str, Any]:
    """Totals in the shape of `approximately`, as they are."""
    return {
        "key": (totals.replica, totals.epoch, totals.windows, dict(totals.refusals)),
        "span": (totals.start_s, totals.end_s),
        "covered_s": totals.covered_s,
        "active_s": totals.active_s,
        "deltas": dict(totals.deltas),
        "integrals": dict(totals.integrals),
        "histograms": dict(totals.histograms),
    }


def steps_in(*buckets: float) -> tuple[float, ...]:
    """Step sizes with these counts in the first buckets."""
    return (*buckets, *[0.0] * (len(STEP_TOKENS_BOUNDS) + 1 - len(buckets)))


def lengths(requests: float) -> tuple[float, ...]:
    """Lengths, all above the highest bound."""
    return (*[0.0] * len(LENGTH_BOUNDS), requests)


@st.composite
def histories(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Some replica's polls over up to two hours: gaps, restarts, counters that fall, series that come and go."""
    polls, at_s, steps, process = [], START_S + draw(st.integers(0, 300)), 0.0, 0
    for _ in range(draw(st.integers(0, 30))):
        at_s += draw(st.sampled_from([15.0, 15.0, 15.0, 15.25, 30.0, 45.0, 290.0, 900.0, 2400.0]))
        change = draw(st.sampled_from(["grow", "grow", "grow", "grow", "idle", "fall", "restart"]))
        process += change == "restart"
        steps = {"grow": steps + draw(st.integers(1, 500)), "idle": steps}.get(change, 1.0)
        told = draw(st.sampled_from([False, False, False, True]))
        polls.append({
            "at_s": at_s,
            "process": process,
            "steps_total": steps,
            "busy_s_total": draw(st.none() | st.just(steps / 64)),
            "running_requests": draw(st.sampled_from([None, 0.0, 1.0, 7.0])),
            "step_tokens": steps_in(0.0, steps) if told else None,
            "prompt_lengths": lengths(steps) if told and draw(st.booleans()) else None,
        })  # fmt: skip
    return polls


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(polls=histories(), data=st.data())
def test_totals_are_the_sum_of_all_windows_whenever_they_are_made(
    store: Store, polls: list[dict[str, Any]], data: st.DataObject
) -> None:
    """Samples arrive in batches of any size; the roll-up runs between any of them, at any time on the clock."""
    key = fresh_key()
    samples = []
    for poll in polls:
        values = dict(poll)
        epoch = store.writer.register(key, VLLM, str(values.pop("process")), "vllm", START_S)
        samples.append(ReplicaSample(key, epoch, values.pop("at_s"), 15.0, **values))
    left = samples
    while left:
        size = data.draw(st.integers(1, len(left)))
        store.writer.append(left[:size])
        left = left[size:]
        if data.draw(st.booleans()):
            store.roll_up(data.draw(st.sampled_from([START_S, START_S + 1800, LATER_S])))
    store.roll_up(LATER_S)
    direct = by_epoch(pairwise_totals(samples))
    rolled = by_epoch([totals for _, totals in stored(store, key)])
    assert {epoch: approximately(totals) for epoch, totals in direct.items()} == {
        epoch: plain(totals) for epoch, totals in rolled.items()
    }


def test_a_window_over_the_edge_counts_once_in_the_bucket_it_ends_in(store: Store) -> None:
    """Samples at -7.5, 7.5 and 22.5 s around the edge: both windows end in the bucket that starts there."""
    key, epoch = registered(store)
    edge_s = START_S + 300
    store.writer.append([sample(key, epoch, edge_s + at, steps_total=at * 2) for at in (-22.5, -7.5, 7.5, 22.5)])
    assert store.roll_up(edge_s + 900) == 3
    (first_s, first), (second_s, second) = stored(store, key)
    assert (START_S, 1, 30.0, edge_s - 7.5) == (first_s, first.windows, first.deltas["steps_total"], first.end_s)
    assert (edge_s, 2, 60.0, edge_s - 7.5) == (second_s, second.windows, second.deltas["steps_total"], second.start_s)


def test_a_sample_on_the_edge_itself_ends_a_window_of_the_later_bucket(store: Store) -> None:
    key, epoch = registered(store)
    store.writer.append([sample(key, epoch, START_S + 300 + at) for at in (-15.0, 0.0)])
    store.roll_up(LATER_S)
    assert [start_s for start_s, _ in stored(store, key)] == [START_S + 300]


@pytest.mark.parametrize("interval_s", [1.0, 5.0, 15.0])
def test_a_histogram_told_once_a_minute_loses_nothing_at_the_edges(store: Store, interval_s: float) -> None:
    """Ten steps a poll over 20 minutes, told at 30 s past each minute: 19 minutes of steps, in four buckets."""
    key, epoch = registered(store)
    polls = [(n, n * interval_s) for n in range(int(1200 / interval_s))]
    store.writer.append(
        [
            sample(
                key,
                epoch,
                START_S + at_s,
                interval_s,
                steps_total=10.0 * n,
                step_tokens=steps_in(4.0 * n, 6.0 * n) if at_s % 60 == 30 else None,
            )
            for n, at_s in polls
        ]
    )
    store.roll_up(LATER_S)
    total = add_up(totals for _, totals in stored(store, key))
    assert total is not None
    told = 19 * 60 / interval_s
    assert total.histograms["step_tokens"] == steps_in(4.0 * told, 6.0 * told)
    assert [sum(totals.histograms["step_tokens"] or ()) for _, totals in stored(store, key)] == [
        10 * minutes * 60 / interval_s for minutes in (4, 5, 5, 5)
    ]


def test_a_roll_up_looks_back_as_far_as_an_increase_may_reach() -> None:
    assert HISTOGRAM_SPAN_S * 1000 <= BUCKET_MS


def test_an_open_bucket_is_left_alone(store: Store) -> None:
    key, epoch = registered(store)
    store.writer.append([sample(key, epoch, START_S + 15.0 * n) for n in range(4)])
    assert store.roll_up(START_S + 299.9) == 0
    assert stored(store, key) == []
    assert store.roll_up(START_S + 300) == 1
    assert [totals.windows for _, totals in stored(store, key)] == [3]


def test_what_is_rolled_up_is_not_rolled_up_again(store: Store) -> None:
    key, epoch = registered(store)
    store.writer.append([sample(key, epoch, START_S + 15.0 * n) for n in range(4)])
    assert store.roll_up(LATER_S) == 2
    assert store.roll_up(LATER_S) == 0


def test_late_samples_bring_their_bucket_and_the_next_back(store: Store) -> None:
    """A spool that is replayed after others wrote on: 00:00-04:45 late, 05:00-09:45 in time, 15 s apart."""
    key, epoch = registered(store)
    samples = [sample(key, epoch, START_S + 15.0 * n, steps_total=float(n)) for n in range(40)]
    store.writer.append(samples[20:])
    store.roll_up(LATER_S)
    assert [totals.deltas["steps_total"] for _, totals in stored(store, key)] == [19.0]
    store.writer.append(samples[:20])
    store.roll_up(LATER_S)
    assert [totals.deltas["steps_total"] for _, totals in stored(store, key)] == [19.0, 20.0]


def test_a_gap_is_counted_where_it_ends_however_long_it_was(store: Store) -> None:
    key, epoch = registered(store)
    store.writer.append([sample(key, epoch, START_S + at) for at in (0.0, 15.0, 86_400.0, 86_415.0)])
    store.roll_up(LATER_S)
    (_, first), (start_s, after) = stored(store, key)
    assert (first.windows, dict(first.refusals)) == (1, {})
    assert (start_s, after.windows, dict(after.refusals)) == (START_S + 86_400, 1, {Refusal.GAP: 1})
    assert after.start_s == START_S + 15


def test_totals_of_two_epochs_in_one_bucket_stay_apart(store: Store) -> None:
    key, former = registered(store)
    later = store.writer.register(key, Identity("vllm", quantization="fp8"), "2", "vllm", START_S + 60)
    store.writer.append([sample(key, former if n < 4 else later, START_S + 15.0 * n) for n in range(8)])
    store.roll_up(LATER_S)
    assert {former: (3, {}), later: (3, {})} == {
        totals.epoch: (totals.windows, dict(totals.refusals)) for _, totals in stored(store, key)
    }


def test_totals_come_back_as_they_were_kept(store: Store) -> None:
    key, epoch = registered(store)
    parts = pairwise_totals(
        [
            sample(
                key,
                epoch,
                START_S + 15.0 * n,
                steps_total=n * 7.0,
                kv_usage_ratio=0.125,
                running_requests=n / 4,
                step_tokens=steps_in(n, 300.0 * n),
            )
            for n in range(5)
        ]
    )
    kept = add_up(parts)
    assert kept is not None
    empty = replace(kept, windows=0, covered_s=0.0, active_s=None, refusals={Refusal.CLOCK: 2, Refusal.ANOMALY: 1})
    store.writer.append_totals([(START_S, kept), (START_S + 300, empty)])
    assert [(START_S, kept), (START_S + 300, empty)] == stored(store, key)
    assert [(START_S, kept)] == store.reader.totals(START_S, START_S + 300)


def test_totals_made_from_fewer_samples_do_not_replace_fuller_ones(store: Store) -> None:
    key, epoch = registered(store)
    parts = pairwise_totals([sample(key, epoch, START_S + 15.0 * n, steps_total=n * 7.0) for n in range(5)])
    full, thin = add_up(parts), add_up(parts[:2])
    assert full is not None
    assert thin is not None
    store.writer.append_totals([(START_S, thin)])
    store.writer.append_totals([(START_S, full)])
    store.writer.append_totals([(START_S, thin)])
    assert [(START_S, full)] == stored(store, key)


def test_a_roll_up_that_dies_midway_is_repeated(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second of three buckets fails: the first is kept, the others are made by the next run."""
    key, epoch = registered(store)
    store.writer.append([sample(key, epoch, START_S + 15.0 * n, steps_total=float(n)) for n in range(60)])
    calls = []

    def dies_second(connection: Any, bucket_ms: int, past: Any) -> Iterator[Totals]:
        calls.append(bucket_ms)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return bucket_totals(connection, bucket_ms, past)

    with monkeypatch.context() as patched:
        patched.setattr("collector.store.rollup.bucket_totals", dies_second)
        with pytest.raises(KeyboardInterrupt):
            store.roll_up(LATER_S)
    assert [totals.deltas["steps_total"] for _, totals in stored(store, key)] == [19.0]
    store.roll_up(LATER_S)
    assert [totals.deltas["steps_total"] for _, totals in stored(store, key)] == [19.0, 20.0, 20.0]


def test_a_dip_before_a_long_silence_is_still_known(store: Store) -> None:
    """Steps 6, 1, 2, 15 minutes of silence, 3, 7, 9: 3 -> 7 leads out of the dip; 1 -> 2 and 7 -> 9 are 3 steps."""
    key, epoch = registered(store)
    polls = ((0.0, 6.0), (15.0, 1.0), (30.0, 2.0), (930.0, 3.0), (945.0, 7.0), (960.0, 9.0))
    store.writer.append([sample(key, epoch, START_S + at_s, steps_total=steps) for at_s, steps in polls])
    store.roll_up(LATER_S)
    total = add_up(totals for _, totals in stored(store, key))
    assert total is not None
    assert total.refusals == {Refusal.ANOMALY: 2, Refusal.GAP: 1}
    assert total.deltas["steps_total"] == 3.0


def test_a_far_past_is_looked_for_while_others_may_write_and_what_they_write_counts(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two replicas come back out of a dip after 15 minutes; of one that is known only once the past is looked for.

    Steps 6, 1, 2, silence, 3, 7, 9: as above. The write would wait for ever if the roll-up's transaction were open.
    """
    polls = ((0.0, 6.0), (15.0, 1.0), (30.0, 2.0), (930.0, 3.0), (945.0, 7.0), (960.0, 9.0))
    (first, one), (second, other) = registered(store), registered(store)
    store.writer.append([sample(first, one, START_S + at_s, steps_total=steps) for at_s, steps in polls])
    store.writer.append([sample(second, other, START_S + at_s, steps_total=steps) for at_s, steps in polls[:3]])
    asked: list[set[int]] = []

    def meanwhile(connection: Any, table: Any, before_us: int, since_us: dict[int, int], count: int) -> Any:
        if not asked:
            late = [sample(second, other, START_S + at_s, steps_total=steps) for at_s, steps in polls[3:]]
            assert store.writer.append(late).new == 3
        asked.append(set(since_us))
        return last_rows_before(connection, table, before_us, since_us, count)

    monkeypatch.setattr("collector.store.rollup.last_rows_before", meanwhile)
    store.roll_up(LATER_S)
    assert asked == [{one}, {other}]
    for key in (first, second):
        total = add_up(totals for _, totals in stored(store, key))
        assert total is not None
        assert total.refusals == {Refusal.ANOMALY: 2, Refusal.GAP: 1}
        assert total.deltas["steps_total"] == 3.0
