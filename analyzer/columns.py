"""Samples of one replica and epoch -> `Totals` by span, all windows at once.

The sums are those of `windows.pairwise_totals`, without an object for every window. Samples in which a counter fell,
or whose numbers are not finite, go that slower way: what follows a fall has to be looked at window by window.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzer.histograms import HISTOGRAMS, UNTOLD, Carried, Counts, add_all
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
_histograms_of = attrgetter(*HISTOGRAMS)
_NOTHING_CARRIED = (None,) * len(HISTOGRAMS)


@dataclass(frozen=True, slots=True)
class Columns:
    """One replica's samples of one epoch, oldest first, n of them.

    `series` has a row per name in `SERIES` (shape (series, n)), NaN where it was not reported, and is finite else.
    `carrying` says which samples carry a histogram; `sample` makes one of them, by its number.
    """

    replica: ReplicaKey
    epoch: int
    at_s: Column
    interval_s: Column
    series: Column
    carrying: NDArray[np.bool_]
    sample: Callable[[int], ReplicaSample]


def totals_of_columns(columns: Columns, span_of: SpanOf) -> dict[int, Totals]:
    """The totals of each span's windows, in order of time."""
    if len(columns.at_s) < 2:
        return {}
    found = _at_once(columns, span_of)
    return _one_by_one([columns.sample(k) for k in range(len(columns.at_s))], span_of) if found is None else found


def totals_by_span(samples: Sequence[ReplicaSample], span_of: SpanOf) -> dict[int, Totals]:
    """The totals of each span's windows, in order of time; samples are sorted here.

    Raises ValueError for samples of several replicas or epochs.
    """
    if len(samples) < 2:
        return {}
    for told in (list(map(attrgetter("epoch"), samples)), list(map(attrgetter("replica"), samples))):
        if told.count(told[0]) < len(told):
            raise ValueError("samples of several replicas or epochs have no common totals")
    ordered = sorted(samples, key=attrgetter("at_s"))
    columns = _columns(ordered)
    return _one_by_one(ordered, span_of) if columns is None else totals_of_columns(columns, span_of)


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
    told = tuple(zip(*map(_figures_of, ordered), strict=True))
    table = np.empty((len(told), len(ordered)))
    for row, values in zip(table, told, strict=True):
        row[:] = values
    # None has become NaN: a NaN too many was reported as one.
    unknown = np.isnan(table).sum(axis=1).tolist()
    odd = any(count and values.count(None) < count for values, count in zip(told, unknown, strict=True))
    if odd or np.isinf(table).any():
        return None
    carrying = np.array([_histograms_of(one) != _NOTHING_CARRIED for one in ordered])
    first = ordered[0]
    return Columns(first.replica, first.epoch, table[-2], table[-1], table[:-2], carrying, ordered.__getitem__)


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
        sums = np.add.reduceat(added, firsts, axis=1).T.tolist()
    ends_s = at_s[np.append(firsts[1:], len(spans))].tolist()
    histograms = _histograms(columns, made, spans)
    found = {}
    for span, start_s, end_s, values in zip(spans[firsts].tolist(), at_s[firsts].tolist(), ends_s, sums, strict=True):
        told = histograms.get(int(span), UNTOLD)
        found[int(span)] = _totals(columns, start_s, end_s, values, told)
    return found


def _histograms(
    columns: Columns, made: NDArray[np.bool_], spans: NDArray[Any]
) -> dict[int, Mapping[str, Counts | None]]:
    """Each span's increases, from the few windows that matter to them: those next to a sample that carries one."""
    carrying, carried = columns.carrying, Carried()
    found: dict[int, Mapping[str, Counts | None]] = {}
    for number in np.flatnonzero(carrying[:-1] | carrying[1:] | ~made).tolist():
        if not made[number]:
            carried.forget()
            continue
        increase, span = carried.increase(columns.sample(number), columns.sample(number + 1)), int(spans[number])
        found[span] = add_all(found.get(span, UNTOLD), increase)
    return found


def _totals(
    of: Columns, start_s: float, end_s: float, sums: Sequence[float], histograms: Mapping[str, Counts | None]
) -> Totals:
    """Totals from sums in the order of `SERIES`, active and covered seconds, windows made, gaps and clocks stopped."""
    *amounts, active_s, covered_s, windows, gaps, stopped = sums
    # A series that is missing from one window is NaN in the sum; without any window nothing was reported.
    known = [None if windows == 0 or value != value else value for value in amounts]
    refused = ((Refusal.GAP, int(gaps)), (Refusal.CLOCK, int(stopped)))
    return Totals(
        replica=of.replica,
        epoch=of.epoch,
        start_s=start_s,
        end_s=end_s,
        covered_s=covered_s,
        windows=int(windows),
        deltas=dict(zip(COUNTERS, known, strict=False)),
        integrals=dict(zip(GAUGES, known[_of_gauges], strict=True)),
        active_s=None if windows == 0 or active_s != active_s else active_s,
        refusals={refusal: count for refusal, count in refused if count},
        histograms=histograms,
    )
