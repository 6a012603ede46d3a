"""Who is on the roster: what a page no longer shows is gone, what a silent target had still counts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from analyzer.samples import Identity, ReplicaKey
from collector.health import DaemonHealth
from collector.jobs.joins import GpuJoins
from collector.jobs.polled import Polled, Roster
from collector.jobs.remember import SEEN_S, remembered
from collector.jobs.sink import Sink
from collector.jobs.targets import static_targets
from collector.jobs.worker import Worker
from collector.settings.load import parse_settings
from collector.store import Store
from tests.fakes.hand_clock import HandClock

CONFIG = "scrape_configs: [{job_name: vllm, static_configs: [{targets: ['127.0.0.1:8000']}]}]\n"
URL = "http://127.0.0.1:8000/metrics"


def polled(model: str, at_s: float, url: str = URL) -> Polled:
    return Polled(ReplicaKey(url, model), "vllm", Identity("vllm"), "1", at_s, at_s, 15.0, {"steps_total": 1.0})


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def store(tmp_path: Path, clock: HandClock) -> Iterator[Store]:
    made = Store.open(str(tmp_path / "x.db"), clock)
    yield made
    made.close()


def flushed(store: Store, clock: HandClock, roster: Roster, *pages: list[Polled]) -> None:
    """The pages of one target, one after another, written down after each."""

    async def main() -> None:
        worker = Worker("test")
        sink = Sink(store, worker, roster, DaemonHealth(started_s=0.0), clock)
        for page in pages:
            sink.put(URL, page)
            await sink.flush()
        assert worker.close(5.0)

    asyncio.run(main())


def test_a_model_that_was_swapped_leaves_the_roster_at_once(store: Store, clock: HandClock) -> None:
    """One server, one GPU: m-a until now, m-b from here on. Two replicas would double its cost."""
    roster = Roster()
    now_s = clock.wall_s()
    flushed(store, clock, roster, [polled("m-a", now_s - 30), polled("m-c", now_s - 30)], [polled("m-b", now_s)])

    assert {key.model for key in roster.polled} == {"m-b"}
    assert {key.model for key in roster.epochs} == {"m-b"}


def test_a_target_that_is_forgotten_and_comes_back_starts_afresh() -> None:
    """Also of another model: nothing of what it showed before is left, nothing of another target is lost."""
    roster, other = Roster(), "http://127.0.0.1:9000/metrics"
    roster.show(URL, [polled("m-a", 0.0)])
    roster.show(other, [polled("m-x", 0.0, other)])
    roster.forget(URL)
    assert {key.model for key in roster.polled} == {"m-x"}
    roster.show(URL, [polled("m-b", 15.0)])
    roster.show(URL, [polled("m-a", 30.0)])
    assert {key.model for key in roster.polled} == {"m-x", "m-a"}


def test_another_targets_replicas_are_left_alone(store: Store, clock: HandClock) -> None:
    roster = Roster()
    other = polled("m-x", clock.wall_s(), url="http://127.0.0.1:9000/metrics")
    roster.polled[other.replica] = other
    flushed(store, clock, roster, [polled("m-a", clock.wall_s())])

    assert {key.model for key in roster.polled} == {"m-a", "m-x"}


def recall(store: Store, roster: Roster, now_s: float) -> None:
    """Put on the roster what the store remembers of the configuration's target."""
    for epoch, one in remembered(store, static_targets(parse_settings(CONFIG, "c.yaml")), now_s, GpuJoins()):
        roster.recall(one, epoch)


def test_a_target_that_is_down_at_the_start_still_counts(store: Store, clock: HandClock) -> None:
    now_s = clock.wall_s()
    flushed(store, clock, Roster(), [polled("m-a", now_s - 3600)])
    roster = Roster()
    recall(store, roster, now_s)

    assert {key.model for key in roster.polled} == {"m-a"}
    assert roster.epochs.keys() == roster.polled.keys()


def test_what_was_silent_for_a_day_or_is_no_target_any_more_is_forgotten(store: Store, clock: HandClock) -> None:
    now_s = clock.wall_s()
    flushed(store, clock, Roster(), [polled("m-a", now_s - SEEN_S - 60)])
    roster = Roster()
    recall(store, roster, now_s)
    assert remembered(store, [], now_s - SEEN_S, GpuJoins()) == []

    assert roster.polled == {}


def test_what_a_target_has_shown_by_now_is_not_recalled_over(store: Store, clock: HandClock) -> None:
    """The database was away at the start: the model was swapped since, and the former one is not there."""
    now_s = clock.wall_s()
    flushed(store, clock, Roster(), [polled("m-a", now_s - 3600)])
    roster = Roster()
    roster.show(URL, [polled("m-b", now_s)])
    recall(store, roster, now_s)

    assert {key.model for key in roster.polled} == {"m-b"}
    assert roster.epochs == {}
