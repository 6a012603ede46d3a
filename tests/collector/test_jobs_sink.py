"""Samples on their way into the store: written once, in order, whoever asks for it and whoever is cancelled."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from sqlalchemy import delete

from analyzer.samples import GpuSample, Identity, ReplicaKey
from collector.errors import StoreError
from collector.export.snapshot import State
from collector.health import DaemonHealth, Lost
from collector.jobs.analyse import Analyse
from collector.jobs.polled import Polled, Roster
from collector.jobs.recompute import Recompute
from collector.jobs.sink import Sink
from collector.jobs.turn import Turn
from collector.jobs.worker import Worker
from collector.settings.load import parse_settings
from collector.store import Store
from collector.store.schema import epochs, replica_samples, replicas
from tests.fakes.hand_clock import HandClock

SETTINGS = parse_settings("scrape_configs: [{job_name: j, static_configs: [{targets: ['h:1']}]}]", "test.yaml")


class Parts:
    """A sink over a real file, whose writes wait until `go` is set."""

    def __init__(self, folder: Path) -> None:
        self.clock = HandClock()
        self.store = Store.open(f"sqlite:///{folder / 'run.db'}", self.clock)
        self.health = DaemonHealth(started_s=self.clock.wall_s())
        self.roster, self.worker, self.go = Roster(), Worker("writer"), threading.Event()
        self.sink = Sink(self.store, self.worker, self.roster, self.health, self.clock)

    def held_up(self) -> None:
        """Let the worker's thread wait for `go`, as for a database that stands still."""
        self.worker._calls.put((self.go.wait, asyncio.get_running_loop().create_future(), asyncio.get_running_loop()))

    def close(self) -> None:
        """End the thread, then close the file."""
        self.go.set()
        assert self.worker.close(10.0)
        self.store.close()

    def kept(self) -> list[float | None]:
        """The power of all readings that are kept."""
        return [one.power_w for one in self.store.reader.gpu_samples(0, 4e9)]


def readings(begin: int, count: int) -> list[GpuSample]:
    return [GpuSample("GPU-a", 1e9 + n, 1.0, power_w=float(n)) for n in range(begin, begin + count)]


def with_parts(folder: Path, go: Callable[[Parts], Any]) -> Parts:
    parts = Parts(folder)
    try:
        asyncio.run(go(parts))
    finally:
        parts.go.set()
    return parts


def test_two_flushes_at_once_write_everything_once(tmp_path: Path) -> None:
    """The sink's own turn and the report's: the second finds what came meanwhile."""

    async def go(parts: Parts) -> None:
        parts.held_up()
        parts.sink.put_gpus(readings(0, 3))
        first, second = asyncio.ensure_future(parts.sink.flush()), asyncio.ensure_future(parts.sink.flush())
        await asyncio.sleep(0)
        parts.sink.put_gpus(readings(3, 2))
        parts.go.set()
        await asyncio.gather(first, second)

    parts = with_parts(tmp_path, go)
    assert parts.kept() == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert parts.health.samples_written == 5
    parts.close()


def test_a_flush_that_is_cancelled_leaves_its_samples_to_the_next(tmp_path: Path) -> None:
    async def go(parts: Parts) -> None:
        parts.held_up()
        parts.sink.put_gpus(readings(0, 3))
        first = asyncio.ensure_future(parts.sink.flush())
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        parts.sink.put_gpus(readings(3, 1))
        parts.go.set()
        await parts.sink.flush()

    parts = with_parts(tmp_path, go)
    assert parts.kept() == [0.0, 1.0, 2.0, 3.0]
    parts.close()


def test_samples_dropped_during_a_write_are_the_oldest_of_those_that_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Room for 3: while 0 to 2 are written, 3 to 6 arrive. 3 is dropped and counted; nothing else is lost."""
    monkeypatch.setattr("collector.jobs.sink.BUFFER_SAMPLES", 3)

    async def go(parts: Parts) -> None:
        parts.held_up()
        parts.sink.put_gpus(readings(0, 3))
        first = asyncio.ensure_future(parts.sink.flush())
        await asyncio.sleep(0)
        parts.sink.put_gpus(readings(3, 4))
        parts.go.set()
        await first
        await parts.sink.flush()

    parts = with_parts(tmp_path, go)
    assert parts.kept() == [0.0, 1.0, 2.0, 4.0, 5.0, 6.0]
    assert parts.health.samples_dropped == {Lost.QUEUE_FULL: 1}
    parts.close()


def test_a_failed_write_keeps_the_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise StoreError("the database is away")

    async def go(parts: Parts) -> None:
        parts.sink.put_gpus(readings(0, 2))
        with monkeypatch.context() as patch:
            patch.setattr(parts.store.writer, "append", away)
            await parts.sink.flush()
        parts.sink.put_gpus(readings(2, 1))
        assert [one.power_w for one in parts.sink._gpus] == [0.0, 1.0, 2.0]
        await parts.sink.flush()

    parts = with_parts(tmp_path, go)
    assert parts.kept() == [0.0, 1.0, 2.0]
    parts.close()


@pytest.mark.fault(
    "5", "SIGTERM", promise="a report in the making is left: no traceback is logged, and what waits is written"
)
def test_a_stop_while_a_report_is_made_logs_no_traceback(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """APScheduler cancels the running job as the daemon ends, while its flush waits for the database."""

    async def go(parts: Parts) -> None:
        state = State(version="1", health=parts.health, ready=True)
        analyse = Analyse(parts.store, SETTINGS)
        turn = Turn(parts.store.lease(parts.clock, 60.0), parts.health, 60.0, parts.clock)
        recompute = Recompute(
            *(analyse, parts.store, parts.sink, parts.worker, parts.worker, parts.roster, state, turn, parts.clock)
        )
        parts.held_up()
        parts.sink.put_gpus(readings(0, 3))
        scheduler = AsyncIOScheduler()
        scheduler.start()
        scheduler.add_job(recompute.run)
        while not parts.sink._turn.locked():  # noqa: ASYNC110 - the job says nothing when it begins
            await asyncio.sleep(0)
        scheduler.shutdown(wait=False)
        parts.go.set()
        await parts.sink.flush()
        await asyncio.sleep(0)

    with caplog.at_level(logging.WARNING):
        parts = with_parts(tmp_path, go)
    assert parts.kept() == [0.0, 1.0, 2.0]
    assert [one.getMessage() for one in caplog.records] == []
    parts.close()


def test_a_replica_that_the_database_no_longer_knows_is_registered_again(tmp_path: Path) -> None:
    """Another daemon deleted it as long gone, or the database was replaced: its next sample is kept all the same."""
    replica = ReplicaKey("http://h:1/metrics", "m")

    async def go(parts: Parts) -> None:
        for at_s in (1e9, 1e9 + 15):
            polled = Polled(replica, "j", Identity("vllm"), "1", at_s, at_s, 15.0, {"steps_total": 1.0})
            parts.sink.put(replica.target, [polled])
            await parts.sink.flush()
            if at_s == 1e9:
                for table in (replica_samples, epochs, replicas):
                    parts.store._engines.write(lambda connection, of=table: connection.execute(delete(of)).rowcount)

    parts = with_parts(tmp_path, go)
    assert [one.at_s for one in parts.store.reader.samples(0, 4e9)] == [1e9 + 15]
    assert parts.health.store.up
    parts.close()
