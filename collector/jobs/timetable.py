"""The daemon's periodic jobs under APScheduler, planned anew when the configuration changes or the wall clock steps."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from apscheduler.events import EVENT_JOB_MAX_INSTANCES, JobSubmissionEvent
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from collector.clock import STEP_S, Clock
from collector.health import DaemonHealth, Work
from collector.jobs.trigger import EveryInterval
from collector.logs import event

CLOCK_CHECK_S = 5.0
_log = logging.getLogger("breakeven")


@dataclass(frozen=True, slots=True)
class Job:
    """What is to run every `interval_s`, the first time in `first_s`."""

    run: Callable[[], Awaitable[None]]
    interval_s: float
    first_s: float


class Timetable:
    """Runs jobs by name, each at most once at a time."""

    def __init__(self, clock: Clock, health: DaemonHealth) -> None:
        self._scheduler = AsyncIOScheduler(timezone="UTC")
        self._scheduler.add_listener(self._skipped, EVENT_JOB_MAX_INSTANCES)
        self._clock = clock
        self._health = health

    @property
    def running(self) -> bool:
        """Whether it was started, and not ended."""
        return bool(self._scheduler.running)

    def plan(self, jobs: Mapping[Work, Job]) -> None:
        """Run exactly these from now on."""
        self._scheduler.remove_all_jobs()
        for name, job in jobs.items():
            self._scheduler.add_job(
                job.run,
                EveryInterval(job.interval_s),
                id=name,
                next_run_time=self._in(job.first_s),
                coalesce=True,
                max_instances=1,
                misfire_grace_time=None,
            )

    def start(self) -> None:
        """Begin with the jobs."""
        self._scheduler.start()

    def at_once(self, name: Work) -> None:
        """Run a job now, if it is planned, and every interval from then on."""
        if self._scheduler.get_job(name) is not None:
            self._scheduler.modify_job(name, next_run_time=self._in(0.0))

    def end(self) -> None:
        """Begin no job any more."""
        if self.running:
            self._scheduler.shutdown(wait=False)

    async def watch_clock(self, stepped: Callable[[float], None]) -> None:
        """For ever: the scheduler sleeps by the wall clock, so after a step `stepped` must plan the jobs anew.

        It is told by how many seconds the clock leapt forwards.
        """
        offset_s = self._clock.wall_s() - self._clock.monotonic_s()
        while True:
            await asyncio.sleep(CLOCK_CHECK_S)
            now_offset_s = self._clock.wall_s() - self._clock.monotonic_s()
            step_s = now_offset_s - offset_s
            if abs(step_s) > STEP_S:
                self._health.clock_steps += 1
                event(_log, logging.WARNING, "the wall clock stepped", about="clock", step_s=step_s)
                stepped(step_s)
                self._scheduler.wakeup()
            offset_s = now_offset_s

    def _skipped(self, what: JobSubmissionEvent) -> None:
        self._health.skipped(Work(what.job_id), 1)

    def _in(self, seconds: float) -> datetime:
        return datetime.fromtimestamp(self._clock.wall_s() + seconds, UTC)
