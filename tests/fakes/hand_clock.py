"""A clock that a test moves by hand."""

from __future__ import annotations


class HandClock:
    """Both clocks of `collector.clock.Clock`; they stand still until `advance`."""

    def __init__(self, wall_s: float = 1_800_000_000.0) -> None:
        self._wall_s = wall_s
        self._monotonic_s = 0.0

    def wall_s(self) -> float:
        return self._wall_s

    def monotonic_s(self) -> float:
        return self._monotonic_s

    def advance(self, seconds: float) -> None:
        """Lets `seconds` pass on both clocks."""
        self._wall_s += seconds
        self._monotonic_s += seconds

    def step(self, seconds: float) -> None:
        """Sets the wall clock alone."""
        self._wall_s += seconds
