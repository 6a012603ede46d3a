"""Several replicas' figures -> one: the weighted mean or the sum, with the worst evidence among them."""

from __future__ import annotations

from collections.abc import Sequence

from analyzer.evidence import Estimate, Figure, Missing, worst


def weighted_mean(figures: Sequence[Figure], weights: Sequence[float]) -> Figure:
    """Weighted mean of what is known; the first reason when nothing is."""
    known = [(one, weight) for one, weight in zip(figures, weights, strict=True) if isinstance(one, Estimate)]
    whole = sum(weight for _, weight in known)
    if not known or whole <= 0:
        reasons = [one.reason for one in figures if isinstance(one, Missing)]
        return Missing(reasons[0] if reasons else "not enough history yet")

    def mean(pick: str) -> float:
        return float(sum(getattr(one, pick) * weight for one, weight in known) / whole)

    low, value, high = mean("low"), mean("value"), mean("high")
    methods = sorted({one.method for one, _ in known})
    evidence = worst(*(one.evidence for one, _ in known))
    return Estimate(min(max(value, low), high), low, high, evidence, "+".join(methods))


def total(figures: Sequence[Figure]) -> Figure:
    """Sum of all; the first reason when one is missing, since a sum of part is no sum."""
    known = [one for one in figures if isinstance(one, Estimate)]
    if not known or len(known) < len(figures):
        reasons = [one.reason for one in figures if isinstance(one, Missing)]
        return Missing(reasons[0] if reasons else "no replica")
    evidence = worst(*(one.evidence for one in known))
    low, high = sum(one.low for one in known), sum(one.high for one in known)
    value = min(max(sum(one.value for one in known), low), high)
    return Estimate(value, low, high, evidence, "+".join(sorted({one.method for one in known})))
