"""Samples of one replica and epoch -> `Totals` by span, all windows at once.

The sums are those of `windows.pairwise_totals`, without an object for every window. Samples in which a counter fell,
or whose numbers are not finite, go that slower way: what follows a fall has to be looked at window by window.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzer.histograms import HISTOGRAM_SPAN_S, HISTOGRAMS, UNTOLD, Carried, Counts, add_all
from analyzer.samples import ReplicaKey, ReplicaSample
from analyzer.windows import COUNTERS, GAUGES, MAX_GAP_INTERVALS, Refusal, Totals, add_up, pairwise_totals

Column = NDArray[np.float64]
SpanOf = Callable[[Column], NDArray[Any]]
"""From the ends of windows, which never decrease, to the numbers of their spans, which must not decrease either."""

SERIES = (*COUNTERS, *GAUGES)
_RUNNING = SERIES.index("running_requests")
_of_counters = slice(0, len(COUNTERS))
_of_gauges = slice(len(COUNTERS), len(SERIES))
_figures_of = attrgetter(*SERIES, "at_s", "interval_s")
_WIDTH = len(SERIES) + 2
_histograms_of = attrgetter(*HISTOGRAMS)
_NOTHING_CARRIED = (None,) * len(HISTOGRAMS)


@dataclass(frozen=True, slots=True)
class Columns:
    """One replica's samples of one epoch, oldest first, n of them.

    `series` has a row per name in `SERIES` (shape (series, n)), NaN where it was not reported, and is finite else.
    `carrying` says which samples carry a histogram; `sample` makes one of them by its number, `told` its histograms
    only, in the order of `HISTOGRAMS`.
    """

    replica: ReplicaKey
    epoch: int
    at_s: Column
    interval_s: Column
    series: Column
    carrying: NDArray[np.bool_]
    sample: Callable[[int], ReplicaSample]
    told: Callable[[int], tuple[Counts | None, ...]]


def totals_of_columns(columns: Columns, span_of: SpanOf) -> dict[int, Totals]:
    """The totals of each span's windows, in order of time."""
    if len(columns.at_s) < 2:
        return {}
    found = _at_once(columns, span_of)
    return _one_by_one([columns.sample(k) for k in range(len(columns.at_s))], span_of) if found is None else found


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
        told=lambda number: columns.told(first + number),
    )


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
        told=lambda number: _histograms_of(ordered[number]),
    )


def _at_once(columns: Columns, span_of: SpanOf) -> dict[int, Totals] | None:
    """None when a counter fell."""
    series, at_s, interval_s = columns.series, columns.at_s, columns.interval_s
    lasted_s = np.diff(at_s)
    stopped = lasted_s <= 0
    gap = ~stopped & (lasted_s > MAX_GAP_INTERVALS * np.maximum(interval_s[:-1], interval_s[1:]))
    made = ~(stopped | gap)
    before, after = series[:, :-1], series[:, 1:]
    with np.errstate(over="ignore"):
        amounts = after - before
        amounts[_of_gauges] = (before[_of_gauges] + after[_of_gauges]) / 2 * lasted_s
    amounts[:, ~made] = 0.0
    if (amounts[_of_counters] < 0).any() or np.isinf(amounts).any():
        return None
    active = (before[_RUNNING] > 0) & (after[_RUNNING] > 0)
    active_s = np.where(made & np.isnan(before[_RUNNING] + after[_RUNNING]), np.nan, active * made * lasted_s)
    spans = span_of(at_s[1:])
    firsts = np.concatenate([[0], np.flatnonzero(np.diff(spans)) + 1])
    added = np.vstack([amounts, active_s, made * lasted_s, made, gap, stopped])
    with np.errstate(over="ignore"):
        sums = np.add.reduceat(added, firsts, axis=1).T
    ends_s = at_s[np.append(firsts[1:], len(spans))].tolist()
    histograms = _histograms(columns, made, spans)
    found = {}
    for span, start_s, end_s, values in zip(
        spans[firsts].tolist(), at_s[firsts].tolist(), ends_s, known_sums(sums), strict=True
    ):
        told = histograms.get(int(span), UNTOLD)
        found[int(span)] = totals_of_sums(columns.replica, columns.epoch, start_s, end_s, values, told)
    return found


def _histograms(
    columns: Columns, made: NDArray[np.bool_], spans: NDArray[Any]
) -> dict[int, Mapping[str, Counts | None]]:
    """Each span's increases, as `Carried` tells them."""
    at = np.flatnonzero(columns.carrying)
    told = [columns.told(number) for number in at.tolist()]
    if any(None in one for one in told):
        return _histograms_apart(columns, made, spans)
    if len(at) < 2:
        return {}
    runs = np.concatenate([[0], np.cumsum(~made)])[at]
    near = (np.diff(at) == 1) | (np.diff(columns.at_s[at]) <= HISTOGRAM_SPAN_S)
    unbroken = (np.diff(runs) == 0) & near
    numbers = spans[at[1:] - 1]
    firsts = np.concatenate([[0], np.flatnonzero(np.diff(numbers)) + 1])
    sums: dict[str, list[Counts | None]] = {}
    for name, counts in zip(HISTOGRAMS, zip(*told, strict=True), strict=True):
        with np.errstate(invalid="ignore", over="ignore"):
            rises = np.diff(np.array(counts), axis=0)
            risen = unbroken & (rises.min(axis=1) >= 0) & np.isfinite(rises.sum(axis=1))
        rises[~risen] = 0.0
        known = np.logical_or.reduceat(risen, firsts).tolist()
        added = np.add.reduceat(rises, firsts, axis=0).tolist()
        sums[name] = [tuple(one) if any_known else None for one, any_known in zip(added, known, strict=True)]
    return {
        int(span): {name: sums[name][place] for name in HISTOGRAMS}
        for place, span in enumerate(numbers[firsts].tolist())
    }


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


def known_sums(sums: Column) -> list[list[Any]]:
    """Rows of sums in the order that `totals_of_sums` takes, with None for what is not known.

    A series that is missing from one window is NaN in the sum; without any window nothing was reported.
    """
    reported = len(SERIES) + 1
    table = sums.astype(object)
    table[:, :reported][np.isnan(sums[:, :reported]) | (sums[:, -3, None] == 0)] = None
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
