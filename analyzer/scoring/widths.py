"""Errors of held-out predictions -> half-widths of the 80 % interval, by quantile regression."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from analyzer.predict.interval import Regime, Widths

COVERED = 0.80
_BASES = np.arange(0.02, 0.602, 0.005)
_SLOPES = np.arange(0.0, 0.31, 0.02)


@dataclass(frozen=True, slots=True)
class Miss:
    """One held-out prediction: where it is from, its log and how far off it was (absolute log error)."""

    source: str
    regime: Regime
    log_speedup: float
    error: float


def fit_widths(misses: Sequence[Miss]) -> Widths:
    """The widths that cover `COVERED` of the misses, sources weighted with the square root of their rows.

    One slope for all regimes, a base for each. A regime without a miss takes the base of all misses together. Raises
    ValueError when there are none.
    """
    if not misses:
        raise ValueError("no errors to take an interval from")
    best: tuple[float, Widths] | None = None
    for slope in _SLOPES:
        bases, loss = {}, 0.0
        everything, _ = _base(misses, float(slope))
        for regime in Regime:
            mine = [one for one in misses if one.regime is regime]
            base, cost = _base(mine, float(slope)) if mine else (everything, 0.0)
            bases[regime] = base
            loss += cost
        widths = Widths(bases[Regime.DECODE], bases[Regime.PREFILL], bases[Regime.MIXED], float(slope))
        if best is None or loss < best[0]:
            best = (loss, widths)
    assert best is not None
    return best[1]


def _base(misses: Sequence[Miss], slope: float) -> tuple[float, float]:
    """The base of least pinball loss at a slope, and that loss."""
    rows_of = Counter(one.source for one in misses)
    weights = np.array([1 / sqrt(rows_of[one.source]) for one in misses])
    rest = np.array([one.error - slope * abs(one.log_speedup) for one in misses])
    gaps = rest[None, :] - _BASES[:, None]
    losses = (np.where(gaps > 0, COVERED * gaps, (COVERED - 1) * gaps) * weights).sum(axis=1)
    index = int(np.argmin(losses))
    return round(float(_BASES[index]), 3), float(losses[index])
