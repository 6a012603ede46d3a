"""Columns of one replica and epoch -> sums by span, all windows at once, and `Totals` of them.

The sums are those of `windows.pairwise_totals`, without an object for every window. Samples in which a counter fell,
or whose numbers are not finite, go that slower way: what follows a fall has to be looked at window by window.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzer.columns import SERIES, Column, Columns, columns_of
from analyzer.histograms import BUCKETS, HISTOGRAM_SPAN_S, HISTOGRAMS, UNTOLD, WIDEST, Carried, Counts, add_all
from analyzer.samples import ReplicaKey, ReplicaSample
from analyzer.windows import COUNTERS, GAUGES, MAX_GAP_INTERVALS, Refusal, Totals, add_up, pairwise_totals

SpanOf = Callable[[Column], NDArray[Any]]
"""From the ends of windows, which never decrease, to the numbers of their spans, which must not decrease either."""

_RUNNING = SERIES.index("running_requests")
_of_counters = slice(0, len(COUNTERS))
_of_gauges = slice(len(COUNTERS), len(SERIES))
REPORTED = len(SERIES) + 1
"""Of sums, the series and `active_s`; what was made of the pairs comes after."""


@dataclass(frozen=True, slots=True)
class SpanSums:
    """Sums over the windows of k spans in order of time, by the span's number (shape (k,)).

    `reported` (shape (k, series + 1)) has the series in the order of `SERIES`, counters' increases and gauges'
    integrals, and `active_s`: NaN where one was not reported throughout. `made` (shape (k, 4)) are the covered seconds,
    the windows, and the pairs refused as gaps and for a clock that stood. `histograms` are increases by bucket in the
    order of `HISTOGRAMS` (shape (k, histograms, WIDEST)): NaN where nothing was told.
    """

    numbers: NDArray[np.int64]
    start_s: Column
    end_s: Column
    reported: Column
    made: Column
    histograms: Column

    def increases(self, histogram: str) -> Column:
        """One histogram's (shape (k, buckets))."""
        return self.histograms[:, HISTOGRAMS.index(histogram), : BUCKETS[histogram]]


def sums_by_span(columns: Columns, span_of: SpanOf) -> SpanSums | None:
    """The sums of at least two samples; None when a counter fell."""
    series, at_s, interval_s = columns.series, columns.at_s, columns.interval_s
    lasted_s = np.diff(at_s)
    stopped = lasted_s <= 0
    gap = ~stopped & (lasted_s > MAX_GAP_INTERVALS * np.maximum(interval_s[:-1], interval_s[1:]))
    made = ~(stopped | gap)
    before, after = series[:, :-1], series[:, 1:]
    added = np.empty((REPORTED + 4, len(lasted_s)))
    amounts = added[: len(SERIES)]
    with np.errstate(over="ignore"):
        np.subtract(after, before, out=amounts)
        amounts[_of_gauges] = (before[_of_gauges] + after[_of_gauges]) / 2 * lasted_s
    if not made.all():
        amounts[:, ~made] = 0.0
    if (amounts[_of_counters] < 0).any() or np.isinf(amounts).any():
        return None
    active = (before[_RUNNING] > 0) & (after[_RUNNING] > 0)
    added[REPORTED - 1] = np.where(
        made & np.isnan(before[_RUNNING] + after[_RUNNING]), np.nan, active * made * lasted_s
    )
    added[REPORTED], added[REPORTED + 1 :] = made * lasted_s, (made, gap, stopped)
    spans = span_of(at_s[1:])
    firsts = np.concatenate([[0], np.flatnonzero(np.diff(spans)) + 1])
    with np.errstate(over="ignore"):
        sums = np.add.reduceat(added, firsts, axis=1).T
    reported, made_of = sums[:, :REPORTED], sums[:, REPORTED:]
    # Without any window nothing was reported.
    reported[made_of[:, 1] == 0] = np.nan
    numbers = spans[firsts].astype(np.int64)
    return SpanSums(
        numbers=numbers,
        start_s=at_s[firsts],
        end_s=at_s[np.append(firsts[1:], len(spans))],
        reported=reported,
        made=made_of,
        histograms=_histograms(columns, made, spans, numbers),
    )


def _histograms(columns: Columns, made: NDArray[np.bool_], spans: NDArray[Any], numbers: NDArray[np.int64]) -> Column:
    """The increases of the spans of these numbers, as `Carried` tells them."""
    found = np.full((len(numbers), len(HISTOGRAMS), WIDEST), np.nan)
    at = np.flatnonzero(columns.carrying)
    if len(at) < 2:
        return found
    told = columns.told(at)
    if np.isnan(told[..., 0]).any():
        for span, increases in _histograms_apart(columns, made, spans).items():
            for place, counts in enumerate(increases[name] for name in HISTOGRAMS):
                if counts is not None:
                    found[np.searchsorted(numbers, span), place, : len(counts)] = counts
        return found
    runs = np.concatenate([[0], np.cumsum(~made)])[at]
    near = (np.diff(at) == 1) | (np.diff(columns.at_s[at]) <= HISTOGRAM_SPAN_S)
    unbroken = (np.diff(runs) == 0) & near
    with np.errstate(invalid="ignore", over="ignore"):
        rises = np.diff(told, axis=0)
        risen = unbroken[:, None] & (rises.min(axis=-1) >= 0) & np.isfinite(rises.sum(axis=-1))
    rises[~risen] = 0.0
    ends = spans[at[1:] - 1]
    firsts = np.concatenate([[0], np.flatnonzero(np.diff(ends)) + 1])
    added = np.add.reduceat(rises, firsts, axis=0)
    added[~np.logical_or.reduceat(risen, firsts, axis=0)] = np.nan
    found[np.searchsorted(numbers, ends[firsts])] = added
    return found


def _histograms_apart(
    columns: Columns, made: NDArray[np.bool_], spans: NDArray[Any]
) -> dict[int, Mapping[str, Counts | None]]:
    """The same where samples carry some histograms and not others, window after window."""
    carrying, carried = columns.carrying, Carried()
    found: dict[int, Mapping[str, Counts | None]] = {}
    for number in np.flatnonzero(carrying[:-1] | carrying[1:] | ~made).tolist():
        if not made[number]:
            carried.forget()
            continue
        increase, span = carried.increase(columns.sample(number), columns.sample(number + 1)), int(spans[number])
        found[span] = add_all([found.get(span, UNTOLD), increase])
    return found


def totals_of_columns(columns: Columns, span_of: SpanOf) -> dict[int, Totals]:
    """The totals of each span's windows, in order of time."""
    if len(columns.at_s) < 2:
        return {}
    sums = sums_by_span(columns, span_of)
    if sums is None:
        return _one_by_one([columns.sample(k) for k in range(len(columns.at_s))], span_of)
    told = [_counts(sums.increases(name)) for name in HISTOGRAMS]
    found = {}
    for span, start_s, end_s, values, *counts in zip(
        sums.numbers.tolist(),
        sums.start_s.tolist(),
        sums.end_s.tolist(),
        known_sums(np.hstack([sums.reported, sums.made])),
        *told,
        strict=True,
    ):
        histograms = dict(zip(HISTOGRAMS, counts, strict=True)) if any(counts) else UNTOLD
        found[span] = totals_of_sums(columns.replica, columns.epoch, start_s, end_s, values, histograms)
    return found


def _counts(increases: Column) -> list[Counts | None]:
    return [None if isnan(one[0]) else tuple(one) for one in increases.tolist()]


def totals_by_span(samples: Sequence[ReplicaSample], span_of: SpanOf) -> dict[int, Totals]:
    """The totals of each span's windows, in order of time; samples are sorted here.

    Raises ValueError for samples of several replicas or epochs.
    """
    columns = columns_of(samples)
    if columns is not None:
        return totals_of_columns(columns, span_of)
    ordered = sorted(samples, key=attrgetter("at_s"))
    return _one_by_one(ordered, span_of) if len(ordered) > 1 else {}


def sum_of_columns(columns: Columns) -> Totals | None:
    """The totals of all windows; None for fewer than two samples."""
    return totals_of_columns(columns, np.zeros_like).get(0)


def sum_of_windows(samples: Sequence[ReplicaSample]) -> Totals | None:
    """The totals of all windows; None for fewer than two samples. Raises ValueError as `totals_by_span` does."""
    return totals_by_span(samples, np.zeros_like).get(0)


def _one_by_one(ordered: Sequence[ReplicaSample], span_of: SpanOf) -> dict[int, Totals]:
    parts = pairwise_totals(ordered)
    grouped: dict[int, list[Totals]] = {}
    for span, part in zip(span_of(np.array([part.end_s for part in parts])).tolist(), parts, strict=True):
        grouped.setdefault(int(span), []).append(part)
    return {span: whole for span, group in grouped.items() if (whole := add_up(group)) is not None}


def known_sums(sums: Column) -> list[list[Any]]:
    """Rows of sums in the order that `totals_of_sums` takes, with None for what is not known.

    A series that is missing from one window is NaN in the sum; without any window nothing was reported.
    """
    table = sums.astype(object)
    table[:, :REPORTED][np.isnan(sums[:, :REPORTED]) | (sums[:, -3, None] == 0)] = None
    known: list[list[Any]] = table.tolist()
    return known


def totals_of_sums(
    replica: ReplicaKey,
    epoch: int,
    start_s: float,
    end_s: float,
    sums: Sequence[Any],
    histograms: Mapping[str, Counts | None],
) -> Totals:
    """Totals from sums in the order of `SERIES`, active and covered seconds, windows made, gaps and clocks stopped."""
    *known, active_s, covered_s, windows, gaps, stopped = sums
    refused = ((Refusal.GAP, int(gaps)), (Refusal.CLOCK, int(stopped)))
    return Totals(
        replica=replica,
        epoch=epoch,
        start_s=start_s,
        end_s=end_s,
        covered_s=covered_s,
        windows=int(windows),
        deltas=dict(zip(COUNTERS, known, strict=False)),
        integrals=dict(zip(GAUGES, known[_of_gauges], strict=True)),
        active_s=active_s,
        refusals={refusal: count for refusal, count in refused if count},
        histograms=histograms,
    )
