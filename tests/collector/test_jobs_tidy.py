"""The hourly job seals what is old enough before it deletes, as far as the clock and the disk let it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from analyzer.samples import GpuSample
from collector.errors import StoreError
from collector.health import DaemonHealth, DiskHealth
from collector.jobs.tidy import Tidy
from collector.jobs.turn import Turn
from collector.jobs.worker import Worker
from collector.store import Keep, Store
from collector.store.schema import gpu_samples
from tests.fakes.hand_clock import HandClock

HOUR_S = 3600.0


class Parts:
    """A store with four hours of a GPU polled each minute, and the job."""

    def __init__(self, folder: Path) -> None:
        self.clock = HandClock()
        self.store = Store.open(f"sqlite:///{folder / 'run.db'}", self.clock)
        begin_s = self.clock.wall_s() // HOUR_S * HOUR_S
        self.clock.advance(begin_s + 4 * HOUR_S - self.clock.wall_s())
        self.store.writer.append([], [GpuSample("GPU-a", begin_s + 60.0 * n, 60.0, power_w=1.0) for n in range(240)])
        self.health = DaemonHealth(started_s=self.clock.wall_s())
        self.writer = Worker("writer")
        self.turn = Turn(self.store.lease(self.clock, 60.0), self.health, 60.0, self.clock)
        asyncio.run(self.turn.look(lambda _: None))
        self.keep_for(7 * 24 * HOUR_S)

    def keep_for(self, samples_s: float) -> None:
        """Samples are kept for so long from now on."""
        keep = Keep(samples_s, 30 * 24 * HOUR_S, 400 * 24 * HOUR_S)
        self.tidy = Tidy(self.store, keep, self.writer, self.health, self.turn, self.clock)

    def rows(self) -> int:
        """How many samples lie as rows, once the job has run."""
        asyncio.run(self.tidy.run())
        count = select(func.count()).select_from(gpu_samples)
        return int(self.store._engines.read(lambda connection: connection.execute(count).scalar_one()))

    def close(self) -> None:
        """End what runs."""
        self.turn.close(1.0)
        self.writer.close(1.0)
        self.store.close()


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    made = Parts(tmp_path)
    yield made
    made.close()


def test_what_is_older_than_two_hours_is_sealed_and_still_there(parts: Parts) -> None:
    assert parts.rows() == 120
    assert len(parts.store.reader.gpu_samples(0, 4e9)) == 240


def test_nothing_is_sealed_while_the_disk_is_nearly_full_or_right_after_a_leap_of_the_clock(parts: Parts) -> None:
    parts.health.disk = DiskHealth(free_bytes=0, min_free_bytes=1, stopped=True)
    assert parts.rows() == 240
    parts.health.disk = None
    parts.clock.step(HOUR_S)
    assert parts.rows() == 240
    assert parts.rows() == 60


def test_a_run_seals_no_more_than_it_may_and_the_next_goes_on(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten buckets of five samples at once: what an upgrade finds keeps nobody waiting."""
    monkeypatch.setattr("collector.jobs.tidy.SEALED_AT_ONCE", 10)
    assert [parts.rows() for _ in range(4)] == [190, 140, 120, 120]


@pytest.mark.fault("4", "unbounded growth", promise="samples are written while many are deleted")
def test_samples_are_written_while_many_are_deleted(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    """240 samples go, ten at a time: what is to be written meanwhile waits for one of these steps, not for all."""
    monkeypatch.setattr("collector.store.retention.BATCH_ROWS", 10)
    parts.keep_for(HOUR_S)
    parts.health.disk = DiskHealth(free_bytes=0, min_free_bytes=1, stopped=True)
    parts.clock.advance(24 * HOUR_S)
    now_s = parts.clock.wall_s()

    async def go() -> None:
        tidying = asyncio.create_task(parts.tidy.run())
        await parts.writer.run(int)  # the job is at work
        await parts.writer.run(parts.store.writer.append, [], [GpuSample("GPU-b", now_s, 60.0, power_w=1.0)])
        assert not tidying.done()
        await tidying

    asyncio.run(go())
    assert [one.uuid for one in parts.store.reader.gpu_samples(0, 4e9)] == ["GPU-b"]


@pytest.mark.fault("4", "unbounded growth", promise="old samples are deleted although others cannot be sealed")
def test_what_cannot_be_sealed_is_said_and_stops_no_deletion(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    """A day later what is older than three hours has to go: all of it."""

    def broken(*_: object) -> int:
        raise StoreError("no such thing can be done here")

    parts.keep_for(3 * HOUR_S)
    assert parts.rows() == 120
    parts.clock.advance(24 * HOUR_S)
    with monkeypatch.context() as patch:
        patch.setattr(parts.store, "seal", broken)
        assert parts.rows() == 0
    assert (parts.health.tidy.reason, parts.health.tidy.message) == ("store", "no such thing can be done here")
    assert parts.health.used_bytes is not None
    assert parts.rows() == 0
    assert parts.health.tidy.up
