"""Samples stop before a real disk is full, wait, and go on when there is room; the spool's disk is treated alike."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from analyzer.samples import GpuSample
from collector.errors import DiskLowError, StoreError
from collector.health import DaemonHealth, Lost
from collector.jobs.disk import DiskGuard, Watermark
from collector.jobs.polled import Roster
from collector.jobs.sink import Sink
from collector.jobs.spool import Spool
from collector.jobs.tidy import Tidy
from collector.jobs.turn import Turn
from collector.jobs.worker import Worker
from collector.store import Keep, Store
from tests.contract.store_samples import registered, sample
from tests.fakes.hand_clock import HandClock
from tests.fakes.small_disk import fill, small_disk

MB = 1024 * 1024
START_S = 1_800_000_000.0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """40 MB."""
    with small_disk(tmp_path, 40) as mounted:
        yield mounted


def readings(begin: int, count: int) -> list[GpuSample]:
    return [GpuSample("GPU-a", START_S + n, 1.0, power_w=float(n)) for n in range(begin, begin + count)]


def test_the_watermark_is_the_larger_of_bytes_and_share() -> None:
    """Of 1,000 bytes a tenth are 100: more than 50, less than 150."""
    assert Watermark(50, 0.1).least_bytes(1000) == 100
    assert Watermark(150, 0.1).least_bytes(1000) == 150
    assert Watermark().least_bytes(1000) == 0


def test_samples_stop_at_the_mark_and_go_on_a_tenth_above_it(disk: Path) -> None:
    """The mark is 10 MB: 9 MB free stop them, 10.5 are not enough again, 12 are."""
    store = Store.open(str(disk / "run.db"), HandClock())
    guard = DiskGuard(store, Watermark(10 * MB))
    guard.require_room()
    ballast = fill(disk, 9 * MB)
    with pytest.raises(
        DiskLowError, match=r"9\.0 MB free, and samples wait until it has 11\.0: .*storage\.retention\.max_bytes"
    ):
        guard.require_room()
    assert guard.health is not None
    assert (guard.health.stopped, guard.health.min_free_bytes) == (True, 10 * MB)
    ballast.unlink()
    fill(disk, 10 * MB + MB // 2)
    with pytest.raises(DiskLowError):
        guard.require_room()
    ballast.unlink()
    fill(disk, 12 * MB)
    guard.require_room()
    assert not guard.health.stopped
    store.close()


@pytest.mark.fault(
    "4",
    "SQLite's disk is full",
    promise="samples stop before, and wait; roll-ups go on, retention gives space back, and then samples go on",
)
def test_samples_stop_roll_ups_go_on_and_retention_makes_room(disk: Path) -> None:
    """A day of history takes more than 5 MB of 40; another program takes the rest but 5, and the mark is 6.

    A size limit comes only then: the half that is deleted for it goes back to the disk, and 6.6 MB are passed.
    """
    clock = HandClock()
    clock.advance(2 * 86400)
    store = Store.open(str(disk / "run.db"), clock)
    key, epoch = registered(store)
    instants = [START_S + n for n in range(86400)]
    store.writer.append([sample(key, epoch, at_s, 1.0, steps_total=at_s, busy_s_total=at_s / 3) for at_s in instants])
    used = store.used_bytes()
    assert used > 5 * MB
    store.prune(Keep(1e9, 1e9, 1e9), clock.wall_s(), tight=True)
    ballast = fill(disk, 5 * MB)
    health = DaemonHealth(started_s=clock.wall_s())
    worker, turn = Worker("writer"), Turn(store.lease(clock, 60.0), health, 60.0, clock)
    sink = Sink(store, worker, Roster(), health, clock, None, Watermark(6 * MB))
    unlimited = Tidy(store, Keep(1e9, 1e9, 1e9), worker, health, turn, clock)
    limited = Tidy(store, Keep(1e9, 1e9, 1e9, used // 2), worker, health, turn, clock)

    async def go() -> None:
        await turn.look(lambda: None)
        sink.put_gpus(readings(0, 3))
        await sink.flush()
        assert (health.store.reason, health.samples_written, len(sink._gpus)) == ("disk_nearly_full", 0, 3)
        assert await worker.run(store.roll_up, clock.wall_s()) == 289
        await unlimited.early()
        await sink.flush()
        assert health.store.reason == "disk_nearly_full"
        assert len(store.reader.samples(0, 4e9)) == len(instants)
        before = (disk / "run.db").stat().st_size
        await limited.early()
        assert health.used_bytes is not None
        assert health.used_bytes <= used // 2
        assert (disk / "run.db").stat().st_size < before
        await sink.flush()
        assert health.store.up
        await limited.early()

    asyncio.run(go())
    assert ballast.exists()
    assert [one.power_w for one in store.reader.gpu_samples(0, 4e9)] == [0.0, 1.0, 2.0]
    assert health.samples_dropped == {}
    assert health.tidy.attempts == 2
    assert len(store.reader.totals(0, 4e9)) >= 287
    turn.close(1.0)
    worker.close(1.0)
    store.close()


def test_what_is_dropped_meanwhile_is_counted_as_the_disk_s(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collector.jobs.sink.BUFFER_SAMPLES", 3)
    clock = HandClock()
    store = Store.open(str(disk / "run.db"), clock)
    fill(disk, 5 * MB)
    health = DaemonHealth(started_s=clock.wall_s())
    worker = Worker("writer")
    sink = Sink(store, worker, Roster(), health, clock, None, Watermark(6 * MB))

    async def go() -> None:
        sink.put_gpus(readings(0, 3))
        await sink.flush()
        sink.put_gpus(readings(3, 2))

    asyncio.run(go())
    assert health.samples_dropped == {Lost.DISK_NEARLY_FULL: 2}
    assert [one.power_w for one in sink._gpus] == [2.0, 3.0, 4.0]
    worker.close(1.0)
    store.close()


@pytest.mark.fault(
    "4",
    "Postgres' disk is full",
    promise="where the spool's disk is nearly full too, the spool takes nothing until there is room",
)
def test_a_spool_on_a_nearly_full_disk_takes_nothing(disk: Path, tmp_path: Path) -> None:
    clock = HandClock()
    spool = Spool.open(disk / "spool.db", 32 * MB, clock, Watermark(0, 0.25))
    ballast = fill(disk, 9 * MB)

    async def go() -> None:
        with pytest.raises(StoreError, match="samples wait until it has 11"):
            await spool.put([], readings(0, 3))
        assert spool.health.disk is not None
        assert (spool.health.reason, spool.health.disk.stopped, spool.empty) == ("disk_nearly_full", True, True)
        ballast.unlink()
        await spool.put([], readings(0, 3))
        assert (spool.health.up, spool.health.waiting) == (True, 3)

    asyncio.run(go())
    assert spool.close(10.0)
