"""Memory-bound share and a scheme's published speed-up -> step speed-up, by the article's rule and by Amdahl's law."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

from analyzer.evidence import Estimate, Evidence, worst


def article_speedup(memory_bound: float, scheme_speedup: float) -> float:
    """The article's additive rule: `1 + (s - 1) * f`."""
    return 1 + (scheme_speedup - 1) * memory_bound


def amdahl_speedup(memory_bound: float, scheme_speedup: float) -> float:
    """Amdahl's law, what "only the memory-bound part speeds up" means: `1 / ((1 - f) + f / s)`."""
    return 1 / ((1 - memory_bound) + memory_bound / scheme_speedup)


def spread(
    rule: Callable[[float, float], float],
    memory_bound: Estimate,
    scheme_speedup: tuple[float, float, float],
    method: str,
) -> Estimate:
    """The rule at the central figures, its interval the extremes over both inputs' ends.

    `scheme_speedup` is (P10, P50, P90). Taking all ends at once makes the interval wider than 80 %: honest while the
    two errors' dependence is unknown.
    """
    low, central, high = scheme_speedup
    values = [rule(share, speed) for share, speed in product((memory_bound.low, memory_bound.high), (low, high))]
    value = rule(memory_bound.value, central)
    evidence = worst(memory_bound.evidence, Evidence.ASSUMED)
    return Estimate(value, min(value, *values), max(value, *values), evidence, method)
