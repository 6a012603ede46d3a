"""Estimates -> equally likely draws of all of them together; draws of a result -> its P10, P50 and P90.

Whole GPUs make steps, over which an interval's ends do not simply map: the draws go through them one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from analyzer.capacity.answer import SOLVER_SD
from analyzer.evidence import Estimate, Evidence
from analyzer.money.sobol import points
from analyzer.normal import even_scores

Array = NDArray[np.float64]
COUNT_LOG2 = 9
COUNT = 2**COUNT_LOG2
Z80 = 1.2815515655446004
"""Standard deviations from the median to P90 of a normal distribution."""
QUANTILES = (0.1, 0.5, 0.9)


def draws(figures: Sequence[Estimate]) -> Array:
    """`COUNT` draws of the positive figures, (figures, COUNT), as independent: always the same for the same figures.

    Each is lognormal on either side of its central value, with the interval's ends at P10 and P90. The points are a
    Sobol sequence, which fills the space evenly where random numbers clump. Raises ValueError for a figure that
    reaches zero.
    """
    if any(one.low <= 0 for one in figures):
        raise ValueError("only positive figures can be drawn")
    scores = _scores(len(figures))
    rows = []
    for one, score in zip(figures, scores, strict=True):
        below, above = np.log(one.value / one.low) / Z80, np.log(one.high / one.value) / Z80
        rows.append(one.value * np.exp(score * np.where(score < 0, below, above)))
    return np.array(rows)


def cases(load: Estimate, ratio: Estimate, apart: Array | None) -> tuple[Array, Array]:
    """Load in replicas and ratio of capacities in `COUNT` equally likely cases, each (COUNT,).

    With `apart` (`CapacityReport.apart`) both follow from one case of the costs that are in doubt: a step that costs
    more than thought raises the load and lowers what a scheme gains, or raises both.
    """
    if apart is None or apart.shape[1] == 0:
        first, second = draws([load, ratio])
        return first, second
    scores = _scores(apart.shape[1] + 1)
    before, after = apart @ scores[:-1]
    return load.value * np.exp(SOLVER_SD * scores[-1] - before), ratio.value * np.exp(after - before)


@cache
def _scores(dimensions: int) -> Array:
    """Standard normal scores of the points, (dimensions, COUNT)."""
    return np.asfortranarray(even_scores(COUNT)[(points(dimensions, COUNT_LOG2).T * COUNT).astype(np.intp)])


def summary(values: Array, evidence: Evidence, method: str) -> Estimate:
    """P10, P50 and P90 of draws, each one of the draws: whole numbers stay whole, and infinity is a value."""
    low, middle, high = np.quantile(values, QUANTILES, method="inverted_cdf")
    return Estimate(float(middle), float(low), float(high), evidence, method)


def pessimistic(values: Array) -> Array:
    """P10 over the last axis."""
    return np.asarray(np.quantile(values, QUANTILES[0], axis=-1, method="inverted_cdf"))
