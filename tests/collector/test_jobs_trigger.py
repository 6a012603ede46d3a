"""Periodic jobs keep their pace, and a leap of the clock costs them one run at most."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from collector.clock import SystemClock
from collector.health import DaemonHealth, Work
from collector.jobs.timetable import Job, Timetable
from collector.jobs.trigger import EveryInterval

NOW = datetime(2026, 11, 26, tzinfo=UTC)
TRIGGER = EveryInterval(15)


def test_jobs_keep_their_pace_without_drift() -> None:
    """A run planned for 12:00:00 and begun at 12:00:02 is followed by one at 12:00:15."""
    assert TRIGGER.get_next_fire_time(NOW, NOW + timedelta(seconds=2)) == NOW + timedelta(seconds=15)


@pytest.mark.fault(
    "3",
    "the wall clock steps far forward",
    promise="missed runs are not counted out: the daemon does not hang over them",
)
@pytest.mark.parametrize("leap", [timedelta(seconds=15), timedelta(days=7), timedelta(days=20_000)])
def test_missed_runs_are_left_out(leap: timedelta) -> None:
    assert TRIGGER.get_next_fire_time(NOW, NOW + leap) == NOW + leap + timedelta(seconds=15)


@pytest.mark.fault(
    "3", "a job is slower than its interval", promise="it runs once at a time; the turns it ran over are in metrics"
)
def test_a_report_that_takes_longer_than_its_interval_is_made_one_at_a_time() -> None:
    health, begun, done, again = DaemonHealth(started_s=0.0), list[int](), asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        begun.append(1)
        if len(begun) > 1:
            again.set()
        await done.wait()

    async def go() -> None:
        timetable = Timetable(SystemClock(), health)
        timetable.plan({Work.RECOMPUTE: Job(slow, 0.02, 0.0)})
        timetable.start()
        async with asyncio.timeout(60):
            while health.turns_skipped[Work.RECOMPUTE] < 3:  # noqa: ASYNC110 - counted, not told
                await asyncio.sleep(0.01)
        assert len(begun) == 1
        done.set()
        async with asyncio.timeout(60):
            await again.wait()
        timetable.end()

    asyncio.run(go())
