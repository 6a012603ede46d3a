"""Prometheus histograms that take many observations at once: repeated values, ramps and arrays."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray


class Histogram:
    """Counts by bucket (upper bounds inclusive, as in Prometheus) and the sum of what was observed."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    @property
    def count(self) -> int:
        """How many values were observed."""
        return sum(self.counts)

    def cumulative(self) -> list[int]:
        """Values up to each bound, the last entry being `+Inf`."""
        return list(accumulate(self.counts))

    def observe(self, value: float, weight: int = 1) -> None:
        """Observes `value` `weight` times."""
        self.counts[bisect_left(self.bounds, value)] += weight
        self.sum += value * weight

    def observe_ramp(self, steps: int, first: float, slope: float, weight: int) -> None:
        """Observes first, first + slope, ... (`steps` values, slope at least 0), each `weight` times."""
        bounds, counts = self.bounds, self.counts
        low = bisect_left(bounds, first)
        high = bisect_left(bounds, first + slope * (steps - 1), low)
        seen = 0
        for bucket in range(low, high):
            # values first + slope·j up to the bound: j = 0 ... (bound - first) / slope
            up_to = min(steps, max(seen, int((bounds[bucket] - first) / slope) + 1))
            counts[bucket] += (up_to - seen) * weight
            seen = up_to
        counts[high] += (steps - seen) * weight
        self.sum += weight * (steps * first + slope * (steps * (steps - 1) // 2))

    def observe_many(self, values: NDArray[np.float64], weight: int) -> None:
        """Observes each of `values` `weight` times."""
        buckets = np.searchsorted(self.bounds, values, side="left")
        for bucket, values_in_it in enumerate(np.bincount(buckets, minlength=len(self.counts)).tolist()):
            self.counts[bucket] += values_in_it * weight
        self.sum += weight * float(values.sum())
