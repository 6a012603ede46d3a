"""When APScheduler runs a periodic job: an interval after its last run, however far the wall clock has leapt since."""

from __future__ import annotations

from datetime import datetime, timedelta

from apscheduler.triggers.base import BaseTrigger


class EveryInterval(BaseTrigger):  # type: ignore[misc]  # the package has no types
    """APScheduler's own interval trigger counts out each missed run: ten years ahead, that stops the event loop."""

    def __init__(self, interval_s: float) -> None:
        self._interval = timedelta(seconds=interval_s)

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        """The next time after `now`; missed ones are left out."""
        planned = now if previous_fire_time is None else previous_fire_time + self._interval
        return planned if planned > now else now + self._interval
