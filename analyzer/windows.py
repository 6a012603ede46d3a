"""Two samples of one epoch -> `Window`; many windows -> `Totals`, which only ever add up.

A window that would lie is refused with its reason: a gap, another epoch, a counter that fell, a clock that went back.
Nothing is interpolated over it, and what it would have covered is missing from `covered_s`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from math import inf

from analyzer.histograms import UNTOLD, Carried, Counts, add_all
from analyzer.samples import ReplicaKey, ReplicaSample, counter_names, gauge_names

COUNTERS = counter_names(ReplicaSample)
GAUGES = gauge_names(ReplicaSample)
MAX_GAP_INTERVALS = 2.5
"""A window longer than this many poll intervals holds at least two missed polls: it is a gap."""
DIP_WINDOWS = 3
"""For so many windows after a fall a counter may come back to where it was; later it is taken to have restarted."""


class Refusal(StrEnum):
    """Why two neighbouring samples make no window."""

    GAP = "gap"
    EPOCH = "epoch"
    ANOMALY = "anomaly"
    CLOCK = "clock"


@dataclass(frozen=True, slots=True)
class Window:
    """What happened to one replica between two samples: `deltas` by counter, `means` by gauge (None = not reported).

    `active` says whether requests were running at both ends, None where the engine does not report it.
    """

    replica: ReplicaKey
    epoch: int
    start_s: float
    end_s: float
    deltas: Mapping[str, float | None]
    means: Mapping[str, float | None]
    active: bool | None

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.end_s - self.start_s


def window(before: ReplicaSample, after: ReplicaSample) -> Window | Refusal:
    """The window between two neighbouring samples of one replica, or why there is none.

    Raises ValueError when the samples belong to different replicas.
    """
    if before.replica != after.replica:
        raise ValueError(f"samples of two replicas: {before.replica} and {after.replica}")
    if before.epoch != after.epoch:
        return Refusal.EPOCH
    duration_s = after.at_s - before.at_s
    if duration_s <= 0:
        return Refusal.CLOCK
    if duration_s > MAX_GAP_INTERVALS * max(before.interval_s, after.interval_s):
        return Refusal.GAP
    deltas = {name: _difference(getattr(before, name), getattr(after, name)) for name in COUNTERS}
    if any(delta is not None and not 0 <= delta < inf for delta in deltas.values()):
        return Refusal.ANOMALY
    means = {name: _mean(getattr(before, name), getattr(after, name)) for name in GAUGES}
    return Window(
        replica=before.replica,
        epoch=before.epoch,
        start_s=before.at_s,
        end_s=after.at_s,
        deltas=deltas,
        means=means,
        active=_active(before.running_requests, after.running_requests),
    )


def _difference(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before


def _mean(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else (before + after) / 2


def _active(before: float | None, after: float | None) -> bool | None:
    return None if before is None or after is None else before > 0 and after > 0


@dataclass(frozen=True, slots=True)
class Totals:
    """The sum of one epoch's windows. Adding two gives the totals of both; order does not matter.

    `deltas` holds each counter's increase, `integrals` each gauge's mean times seconds; a series missing from any
    window is None, since a sum over part of the time is no sum. `active_s` counts seconds with requests running at
    both ends of the window. `refusals` counts what made no window, by reason.
    `histograms` holds each histogram's increase by bucket; None: nothing told. A distribution over part of the time is
    one all the same, so None adds as nothing, unlike a counter's.
    """

    replica: ReplicaKey
    epoch: int
    start_s: float
    end_s: float
    covered_s: float
    windows: int
    deltas: Mapping[str, float | None]
    integrals: Mapping[str, float | None]
    active_s: float | None
    refusals: Mapping[Refusal, int] = field(default_factory=dict)
    histograms: Mapping[str, Counts | None] = field(default_factory=lambda: UNTOLD)

    @property
    def coverage_ratio(self) -> float | None:
        """Covered share of the span from first to last sample; None for an empty span."""
        span_s = self.end_s - self.start_s
        return None if span_s <= 0 else min(1.0, self.covered_s / span_s)

    def mean(self, gauge: str) -> float | None:
        """Time-weighted mean of a gauge; None when it was not reported throughout or nothing is covered."""
        integral = self.integrals[gauge]
        return None if integral is None or self.covered_s <= 0 else integral / self.covered_s

    def rate(self, counter: str) -> float | None:
        """A counter's increase per covered second; None when it was not reported throughout."""
        delta = self.deltas[counter]
        return None if delta is None or self.covered_s <= 0 else delta / self.covered_s

    def __add__(self, other: Totals) -> Totals:
        """The totals of both. Raises ValueError for another replica or epoch."""
        return _sum_of([self, other])


def _sum_of(parts: Sequence[Totals]) -> Totals:
    """The totals of all. Raises ValueError for several replicas or epochs."""
    first = parts[0]
    if any(one.epoch != first.epoch or one.replica != first.replica for one in parts):
        raise ValueError("totals of different replicas or epochs are never added")
    # Totals without a window say nothing of any series and must not turn the others' into None.
    telling = [one for one in parts if one.windows > 0] or parts[-1:]
    return Totals(
        replica=first.replica,
        epoch=first.epoch,
        start_s=min(one.start_s for one in parts),
        end_s=max(one.end_s for one in parts),
        covered_s=sum(one.covered_s for one in parts),
        windows=sum(one.windows for one in parts),
        deltas={name: _whole([one.deltas[name] for one in telling]) for name in COUNTERS},
        integrals={name: _whole([one.integrals[name] for one in telling]) for name in GAUGES},
        active_s=_whole([one.active_s for one in telling]),
        refusals=_refusals(parts),
        histograms=add_all([one.histograms for one in parts]),
    )


def _whole(values: Sequence[float | None]) -> float | None:
    """The sum; None where one is None."""
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _refusals(parts: Sequence[Totals]) -> dict[Refusal, int]:
    found: dict[Refusal, int] = {}
    for one in parts:
        for reason, count in one.refusals.items():
            found[reason] = found.get(reason, 0) + count
    return {reason: found[reason] for reason in Refusal if reason in found} if found else {}


def of_window(one: Window, histograms: Mapping[str, Counts | None] = UNTOLD) -> Totals:
    """A single window as totals, with the increases of histograms that are booked on it."""
    seconds = one.duration_s
    return Totals(
        replica=one.replica,
        epoch=one.epoch,
        start_s=one.start_s,
        end_s=one.end_s,
        covered_s=seconds,
        windows=1,
        deltas=one.deltas,
        integrals={name: None if mean is None else mean * seconds for name, mean in one.means.items()},
        active_s=None if one.active is None else (seconds if one.active else 0.0),
        histograms=histograms,
    )


def empty(replica: ReplicaKey, epoch: int, start_s: float, end_s: float, refusal: Refusal | None = None) -> Totals:
    """Totals over a span in which no window could be made."""
    return Totals(
        replica=replica,
        epoch=epoch,
        start_s=start_s,
        end_s=end_s,
        covered_s=0.0,
        windows=0,
        deltas=dict.fromkeys(COUNTERS),
        integrals=dict.fromkeys(GAUGES),
        active_s=None,
        refusals={} if refusal is None else {refusal: 1},
    )


def pairwise_totals(samples: Iterable[ReplicaSample]) -> list[Totals]:
    """One `Totals` per pair of neighbouring samples of one replica and epoch (sorted here), epoch by epoch.

    A refused pair gives empty totals that count the refusal. Two processes that answer in turns at one address are
    two epochs, each with windows of its own.
    """
    ordered = sorted(samples, key=lambda sample: (sample.epoch, sample.at_s))
    result = []
    high: ReplicaSample | None = None
    left = 0
    carried = Carried()
    for before, after in pairwise(ordered):
        if before.epoch != after.epoch:
            high = None
            carried.forget()
            continue
        made = window(before, after)
        if made is Refusal.ANOMALY:
            high, left = before, DIP_WINDOWS
        elif high is not None:
            left -= 1
            if not isinstance(made, Refusal) and _recovered(high, before, after):
                made = Refusal.ANOMALY
            high = None if left == 0 or made is Refusal.ANOMALY else high
        if isinstance(made, Refusal):
            carried.forget()
            result.append(empty(after.replica, after.epoch, min(before.at_s, after.at_s), after.at_s, made))
        else:
            result.append(of_window(made, carried.increase(before, after)))
    return result


def _recovered(high: ReplicaSample, dipped: ReplicaSample, after: ReplicaSample) -> bool:
    """Whether a counter that had fallen is back where it was: its rise out of the dip is no work done."""
    for name in COUNTERS:
        peak, low, now = getattr(high, name), getattr(dipped, name), getattr(after, name)
        if peak is not None and low is not None and now is not None and low < peak <= now:
            return True
    return False


def add_up(parts: Iterable[Totals]) -> Totals | None:
    """The sum of totals of one replica and epoch; None for none."""
    each = list(parts)
    return _sum_of(each) if len(each) > 1 else next(iter(each), None)


FEW = 0.1
"""At most this share of the covered time is left out for the sake of series that nearly all of it has."""


def add_up_whole(parts: Sequence[Totals], few: float = FEW) -> Totals | None:
    """The sum without the few parts that lack a series which the rest has; None for no parts.

    One missed answer beside a page must not silence a series for as long as the sum's span is. What is left out is
    missing from `covered_s`: `few` of the covered time (0..1) at most.
    """
    covered_s = sum(part.covered_s for part in parts)
    unknown = [_unknown(part) for part in parts]
    telling = [series for part, series in zip(parts, unknown, strict=True) if part.windows > 0]
    lacking: set[int] = set()
    for name in telling[0].union(*telling) - telling[0].intersection(*telling) if telling else ():
        without = [at for at, part in enumerate(parts) if part.windows > 0 and name in unknown[at]]
        if 0 < sum(parts[at].covered_s for at in without) <= few * covered_s:
            lacking.update(without)
    if sum(parts[at].covered_s for at in lacking) > few * covered_s:
        lacking = set()
    return add_up(part for at, part in enumerate(parts) if at not in lacking)


def _unknown(part: Totals) -> set[str]:
    """The series that were not reported throughout."""
    return {name for series in (part.deltas, part.integrals) for name, value in series.items() if value is None}
