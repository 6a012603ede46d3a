"""Requests that came, by spans of some minutes -> the load of a replica or of several together, and its peak."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analyzer.evidence import Estimate, Evidence, Figure, Missing
from analyzer.packed import Rows
from analyzer.steptime.parts import Part

BUCKET_S = 300.0
PEAK = 0.99
"""The share of the time in which the load does not exceed its peak."""
FEW = 12
"""Fewer spans have no 99th percentile: an hour by five minutes."""


@dataclass(frozen=True, slots=True)
class Span:
    """`requests` in `covered_s` seconds from the bucket of `start_s` on."""

    start_s: float
    covered_s: float
    requests: float

    @property
    def rate_per_s(self) -> float:
        """Requests a second."""
        return self.requests / self.covered_s


@dataclass(frozen=True, slots=True)
class Demand:
    """The load of one replica, or of several together, oldest span first."""

    spans: Sequence[Span] = ()

    @classmethod
    def of_parts(cls, parts: Sequence[Part]) -> Demand:
        """Requests by their first token; parts that count none of them are left out."""
        counted = [(part.totals, part.totals.deltas["prefills_total"]) for part in parts]
        return cls(
            Rows(
                Span,
                (
                    (totals.start_s, totals.covered_s, requests)
                    for totals, requests in counted
                    if requests is not None and totals.covered_s > 0
                ),
            )
        )

    def times(self, ratio: float) -> Demand:
        """The same spans under so many times the load."""
        if ratio == 1:
            return self
        return Demand(Rows(Span, ((one.start_s, one.covered_s, one.requests * ratio) for one in self.spans)))

    @classmethod
    def together(cls, each: Sequence[Demand]) -> Demand:
        """Rates of the same bucket added up: a replica that was not there then had no load."""
        found: dict[float, tuple[float, float]] = {}
        for demand in each:
            for span in demand.spans:
                at_s = span.start_s // BUCKET_S * BUCKET_S
                covered_s, rate = found.get(at_s, (0.0, 0.0))
                found[at_s] = max(covered_s, span.covered_s), rate + span.rate_per_s
        return cls(Rows(Span, ((at_s, span_s, rate * span_s) for at_s, (span_s, rate) in sorted(found.items()))))

    @property
    def span_s(self) -> float:
        """Seconds from the first span's start to the last one's end."""
        if not self.spans:
            return 0.0
        return self.spans[-1].start_s + self.spans[-1].covered_s - self.spans[0].start_s

    def mean_per_s(self) -> Figure:
        """Requests a second over all covered time."""
        covered_s = sum(span.covered_s for span in self.spans)
        if covered_s <= 0:
            return _NOTHING
        rate = sum(span.requests for span in self.spans) / covered_s
        return Estimate.exact(rate, Evidence.MEASURED, "requests_counted")


_NOTHING = Missing("no requests are counted")


def peak(demand: Demand) -> Figure:
    """The 99th percentile over time of the load, requests a second, less what chance adds to counts of few minutes.

    Capacity allows for chance already: it is the load of Poisson arrivals that keeps the objectives. A count of n
    scatters by sqrt(n) even if the load stands still, so distances from the mean are shrunk by the share of the counts'
    variance that is not chance. Missing where there are fewer than 12 spans.
    """
    if len(demand.spans) < FEW:
        return _NOTHING if not demand.spans else Missing(f"a peak needs {FEW} spans of some minutes")
    rates = np.array([span.rate_per_s for span in demand.spans])
    weights = np.array([span.covered_s for span in demand.spans])
    weights = weights / weights.sum()
    mean = float(rates @ weights)
    order = np.argsort(rates)
    at = int(np.searchsorted(np.cumsum(weights[order]), PEAK))
    highest = float(rates[order][min(at, len(rates) - 1)])
    variance = float(((rates - mean) ** 2) @ weights)
    chance = float((rates / np.array([span.covered_s for span in demand.spans])) @ weights)
    real = 0.0 if variance <= 0 else max(0.0, 1 - chance / variance)
    return Estimate.exact(mean + (highest - mean) * real**0.5, Evidence.MEASURED, "p99_of_load")
