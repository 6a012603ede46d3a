"""Samples of many replicas, stacked -> each one's `Totals` over a span, all windows of all of them at once.

The sums are those of `spans.totals_of_columns`; a replica for which that would have to look window by window (a
counter fell, a sum is no number) is left to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analyzer.columns import SERIES, Column
from analyzer.histograms import HISTOGRAM_SPAN_S, HISTOGRAMS, UNTOLD, Counts
from analyzer.samples import ReplicaKey
from analyzer.spans import REPORTED, known_sums, totals_of_sums
from analyzer.windows import COUNTERS, MAX_GAP_INTERVALS, Totals

_COUNTERS = len(COUNTERS)
_RUNNING = SERIES.index("running_requests")


@dataclass(frozen=True, slots=True)
class Told:
    """Samples that carry one histogram: their numbers, rising, and their counts by bucket (shape (told, buckets))."""

    at: NDArray[np.int64]
    counts: Column


@dataclass(frozen=True, slots=True)
class Stacked:
    """n samples of many replicas, those of one replica and epoch together and oldest first.

    `owner` numbers the replicas, rising (shape (n,)); `series` is as in `columns.Columns`.
    """

    owner: NDArray[np.int64]
    at_s: Column
    interval_s: Column
    series: Column
    told: Mapping[str, Told]


@dataclass(frozen=True, slots=True)
class Owned:
    """Totals by owner, and the owners that must be looked at window by window.

    Of those in `patchy`, some windows lack a series that others have: it is missing from their totals.
    """

    totals: Mapping[int, Totals]
    left: frozenset[int]
    patchy: frozenset[int] = frozenset()


def totals_by_owner(
    stacked: Stacked,
    owners: Sequence[tuple[ReplicaKey, int]],
    since_s: float | Column,
    begin_s: float | Column = -np.inf,
) -> Owned:
    """Each owner's totals of the windows that begin at `begin_s` or later and end at `since_s` or later.

    Both are instants for all or by owner (shape (owners,)); `owners` has their replicas and epochs.
    """
    since_s, begin_s = (np.broadcast_to(one, len(owners)) for one in (since_s, begin_s))
    owner, at_s, interval_s, series = stacked.owner, stacked.at_s, stacked.interval_s, stacked.series
    mine = np.flatnonzero(owner[1:] == owner[:-1])
    if not len(mine):
        return Owned({}, frozenset())
    before, after = series[:, mine], series[:, mine + 1]
    lasted_s = at_s[mine + 1] - at_s[mine]
    stopped = lasted_s <= 0
    gap = ~stopped & (lasted_s > MAX_GAP_INTERVALS * np.maximum(interval_s[mine], interval_s[mine + 1]))
    made = ~(stopped | gap)
    with np.errstate(over="ignore", invalid="ignore"):
        amounts = after - before
        amounts[_COUNTERS:] = (before[_COUNTERS:] + after[_COUNTERS:]) / 2 * lasted_s
    amounts[:, ~made] = 0.0
    odd = (amounts[:_COUNTERS] < 0).any(axis=0) | np.isinf(amounts).any(axis=0)
    left = frozenset(owner[mine[odd]].tolist())
    running = before[_RUNNING], after[_RUNNING]
    active = (running[0] > 0) & (running[1] > 0)
    active_s = np.where(made & np.isnan(running[0] + running[1]), np.nan, active * made * lasted_s)
    added = np.vstack([amounts, active_s, made * lasted_s, made, gap, stopped])

    counted = np.flatnonzero((at_s[mine + 1] >= since_s[owner[mine]]) & (at_s[mine] >= begin_s[owner[mine]]))
    if not len(counted):
        return Owned({}, left)
    whose = owner[mine[counted]]
    firsts = np.concatenate([[0], np.flatnonzero(np.diff(whose)) + 1])
    lasts = np.append(firsts[1:], len(whose)) - 1
    with np.errstate(over="ignore", invalid="ignore"):
        sums = np.add.reduceat(added[:, counted], firsts, axis=1).T
    left |= frozenset(whose[firsts[np.isinf(sums).any(axis=1)]].tolist())
    lacking = np.add.reduceat(np.isnan(added[:REPORTED, counted]), firsts, axis=1, dtype=np.int64)
    patchy = ((lacking > 0) & (lacking < sums[:, -3])).any(axis=0)
    broken = np.zeros(len(owner), dtype=np.int64)
    broken[mine[~made] + 1] = 1
    histograms = _histograms(stacked, np.cumsum(broken), since_s, begin_s)
    found = {}
    for number, start_s, end_s, values in zip(
        whose[firsts].tolist(),
        at_s[mine[counted[firsts]]].tolist(),
        at_s[mine[counted[lasts]] + 1].tolist(),
        known_sums(sums),
        strict=True,
    ):
        if number not in left:
            told = histograms.get(number, UNTOLD)
            replica, epoch = owners[number]
            found[number] = totals_of_sums(replica, epoch, start_s, end_s, values, told)
    return Owned(found, left, frozenset(whose[firsts[patchy]].tolist()))


def _histograms(
    stacked: Stacked, run: NDArray[np.int64], since_s: Column, begin_s: Column
) -> dict[int, Mapping[str, Counts | None]]:
    """The increases by owner, between samples of one unbroken run of windows."""
    found: dict[int, dict[str, Counts | None]] = {}
    for name, told in stacked.told.items():
        former, later = told.at[:-1], told.at[1:]
        rise = told.counts[1:] - told.counts[:-1]
        near = (later - former == 1) | (stacked.at_s[later] - stacked.at_s[former] <= HISTOGRAM_SPAN_S)
        same = (stacked.owner[former] == stacked.owner[later]) & (run[former] == run[later])
        owner, at_s = stacked.owner[later], stacked.at_s
        within = (at_s[former] >= begin_s[owner]) & (at_s[later] >= since_s[owner])
        counted = np.flatnonzero(same & near & within & (rise >= 0).all(axis=1))
        if not len(counted):
            continue
        whose = stacked.owner[later[counted]]
        firsts = np.concatenate([[0], np.flatnonzero(np.diff(whose)) + 1])
        sums = np.add.reduceat(rise[counted], firsts, axis=0)
        for number, counts in zip(whose[firsts].tolist(), sums.tolist(), strict=True):
            found.setdefault(number, dict.fromkeys(HISTOGRAMS))[name] = tuple(counts)
    return dict(found)
