"""The newest windows of several replicas at once: the sum of the live span, and what stored totals do not have yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analyzer.columns import Columns, since
from analyzer.samples import ReplicaSample
from analyzer.spans import sum_of_columns, totals_of_columns
from analyzer.stacked import totals_by_owner
from analyzer.windows import Totals
from collector.store.stack import Stack

MINUTE_S = 60.0
"""What one missed answer of the last minutes silences at most, until they are in a bucket."""
_SAME_S = 1e-6
"""A window that ends with the stored totals is in them: the database keeps microseconds."""


@dataclass(frozen=True, slots=True)
class Since:
    """Unix times from which on one replica's newest windows are told: `cut_s` is where its stored totals end.

    `fresh_s` is when the first sample was taken that is looked at, for the sake of dips and histograms.
    """

    fresh_s: float
    cut_s: float


@dataclass(frozen=True, slots=True)
class Newest:
    """One replica's: its last sample, the totals of the live span, and those of what came after its stored totals.

    `after` is one sum, by the minute where a series is missing from some of it only.
    """

    last: ReplicaSample | None = None
    recent: Totals | None = None
    after: Sequence[Totals] = ()


def newest_windows(stack: Stack | None, sinces: Mapping[int, Since], recent_since_s: float) -> dict[int, Newest]:
    """By epoch, of those that have samples. The sums are those of `newest_of`, made for all at once."""
    if stack is None:
        return {}
    wanted = [sinces[epoch] for _, epoch in stack.owners]
    fresh_s, cut_s = np.array([one.fresh_s for one in wanted]), np.array([one.cut_s for one in wanted])
    recent = totals_by_owner(stack.stacked, stack.owners, -np.inf, np.maximum(fresh_s, recent_since_s))
    later_s = np.nextafter(cut_s + _SAME_S, np.inf)
    after = totals_by_owner(stack.stacked, stack.owners, later_s, fresh_s)
    apart = recent.left | after.left | after.patchy
    found = {}
    for number, (_, epoch) in enumerate(stack.owners):
        if number in apart:
            found[epoch] = newest_of(stack.columns(epoch), sinces[epoch], recent_since_s)
        else:
            last, told = stack.last(epoch), (after.totals[number],) if number in after.totals else ()
            found[epoch] = Newest(last if last.at_s >= sinces[epoch].fresh_s else None, recent.totals.get(number), told)
    return found


def newest_of(columns: Columns, begin: Since, recent_since_s: float) -> Newest:
    """The same of one replica."""
    fresh = since(columns, begin.fresh_s)
    last = fresh.sample(len(fresh.at_s) - 1) if len(fresh.at_s) else None
    return Newest(last, sum_of_columns(since(fresh, recent_since_s)), _by_minute(fresh, begin.cut_s))


def _by_minute(fresh: Columns, cut_s: float) -> list[Totals]:
    """By the minute, the windows that end after the stored totals do."""
    spans = totals_of_columns(fresh, lambda ends_s: np.maximum(np.ceil((ends_s - cut_s - _SAME_S) / MINUTE_S), 0))
    return [totals for minute, totals in spans.items() if minute > 0]
