"""Samples that the database does not take go to disk: kept in order, over a restart, within a bound, once each."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analyzer.samples import GpuSample, Identity, ReplicaKey, ReplicaSample
from collector.errors import StoreError
from collector.health import DaemonHealth, Lost
from collector.jobs import sink as sink_module
from collector.jobs import spool as spool_module
from collector.jobs.polled import Polled, Roster
from collector.jobs.sink import Sink
from collector.jobs.spool import LOG_BYTES, Spool, polled_again
from collector.jobs.worker import Worker
from collector.store import Store
from tests.contract.store_samples import gpu_samples, replica_samples
from tests.fakes.hand_clock import HandClock

REPLICA = ReplicaKey("http://h:1/metrics", "m")
START_S = 1_800_000_000.0
EVERY_S = 15.0


class Parts:
    """A sink over a real file with a spool beside it. `away` lets every write of the database fail."""

    def __init__(self, folder: Path, max_bytes: int = 64 * 1024 * 1024) -> None:
        self.clock = HandClock()
        self.store = Store.open(f"sqlite:///{folder / 'run.db'}", self.clock)
        self.spool = Spool.open(folder / "spool" / "spool.db", max_bytes, self.clock)
        self.health = DaemonHealth(started_s=self.clock.wall_s(), spool=self.spool.health)
        self.roster, self.worker, self.go = Roster(), Worker("writer"), threading.Event()
        self.sink = Sink(self.store, self.worker, self.roster, self.health, self.clock, self.spool)
        self.batches: list[list[float]] = []
        self.away = False
        self._append = self.store.writer.append
        self.store.writer.append = self._maybe  # type: ignore[method-assign]

    def _maybe(self, samples: Any, gpus: Any = ()) -> Any:
        if self.away:
            raise StoreError("the database is away")
        done = self._append(samples, gpus)
        self.batches.append([one.at_s for one in samples])
        return done

    def poll(self, first: int, count: int = 1, identity: Identity | None = None) -> None:
        """So many polls of one replica, numbered by their steps."""
        for number in range(first, first + count):
            self.sink.put(REPLICA.target, [polled(number, identity)])

    def kept(self) -> list[float | None]:
        """The numbers of all polls that the database has, in order of time."""
        return [one.steps_total for one in self.store.reader.samples(0, 4e9)]

    def close(self) -> None:
        self.go.set()
        assert self.worker.close(10.0)
        assert self.spool.close(10.0)
        self.store.close()


def polled(number: int, identity: Identity | None = None) -> Polled:
    at_s = START_S + number * EVERY_S
    told = Identity("vllm") if identity is None else identity
    return Polled(REPLICA, "j", told, "1", at_s, at_s + 0.25, EVERY_S, {"steps_total": float(number)})


@contextmanager
def parts_in(folder: Path, max_bytes: int = 64 * 1024 * 1024) -> Iterator[Parts]:
    parts = Parts(folder, max_bytes)
    try:
        yield parts
    finally:
        parts.close()


def run(go: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        await go()

    asyncio.run(whole())


def test_what_the_database_does_not_take_is_replayed_in_order_and_once(tmp_path: Path) -> None:
    """Polls 0 to 2 are written; 3 to 8 come while it is away, in three flushes; 9 comes as it is back."""
    with parts_in(tmp_path) as parts:

        async def go() -> None:
            parts.poll(0, 3)
            await parts.sink.flush()
            parts.away = True
            for first in (3, 5, 7):
                parts.poll(first, 2)
                await parts.sink.flush()
            assert (parts.spool.health.waiting, parts.spool.health.spooled) == (6, 6)
            assert parts.spool.health.oldest_s == START_S + 3 * EVERY_S
            assert parts.health.store.reason == "write_failed"
            parts.away = False
            parts.poll(9)
            await parts.sink.flush()

        run(go)
        assert parts.kept() == [float(number) for number in range(10)]
        assert [at_s for batch in parts.batches for at_s in batch] == [START_S + n * EVERY_S + 0.25 for n in range(10)]
        assert (parts.spool.health.waiting, parts.spool.health.spooled, parts.spool.health.replayed) == (0, 7, 7)
        assert (parts.spool.empty, parts.health.store.up, parts.health.samples_written) == (True, True, 10)
        assert parts.health.samples_dropped == {}
        assert parts.roster.epochs.keys() == {REPLICA}


def test_a_spool_outlives_its_process(tmp_path: Path) -> None:
    """Two replicas' epochs and a GPU's readings come back as they were; the spool's file is small again then."""
    fast = Identity("vllm", engine_version="0.33.0", dtype="bfloat16", quantization="fp8", tensor_parallel=2)
    with parts_in(tmp_path) as parts:

        async def away() -> None:
            parts.away = True
            parts.poll(0, 2)
            parts.poll(2, 2, fast)
            parts.sink.put_gpus([GpuSample("GPU-a", START_S + n, 1.0, "NVIDIA L4", power_w=70.0 + n) for n in range(3)])
            await parts.sink.flush()

        run(away)
    with parts_in(tmp_path) as parts:
        assert (parts.spool.health.waiting, parts.spool.empty) == (7, False)
        run(parts.sink.flush)
        assert parts.kept() == [0.0, 1.0, 2.0, 3.0]
        assert [one.power_w for one in parts.store.reader.gpu_samples(0, 4e9)] == [70.0, 71.0, 72.0]
        told = parts.store.reader.epochs(REPLICA)
        assert [(one.identity, one.process_start, one.started_at_s) for one in told] == [
            (Identity("vllm"), "1", START_S + 0.25),
            (fast, "1", START_S + 2 * EVERY_S + 0.25),
        ]
        assert [one.job for one in parts.store.reader.replicas()] == ["j"]
        assert parts.spool.empty


def test_what_still_waits_at_the_end_goes_to_the_spool(tmp_path: Path) -> None:
    with parts_in(tmp_path) as parts:
        parts.poll(0, 2)
        run(parts.sink.save)
        assert (parts.kept(), parts.spool.health.waiting) == ([], 2)
    with parts_in(tmp_path) as parts:
        run(parts.sink.flush)
        assert parts.kept() == [0.0, 1.0]


def test_a_full_spool_drops_its_oldest_samples_and_counts_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter of a megabyte beside the log; 6,000 polls do not fit. The youngest are there, without a hole."""
    monkeypatch.setattr(spool_module, "CHUNK_SAMPLES", 250)
    bound = LOG_BYTES + 256 * 1024
    with parts_in(tmp_path, bound) as parts:

        async def go() -> None:
            parts.away = True
            for first in range(0, 6000, 500):
                parts.poll(first, 500)
                await parts.sink.flush()
                assert parts.spool.health.used_bytes <= 256 * 1024
                on_disk = sum(one.stat().st_size for one in (tmp_path / "spool").iterdir())
                assert on_disk <= bound
            parts.away = False
            await parts.sink.flush()

        run(go)
        dropped = parts.health.samples_dropped[Lost.SPOOL_FULL]
        assert 1000 < dropped < 5500
        assert parts.kept() == [float(number) for number in range(dropped, 6000)]
        assert parts.health.samples_dropped.total() == dropped
        assert parts.spool.health.spooled - dropped == parts.spool.health.replayed == 6000 - dropped


def test_a_database_that_never_answers_holds_up_no_flush(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer's thread stands still in its first write: all goes to the spool, and no second write queues up."""
    monkeypatch.setattr(sink_module, "ANSWER_S", 0.02)
    with parts_in(tmp_path) as parts:

        async def go() -> None:
            standing = asyncio.ensure_future(parts.worker.run(parts.go.wait))
            await asyncio.sleep(0)
            for number in range(4):
                parts.poll(number)
                await parts.sink.flush()
            assert (parts.health.store.reason, parts.spool.health.waiting) == ("no_answer", 4)
            assert parts.worker._calls.qsize() == 1
            monkeypatch.setattr(sink_module, "ANSWER_S", 60.0)
            parts.go.set()
            assert await standing
            await parts.worker.run(parts.kept)  # which the write in hand comes before
            parts.poll(4)
            await parts.sink.flush()

        run(go)
        assert parts.kept() == [0.0, 1.0, 2.0, 3.0, 4.0]
        assert parts.health.samples_written == 5
        assert parts.spool.empty


def test_a_late_answer_about_a_replayed_batch_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database takes a batch off the spool, but says so late: it is not handed on a second time."""
    with parts_in(tmp_path) as parts:

        async def go() -> None:
            parts.poll(0)
            await parts.sink.flush()
            await parts.spool.put([polled(1), polled(2)], [])
            standing = asyncio.ensure_future(parts.worker.run(parts.go.wait))
            await asyncio.sleep(0)
            monkeypatch.setattr(sink_module, "ANSWER_S", 0.02)
            await parts.sink.flush()
            assert (parts.health.store.reason, parts.spool.health.waiting) == ("no_answer", 2)
            monkeypatch.setattr(sink_module, "ANSWER_S", 60.0)
            parts.go.set()
            assert await standing
            await parts.worker.run(parts.kept)
            await parts.sink.flush()

        run(go)
        assert parts.kept() == [0.0, 1.0, 2.0]
        assert (len(parts.batches), parts.spool.empty) == (2, True)
        assert (parts.health.samples_written, parts.health.samples_duplicate) == (3, 0)


def test_while_the_database_is_away_the_spool_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it is back is asked with as little as possible, every few seconds for hours."""
    with parts_in(tmp_path) as parts:

        def away() -> None:
            raise StoreError("the database is away")

        def unread(_count: int) -> None:
            raise AssertionError("the spool was read")

        async def go() -> None:
            parts.away = True
            parts.poll(0)
            await parts.sink.flush()
            with monkeypatch.context() as patch:
                patch.setattr(parts.store, "reach", away)
                patch.setattr(parts.spool._store.backlog, "oldest", unread)
                parts.poll(1)
                await parts.sink.flush()
            parts.away = False
            await parts.sink.flush()

        run(go)
        assert parts.kept() == [0.0, 1.0]


def test_a_broken_spool_holds_nothing_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples wait on it as it breaks: new ones go to the database without it, and its health says why."""

    def broken(*_: object) -> None:
        raise StoreError("database disk image is malformed")

    with parts_in(tmp_path) as parts:

        async def go() -> None:
            parts.away = True
            parts.poll(0)
            await parts.sink.flush()
            parts.away = False
            monkeypatch.setattr(parts.spool._store.writer, "append", broken)
            monkeypatch.setattr(parts.spool._store.backlog, "oldest", broken)
            parts.poll(1, 2)
            await parts.sink.flush()

        run(go)
        assert parts.kept() == [1.0, 2.0]
        assert (parts.spool.health.up, parts.spool.health.failures) == (False, {"spool_failed": 2})


@pytest.mark.fault("4", "Postgres' disk is full", promise="without room on the spool too, samples wait in memory")
def test_without_room_on_the_spool_samples_wait_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise StoreError("database or disk is full")

    with parts_in(tmp_path) as parts:

        async def go() -> None:
            parts.away = True
            parts.poll(0, 2)
            with monkeypatch.context() as patch:
                patch.setattr(parts.spool._store.writer, "append", full)
                await parts.sink.flush()
            assert [one.fields["steps_total"] for one in parts.sink._replicas] == [0.0, 1.0]
            await parts.sink.flush()
            assert (len(parts.sink._replicas), parts.spool.health.waiting) == (0, 2)

        run(go)


def test_an_unusable_spool_is_moved_aside(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / "spool.db").write_bytes(b"no database" * 1000)
    with parts_in(tmp_path) as parts:
        assert parts.spool.set_aside is not None
        assert parts.spool.set_aside.read_bytes() == b"no database" * 1000
        assert parts.spool.empty


def test_a_second_daemon_s_spool_needs_a_file_of_its_own(tmp_path: Path) -> None:
    with parts_in(tmp_path), pytest.raises(StoreError, match=r"in use by process \d+.*storage\.spool\.path"):
        Spool.open(tmp_path / "spool" / "spool.db", 16 * 1024 * 1024, HandClock())


def test_a_sample_that_comes_for_a_tick_being_replayed_stays(tmp_path: Path) -> None:
    """The clock stepped back: another replica's poll has the tick of one that is just handed on."""
    other = ReplicaKey("http://h:2/metrics", "m")
    with parts_in(tmp_path) as parts:

        async def go() -> None:
            await parts.spool.put([polled(0)], [])
            taken = await parts.spool.oldest()
            late = polled(0)
            await parts.spool.put([Polled(other, "j", late.identity, "1", *((late.at_s,) * 2), EVERY_S, {})], [])
            await parts.spool.done(taken)
            (held,) = (await parts.spool.oldest()).replicas
            assert held.sample.replica == other

        run(go)


@pytest.fixture(scope="module")
def spool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spool]:
    opened = Spool.open(tmp_path_factory.mktemp("spool") / "spool.db", 64 * 1024 * 1024, HandClock())
    yield opened
    assert opened.close(10.0)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(samples=st.lists(replica_samples(REPLICA, 7), max_size=4), gpus=st.lists(gpu_samples("GPU-a"), max_size=3))
def test_any_sample_comes_from_the_spool_as_it_went_there(
    spool: Spool, samples: list[ReplicaSample], gpus: list[GpuSample]
) -> None:
    """Of several in one tick, one; oldest first."""

    async def go() -> None:
        await spool.put([once(one) for one in samples], gpus)
        taken = await spool.oldest()
        again = [polled_again(one).sample(7) for one in taken.replicas]
        assert set(again) <= set(samples)
        assert [one.at_s for one in again] == sorted(one.at_s for one in again)
        assert set(taken.gpus) <= set(gpus)
        assert bool(again) == bool(samples)
        await spool.done(taken)
        assert spool.empty

    run(go)


def once(sample: ReplicaSample) -> Polled:
    fields = {name: getattr(sample, name) for name in spool_module._VALUES}
    return Polled(sample.replica, "j", Identity("vllm"), None, sample.at_s, sample.at_s, sample.interval_s, fields)
