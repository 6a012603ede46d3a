"""A clock that stands where the test put it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class StandingClock:
    """Wall time 2026-11-23 10:00:00 UTC unless told otherwise."""

    now_s: float = 1_795_428_000.0

    def wall_s(self) -> float:
        """Unix time."""
        return self.now_s

    def monotonic_s(self) -> float:
        """Seconds since an arbitrary start."""
        return self.now_s
