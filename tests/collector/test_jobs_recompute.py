"""A periodic job that raises is counted and logged, the former report stands, and its next run is as any other."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from analyzer.samples import GpuSample
from collector.export.snapshot import State
from collector.health import DaemonHealth, SpoolHealth
from collector.jobs.analyse import Analyse
from collector.jobs.polled import Roster
from collector.jobs.recompute import Recompute
from collector.jobs.sink import Sink
from collector.jobs.tidy import Tidy
from collector.jobs.turn import Turn
from collector.jobs.worker import Worker
from collector.settings.load import parse_settings
from collector.store import Keep, Store
from tests.fakes.hand_clock import HandClock

SETTINGS = parse_settings("scrape_configs: [{job_name: j, static_configs: [{targets: ['h:1']}]}]", "test.yaml")


@pytest.mark.fault("3", "a job raises", promise="counted and logged; the former report stands, the next run is made")
def test_a_job_that_raises_costs_one_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = HandClock()
    store = Store.open(f"sqlite:///{tmp_path / 'run.db'}", clock)
    health = DaemonHealth(started_s=clock.wall_s())
    state, roster = State(version="1", health=health, ready=True), Roster()
    writer, reader = Worker("writer"), Worker("reader")
    turn = Turn(store.lease(clock, 60.0), health, 60.0, clock)
    sink = Sink(store, writer, roster, health, clock)
    recompute = Recompute(Analyse(store, SETTINGS), store, sink, writer, reader, roster, state, turn, clock)
    tidy = Tidy(store, Keep(1, 1, 1), writer, health, turn, clock)

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a bug")

    async def go() -> None:
        await recompute.run()
        await tidy.run()
        first = state.report
        assert first is not None
        with monkeypatch.context() as patch:
            patch.setattr(Analyse, "run", broken)
            patch.setattr(Store, "pruning", broken)
            await recompute.run()
            await tidy.run()
        assert state.report is first
        assert (health.analysis.failures, health.tidy.failures) == ({"bug": 1}, {"bug": 1})
        await recompute.run()
        await tidy.run()
        assert state.report is not first

    asyncio.run(go())
    assert health.analysis.up
    assert health.tidy.up
    turn.close(1.0)
    writer.close(1.0)
    reader.close(1.0)
    store.close()


def test_hours_that_were_read_while_samples_wait_on_the_spool_are_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two reports while some wait, and one after they were written."""
    clock = HandClock()
    store = Store.open(f"sqlite:///{tmp_path / 'run.db'}", clock)
    health = DaemonHealth(started_s=clock.wall_s())
    health.spool = SpoolHealth(max_bytes=1, waiting=3)
    state, roster = State(version="1", health=health, ready=True), Roster()
    writer, reader = Worker("writer"), Worker("reader")
    turn = Turn(store.lease(clock, 60.0), health, 60.0, clock)
    sink = Sink(store, writer, roster, health, clock)
    analyse = Analyse(store, SETTINGS)
    recompute = Recompute(analyse, store, sink, writer, reader, roster, state, turn, clock)
    forgotten: list[None] = []
    monkeypatch.setattr(analyse, "forget_hours", lambda: forgotten.append(None))

    async def go() -> list[int]:
        counts = []
        for waiting in (3, 3, 0):
            assert health.spool is not None
            health.spool.waiting = waiting
            await recompute.run()
            counts.append(len(forgotten))
        return counts

    assert asyncio.run(go()) == [1, 2, 2]
    turn.close(1.0)
    writer.close(1.0)
    reader.close(1.0)
    store.close()


@pytest.mark.fault("3", "the wall clock steps far forward", promise="nothing is deleted for an hour")
def test_nothing_is_deleted_by_a_clock_that_has_just_leapt(tmp_path: Path) -> None:
    """Ten years ahead all history is old. The run after the leap deletes nothing, the next one goes by the new time."""
    clock = HandClock()
    store = Store.open(f"sqlite:///{tmp_path / 'run.db'}", clock)
    store.writer.append([], [GpuSample("GPU-a", clock.wall_s(), 5.0, power_w=1.0)])
    writer, health = Worker("writer"), DaemonHealth(started_s=clock.wall_s())
    turn = Turn(store.lease(clock, 60.0), health, 60.0, clock)
    tidy = Tidy(store, Keep(7 * 86400, 30 * 86400, 400 * 86400), writer, health, turn, clock)

    async def kept() -> int:
        await tidy.run()
        return len(store.reader.gpu_samples(0, 4e9))

    async def go() -> None:
        assert await kept() == 1
        clock.step(10 * 365 * 86400.0)
        assert await kept() == 1
        clock.advance(3600.0)
        assert await kept() == 0

    asyncio.run(go())
    turn.close(1.0)
    writer.close(1.0)
    store.close()
