"""A histogram's buckets on a page -> counts in the buckets that the analysis has for it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any, NamedTuple

from collector.scrape.layout import Series

Counts = tuple[float, ...]
"""One count per bucket, not cumulative; the last is above the highest bound."""
ReplicaId = tuple[str, str]
"""Model and rank."""


@dataclass(frozen=True, slots=True)
class HistogramReading:
    """Where one histogram stands on the page.

    `names` are the names of histograms, newest first: the first whose `NAME_bucket` series a replica has is read.
    `labels` selects series whose labels have these values; those that differ in other labels are added up. An engine's
    bounds may be others than ours, but they must reach as far as its values do: see `_slots`.
    `counted_by` is the field with the number of what is counted: without it the histogram is not given either.
    `whole_server` as in `Reading`.
    """

    names: tuple[str, ...]
    labels: Mapping[str, str] = field(default_factory=dict)
    counted_by: str | None = None
    whole_server: bool = False

    @property
    def series(self) -> tuple[str, ...]:
        """The sample names that are read."""
        return tuple(f"{name}_bucket" for name in self.names)


class BucketPlaces(NamedTuple):
    """Where the buckets of one histogram of one replica stand on pages of one shape, by rising upper bound.

    `slots` are the buckets of ours that they go to; each of `sets` has the places of their values, and all sets are
    added up.
    """

    slots: tuple[int, ...]
    sets: tuple[tuple[int, ...], ...]

    def counts(self, values: Sequence[float], buckets: int) -> Counts | None:
        """The counts of so many buckets, from all values of a page; None for a set that falls, or is not finite."""
        if len(self.sets) == 1:
            return _counted(self.slots, [values[at] for at in self.sets[0]], buckets)
        return _counted(self.slots, [sum(values[at] for at in same) for same in zip(*self.sets, strict=True)], buckets)


def _slots(found: Sequence[float], bounds: tuple[float, ...]) -> tuple[int, ...] | None:
    """For each of a page's bounds, rising, our bucket; None without `+Inf` or any other bound.

    A bucket whose bounds are not ours goes whole to the one of ours that holds its upper bound, so nothing is taken
    for shorter than it was; what is above the page's highest bound goes to the one that begins there or holds it,
    which is right where values end soon above it, as lengths do at the model's context.
    """
    if len(found) < 2 or found[-1] != inf:
        return None
    return (*(bisect_left(bounds, bound) for bound in found[:-1]), bisect_right(bounds, found[-2]))


def _counted(slots: Sequence[int], cumulative: Iterable[float], buckets: int) -> Counts | None:
    counts = [0.0] * buckets
    below = 0.0
    for at, up_to in zip(slots, cumulative, strict=True):
        if not below <= up_to < inf:
            return None
        if up_to > below:  # the many empty ones stay one and the same number
            counts[at] += up_to - below
            below = up_to
    return tuple(counts)


def bucket_places(
    reading: HistogramReading,
    bounds: tuple[float, ...],
    present: Mapping[str, Sequence[tuple[int, Series]]],
    replica_of: Callable[[Mapping[str, str]], ReplicaId],
    worker_of: Callable[[Mapping[str, str]], tuple[Any, ...]],
) -> dict[ReplicaId, BucketPlaces | None]:
    """The places of one histogram of every replica that has it; None where its buckets are no whole set.

    `present` are the series that have a value, with their places, by name. Of a replica's workers, which do the same
    steps, the lowest is read.
    """
    result: dict[ReplicaId, BucketPlaces | None] = {}
    for name in reading.series:
        found: dict[ReplicaId, dict[tuple[Any, ...], dict[frozenset[tuple[str, str]], list[tuple[float, int]]]]] = {}
        for place, series in present.get(name, ()):
            labels = series.labels
            if any(labels.get(label) != value for label, value in reading.labels.items()):
                continue
            others = frozenset(item for item in labels.items() if item[0] != "le")
            workers = found.setdefault(replica_of(labels), {})
            own = workers.setdefault(worker_of(labels), {}).setdefault(others, [])
            own.append((_bound(labels.get("le")), place))
        for replica, workers in found.items():
            if replica not in result:
                result[replica] = _whole(workers[min(workers)].values(), bounds)
    return result


def _whole(sets: Iterable[list[tuple[float, int]]], bounds: tuple[float, ...]) -> BucketPlaces | None:
    """None when the sets have different bounds, or one that is none or there twice."""
    ordered = [sorted(one) for one in sets]
    told = [bound for bound, _ in ordered[0]]
    slots = _slots(told, bounds)
    alike = all([bound for bound, _ in one] == told for one in ordered)
    if slots is None or not alike or told[0] == -inf or len(set(told)) < len(told):
        return None
    return BucketPlaces(slots, tuple(tuple(place for _, place in one) for one in ordered))


def _bound(le: str | None) -> float:
    """-Inf, which no histogram has, for what is no number."""
    try:
        bound = float(le or "")
    except ValueError:
        return -inf
    return bound if bound == bound else -inf
