"""How long one core takes for a piece of work: several runs, their median and spread."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Timing:
    """CPU seconds of this process by run."""

    runs_s: tuple[float, ...]

    @property
    def middle_s(self) -> float:
        """The median run."""
        return median(self.runs_s)

    def times(self, factor: float) -> Timing:
        """The same, for so many times the work."""
        return Timing(tuple(run * factor for run in self.runs_s))


def timed(work: Callable[[], object], runs: int, clock: Callable[[], float] = time.process_time) -> Timing:
    """CPU seconds of each run, after one that is not counted; garbage is collected between runs."""
    return paired([work], runs, clock)[0]


def paired(
    works: Sequence[Callable[[], object]], runs: int, clock: Callable[[], float] = time.process_time
) -> list[Timing]:
    """CPU seconds of several pieces of work done in turns, so that a machine's slow minute falls on all of them."""
    found: list[list[float]] = [[] for _ in works]
    for work in works:
        work()
    for _ in range(runs):
        for work, seconds in zip(works, found, strict=True):
            gc.collect()
            begun_s = clock()
            work()
            seconds.append(clock() - begun_s)
    return [Timing(tuple(seconds)) for seconds in found]


def ratio(slow: Timing, fast: Timing) -> Timing:
    """How many times longer, pair by pair."""
    return Timing(tuple(one / other for one, other in zip(slow.runs_s, fast.runs_s, strict=True)))
