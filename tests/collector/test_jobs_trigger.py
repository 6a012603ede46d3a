"""Periodic jobs keep their pace, and a leap of the clock costs them one run at most."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

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
