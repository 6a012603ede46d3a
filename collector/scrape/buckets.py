"""A histogram's buckets on a page -> counts in the buckets that the analysis has for it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any

from collector.scrape.page import Sample

Counts = tuple[float, ...]
"""One count per bucket, not cumulative; the last is above the highest bound."""
ReplicaId = tuple[str, str]
"""Model and rank."""
Cumulative = dict[float, float]
"""What lies up to each upper bound, as a page has it."""


@dataclass(frozen=True, slots=True)
class HistogramReading:
    """Where one histogram stands on the page.

    `names` are the names of histograms, newest first: the first whose `NAME_bucket` series a replica has is read.
    `labels` selects series whose labels have these values; those that differ in other labels are added up. An engine's
    bounds may be others than ours, but they must reach as far as its values do: see `placed`.
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


def placed(cumulative: Cumulative, bounds: tuple[float, ...]) -> Counts | None:
    """A page's buckets as counts by `bounds`; None for a set without `+Inf` or any other bound, or one that falls.

    A bucket whose bounds are not ours goes whole to the one of ours that holds its upper bound, so nothing is taken
    for shorter than it was; what is above the page's highest bound goes to the one that begins there or holds it,
    which is right where values end soon above it, as lengths do at the model's context.
    """
    found = sorted(cumulative.items())
    if len(found) < 2 or found[-1][0] != inf:
        return None
    counts = [0.0] * (len(bounds) + 1)
    below = 0.0
    for bound, up_to in found:
        if not below <= up_to < inf:
            return None
        at = bisect_left(bounds, bound) if bound < inf else bisect_right(bounds, found[-2][0])
        counts[at] += up_to - below
        below = up_to
    return tuple(counts)


def read_buckets(
    reading: HistogramReading,
    bounds: tuple[float, ...],
    by_name: Mapping[str, list[Sample]],
    replica_of: Callable[[Mapping[str, str]], ReplicaId],
    worker_of: Callable[[Mapping[str, str]], tuple[Any, ...]],
) -> dict[ReplicaId, Counts | None]:
    """One histogram of every replica that has it; None where its buckets are no whole set.

    Of a replica's workers, which do the same steps, the lowest is read.
    """
    result: dict[ReplicaId, Counts | None] = {}
    for name in reading.series:
        found: dict[ReplicaId, dict[tuple[Any, ...], dict[frozenset[tuple[str, str]], Cumulative]]] = {}
        for sample in by_name.get(name, ()):
            labels = sample.labels
            if any(labels.get(label) != value for label, value in reading.labels.items()):
                continue
            others = frozenset(item for item in labels.items() if item[0] != "le")
            workers = found.setdefault(replica_of(labels), {})
            cumulative = workers.setdefault(worker_of(labels), {}).setdefault(others, {})
            bound = _bound(labels.get("le"))
            # A bound that is none, or is there twice, makes no set: NaN is in no sum.
            cumulative[bound] = inf if bound in cumulative else sample.value
        for replica, workers in found.items():
            if replica not in result:
                total = _sum(workers[min(workers)].values())
                result[replica] = None if total is None else placed(total, bounds)
    return result


def _bound(le: str | None) -> float:
    """-Inf, which no histogram has, for what is no number."""
    try:
        bound = float(le or "")
    except ValueError:
        return -inf
    return bound if bound == bound else -inf


def _sum(sets: Iterable[Cumulative]) -> Cumulative | None:
    """None when the sets have different bounds, or one that is none."""
    first, *more = sets
    if -inf in first or any(one.keys() != first.keys() for one in more):
        return None
    return {bound: sum(one[bound] for one in (first, *more)) for bound in first}
