"""The two clocks: wall time for stamps, monotonic time for distances. Passed in, never read from a module."""

from __future__ import annotations

import time
from typing import Protocol

STEP_S = 2.0
"""A wall clock that departs from the monotonic one by more has been set."""


class Clock(Protocol):
    """What the daemon asks of time."""

    def wall_s(self) -> float:
        """Unix time in seconds; may step."""

    def monotonic_s(self) -> float:
        """Seconds that never step."""


class SystemClock:
    """The machine's clocks."""

    def wall_s(self) -> float:
        """Unix time in seconds."""
        return time.time()

    def monotonic_s(self) -> float:
        """Seconds since an arbitrary start."""
        return time.monotonic()
