"""A histogram's increases between the samples that carry it, and their sum.

A histogram is a distribution, so it need not be complete: samples carry it only now and then, to keep rows narrow. Its
increase between two samples that carry it is booked on the window that ends at the later one, and dropped when a
window in between was refused, when a bucket's count fell, or when the two lie further apart than `HISTOGRAM_SPAN_S`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from operator import attrgetter, sub

from analyzer.samples import ReplicaSample, bounds_of, histogram_names

HISTOGRAMS = histogram_names(ReplicaSample)
BUCKETS = {name: len(bounds_of(ReplicaSample, name)) + 1 for name in HISTOGRAMS}
WIDEST = max(BUCKETS.values())
"""Where several histograms are one array, each has so many buckets, 0 beyond its own."""
HISTOGRAM_SPAN_S = 300.0
"""Further apart, two samples that are no neighbours tell no increase: nobody could say when it happened, and whoever
adds up five minutes would have to look back without end for the sample to begin with.
"""
_histograms_of = attrgetter(*HISTOGRAMS)
_NOTHING_TOLD = (None,) * len(HISTOGRAMS)

Counts = tuple[float, ...]
"""A histogram's counts by bucket, not cumulative."""

UNTOLD: Mapping[str, Counts | None] = dict.fromkeys(HISTOGRAMS)
"""Nothing told of any histogram: one object for the many windows of which that is so. Never change it."""


def add_all(each: Sequence[Mapping[str, Counts | None]]) -> Mapping[str, Counts | None]:
    """The sums of every histogram."""
    told = [one for one in each if one is not UNTOLD]
    if len(told) < 2:
        return told[0] if told else UNTOLD
    return {name: add_counts(*(one[name] for one in told)) for name in HISTOGRAMS}


def add_counts(*each: Counts | None) -> Counts | None:
    """The sum by bucket. None is nothing told and adds as nothing: a distribution over part of the time is one, too."""
    told = [one for one in each if one is not None]
    return tuple(map(sum, zip(*told, strict=True))) if told else None


class Carried:
    """The last sample of an unbroken run of windows that carried each histogram."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[float, Counts]] = {}

    def forget(self) -> None:
        """The run is broken."""
        self._last.clear()

    def increase(self, before: ReplicaSample, after: ReplicaSample) -> Mapping[str, Counts | None]:
        """What the window between two samples that come next has booked on it."""
        if not self._last:
            self._keep(before)
        told = _histograms_of(after)
        if told == _NOTHING_TOLD:
            return UNTOLD
        increases = dict(UNTOLD)
        for name, counts in zip(HISTOGRAMS, told, strict=True):
            if counts is not None and name in self._last:
                at_s, former = self._last[name]
                if at_s == before.at_s or after.at_s - at_s <= HISTOGRAM_SPAN_S:
                    increases[name] = _rise(former, counts)
        self._keep(after)
        return increases

    def _keep(self, sample: ReplicaSample) -> None:
        for name, counts in zip(HISTOGRAMS, _histograms_of(sample), strict=True):
            if counts is not None:
                self._last[name] = (sample.at_s, counts)


def _rise(former: Counts, counts: Counts) -> Counts | None:
    """None when a bucket's count fell: nothing of it can be trusted."""
    rise = tuple(map(sub, counts, former))
    # One that is no number makes the sum none, which compares as false.
    return rise if min(rise) >= 0 and sum(rise) < inf else None
