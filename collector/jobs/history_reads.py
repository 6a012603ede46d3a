"""Reads what is stored of several replicas at once: the totals of their decision span, and their newest samples."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter

from analyzer.histograms import HISTOGRAM_SPAN_S
from analyzer.samples import ReplicaKey
from analyzer.windows import DIP_WINDOWS, MAX_GAP_INTERVALS, Totals
from collector.jobs.duty import BUCKET_S, HOUR_S
from collector.jobs.polled import Polled
from collector.store.read import Reader
from collector.store.stack import Stack

BY_BUCKET_S = 86_400.0
"""The last day is read by five minutes, what is older by the hour: a week in about 450 rows, not 2,016."""
MOST_TOGETHER = 25
ROWS_TOGETHER = 1000.0
"""So many replicas are read at once, or as many as have so many totals: each of these takes 5 kB for a moment."""


@dataclass(frozen=True, slots=True)
class Spans:
    """Lengths of the live and of the decision span."""

    recent_s: float
    history_s: float


@dataclass(frozen=True, slots=True)
class Read:
    """What is stored of some epochs: by epoch totals with their start, and samples from `fresh_since_s` on."""

    hours: Mapping[int, list[tuple[float, Totals]]]
    totals: Mapping[int, list[tuple[float, Totals]]]
    fresh_since_s: float
    fresh: Stack | None


def in_groups(keys: Sequence[ReplicaKey], age_s: Callable[[ReplicaKey], float]) -> Iterator[list[ReplicaKey]]:
    """Replicas that are read at once: many with short histories, few with long ones; `age_s` tells how long."""
    some: list[ReplicaKey] = []
    rows = 0.0
    for key in keys:
        span_s = age_s(key)
        rows += span_s / HOUR_S + min(span_s, BY_BUCKET_S) / BUCKET_S
        some.append(key)
        if len(some) >= MOST_TOGETHER or rows >= ROWS_TOGETHER:
            yield some
            some, rows = [], 0.0
    if some:
        yield some


def read_at_once(
    reader: Reader, members: Mapping[int, Polled], whole: Collection[int], spans: Spans, now_s: float
) -> Read:
    """What is stored of some epochs, its newest samples from where those of nearly every replica are needed.

    Totals are read of the epochs in `whole` only; of the others the live span is enough.
    """
    since_s, fresh_s = now_s - spans.history_s, now_s - spans.recent_s
    keys = {epoch: polled.replica for epoch, polled in members.items()}
    asked = {epoch: key for epoch, key in keys.items() if epoch in whole}
    if asked:
        most_s = max(overlap_s(members[epoch]) for epoch in asked)
        fresh_s = min(now_s // BUCKET_S * BUCKET_S - BUCKET_S - most_s, fresh_s)
    fine_s = _fine_since_s(since_s, now_s)
    return Read(
        reader.hours_of(since_s, now_s, asked) if asked else {},
        reader.totals_of(fine_s, now_s, asked) if asked else {},
        fresh_s,
        reader.stack(fresh_s, now_s + 1, keys),
    )


def buckets_of(
    reader: Reader, read: Read, replica: ReplicaKey, epoch: int, since_s: float, now_s: float
) -> list[tuple[float, Totals]]:
    """What is stored of an epoch by start, each window in one: old hours, and five minutes of the last day.

    The epoch's first hour comes by five minutes too, since its warm-up lies in it. Where five-minute totals are
    not kept as long, hours stand for them.
    """
    hours, fine, cut_s = read.hours[epoch], read.totals[epoch], _fine_since_s(since_s, now_s)
    first_s = hours[0][0] if hours else cut_s
    if first_s < cut_s:
        fine = [*reader.totals(first_s, first_s + HOUR_S, replica, epoch), *fine]
    told = {start_s // HOUR_S for start_s, _ in fine}
    return sorted([*(one for one in hours if one[0] // HOUR_S not in told), *fine], key=itemgetter(0))


def _fine_since_s(since_s: float, now_s: float) -> float:
    """From where on a span is read by five minutes."""
    return max((now_s - BY_BUCKET_S) // HOUR_S * HOUR_S, since_s)


def overlap_s(polled: Polled) -> float:
    """So much before a bucket's end is read as well: to know a dip by, and what a histogram grew from."""
    return max((MAX_GAP_INTERVALS + DIP_WINDOWS) * polled.interval_s, HISTOGRAM_SPAN_S)
