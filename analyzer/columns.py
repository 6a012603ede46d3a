"""Samples of one replica and epoch as columns: an array per series, not an object per sample."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from analyzer.histograms import BUCKETS, HISTOGRAMS, WIDEST, Counts
from analyzer.samples import ReplicaKey, ReplicaSample
from analyzer.windows import COUNTERS, GAUGES

Column = NDArray[np.float64]
Places = NDArray[np.intp]

SERIES = (*COUNTERS, *GAUGES)
_figures_of = attrgetter(*SERIES, "at_s", "interval_s")
_WIDTH = len(SERIES) + 2
_histograms_of = attrgetter(*HISTOGRAMS)
_NOTHING_CARRIED = (None,) * len(HISTOGRAMS)


@dataclass(frozen=True, slots=True)
class Columns:
    """One replica's samples of one epoch, oldest first, n of them.

    `series` has a row per name in `SERIES` (shape (series, n)), NaN where it was not reported, and is finite else.
    `carrying` says which samples carry a histogram; `sample` makes one of them by its number; `told` gives the
    histograms of some in the order of `HISTOGRAMS` (shape (some, histograms, WIDEST)), NaN where one is not carried.
    """

    replica: ReplicaKey
    epoch: int
    at_s: Column
    interval_s: Column
    series: Column
    carrying: NDArray[np.bool_]
    sample: Callable[[int], ReplicaSample]
    told: Callable[[Places], Column]


def columns_of(samples: Sequence[ReplicaSample]) -> Columns | None:
    """Samples in any order as columns; None for no samples, and where a number is not finite.

    Raises ValueError for samples of several replicas or epochs.
    """
    if not samples:
        return None
    for told in (list(map(attrgetter("epoch"), samples)), list(map(attrgetter("replica"), samples))):
        if told.count(told[0]) < len(told):
            raise ValueError("samples of several replicas or epochs have no common totals")
    return _columns(sorted(samples, key=attrgetter("at_s")))


def since(columns: Columns, begin_s: float) -> Columns:
    """The samples that were taken at an instant or after it."""
    first = int(np.searchsorted(columns.at_s, begin_s))
    if first == 0:
        return columns
    return replace(
        columns,
        at_s=columns.at_s[first:],
        interval_s=columns.interval_s[first:],
        series=columns.series[:, first:],
        carrying=columns.carrying[first:],
        sample=lambda number: columns.sample(first + number),
        told=lambda numbers: columns.told(first + numbers),
    )


def _columns(ordered: Sequence[ReplicaSample]) -> Columns | None:
    """None when a number is not finite."""
    count = len(ordered)
    figures = np.fromiter(chain.from_iterable(map(_figures_of, ordered)), np.float64, count * _WIDTH)
    table = np.ascontiguousarray(figures.reshape(count, _WIDTH).T)
    # None has become NaN: a NaN too many was reported as one.
    unknown = np.isnan(table).sum(axis=1)
    lacking = [(SERIES[row], int(unknown[row])) for row in np.flatnonzero(unknown[:-2]).tolist()]
    odd = any(list(map(attrgetter(name), ordered)).count(None) < nans for name, nans in lacking)
    if odd or unknown[-2:].any() or np.isinf(table).any():
        return None
    carrying = np.array([told != _NOTHING_CARRIED for told in map(_histograms_of, ordered)])
    first = ordered[0]
    return Columns(
        *(first.replica, first.epoch, table[-2], table[-1], table[:-2], carrying),
        sample=ordered.__getitem__,
        told=lambda numbers: _counts([_histograms_of(ordered[number]) for number in numbers.tolist()]),
    )


def _counts(told: Sequence[tuple[Counts | None, ...]]) -> Column:
    counts = np.zeros((len(told), len(BUCKETS), WIDEST))
    for place, buckets in enumerate(BUCKETS.values()):
        nothing = (np.nan,) * buckets
        counts[:, place, :buckets] = [nothing if one[place] is None else one[place] for one in told]
    return counts
