"""Rows of scored fleets, predicted beside found, and the errors over all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, median
from typing import Any

from analyzer.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Sides:
    """Before and after the scheme: requests a second of one replica, replicas that today's load needs, mean gap."""

    before_per_s: float
    after_per_s: float
    needed_before: int
    needed_after: int
    gap_before_s: float | None
    gap_after_s: float | None

    @property
    def ratio(self) -> float:
        """Capacity after over before."""
        return self.after_per_s / self.before_per_s


@dataclass(frozen=True, slots=True)
class Answer:
    """What the product says of the scheme at the observed peak, with a price, a cost and a passed evaluation stated.

    `saved` are replicas released or avoided at P50, `saved_low` at P10; `truly_saved` are those of the simulated truth.
    """

    verdict: str
    against: str | None
    peak_per_s: float
    saved: float
    saved_low: float
    truly_saved: int


@dataclass(frozen=True, slots=True)
class FleetRow:
    """One fleet: `predicted` is None where the product predicts nothing, for `reason`."""

    fleet: str
    replicas: int
    load: float
    scheme: str
    law: str
    bound: str | None
    truth: Sides | None
    predicted: Sides | None
    ratio_low: float | None
    ratio_high: float | None
    evidence: str | None
    needed_low: int | None = None
    needed_high: int | None = None
    """Ends of the 80 % interval of the replicas needed after."""
    answer: Answer | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class CapacitySummary:
    """Errors over fleets, relative; None where none was predicted. Shares are of the fleets with a prediction."""

    fleets: int
    predicted: int
    ratio_error_median: float | None
    ratio_error_worst: float | None
    capacity_error_median: float | None
    needed_exact: float | None
    needed_before_exact: float | None
    needed_within: float | None
    """True replicas after within their 80 % interval."""
    gap_error_median: float | None
    gap_error_worst: float | None
    gap_before_error_median: float | None
    coverage_80: float | None
    worth_it: int
    worth_it_false: int
    """Of these, where the simulated truth saves no replica."""
    saving_missed: int
    """Not `worth_it` though the truth saves one."""


def summarise(rows: Sequence[FleetRow]) -> CapacitySummary:
    """The errors of these rows."""
    both = [(row, row.truth, row.predicted) for row in rows if row.truth is not None and row.predicted is not None]
    ratios = [abs(one.ratio / true.ratio - 1) for _, true, one in both]
    capacities = [abs(one.before_per_s / true.before_per_s - 1) for _, true, one in both]
    after = [_off(one.gap_after_s, true.gap_after_s) for _, true, one in both]
    before = [_off(one.gap_before_s, true.gap_before_s) for _, true, one in both]
    gaps, gaps_before = ([one for one in each if one is not None] for each in (after, before))
    held = [
        float(row.ratio_low <= true.ratio <= row.ratio_high)
        for row, true, _ in both
        if row.ratio_low is not None and row.ratio_high is not None
    ]
    within = [
        float(row.needed_low <= true.needed_after <= row.needed_high)
        for row, true, _ in both
        if row.needed_low is not None and row.needed_high is not None
    ]
    answers = [row.answer for row in rows if row.answer is not None]
    worth = [one for one in answers if one.verdict == Verdict.WORTH_IT]
    return CapacitySummary(
        fleets=len(rows),
        predicted=len(both),
        ratio_error_median=median(ratios) if ratios else None,
        ratio_error_worst=max(ratios, default=None),
        capacity_error_median=median(capacities) if capacities else None,
        needed_exact=fmean(one.needed_after == true.needed_after for _, true, one in both) if both else None,
        needed_before_exact=fmean(one.needed_before == true.needed_before for _, true, one in both) if both else None,
        needed_within=fmean(within) if within else None,
        gap_error_median=median(gaps) if gaps else None,
        gap_error_worst=max(gaps, default=None),
        gap_before_error_median=median(gaps_before) if gaps_before else None,
        coverage_80=fmean(held) if held else None,
        worth_it=len(worth),
        worth_it_false=sum(one.truly_saved < 1 for one in worth),
        saving_missed=sum(one.truly_saved >= 1 for one in answers if one.verdict != Verdict.WORTH_IT),
    )


def _off(value: float | None, truth: float | None) -> float | None:
    return None if value is None or truth is None else abs(value / truth - 1)


def as_plain(rows: Sequence[FleetRow]) -> Mapping[str, Any]:
    """The result as JSON takes it: the summary, and the rows below."""
    return {**asdict(summarise(rows)), "rows": [asdict(row) for row in rows]}
