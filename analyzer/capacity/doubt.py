"""How unsure the costs behind a capacity are, and the costs moved by that, direction by direction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analyzer.capacity.costs import COSTS, Array, Costs, costs_of
from analyzer.evidence import Estimate, Evidence
from analyzer.predict.transform import Coefficients
from analyzer.steptime.coefficients import COEFFICIENT_ERROR, Z80
from analyzer.steptime.fit import StepModel
from analyzer.steptime.laws import Law


@dataclass(frozen=True, slots=True)
class Doubt:
    """Covariance of the logarithms of the costs in their fields' order (6, 6), and the evidence of the costs."""

    covariance: Array
    evidence: Evidence

    @classmethod
    def none(cls, evidence: Evidence) -> Doubt:
        """Costs that are simply given."""
        return cls(np.zeros((len(COSTS), len(COSTS))), evidence)


def change_sd(speedup: Estimate) -> float:
    """Standard deviation of the logarithm of a predicted step speed-up."""
    return float(np.log(speedup.high / speedup.low)) / 2 / Z80


def doubt_of(model: StepModel, evidence: Evidence) -> Doubt:
    """The doubt of a fitted model under its likelier law."""
    law = max(Law, key=model.weight_of)
    own = [one for one in model.hypotheses if one.law is law]
    whole = sum(one.weight for one in own)
    mean = np.log(np.sum([one.weight * np.exp(one.logs) for one in own], axis=0) / whole)
    covariance = np.eye(len(COSTS)) * COEFFICIENT_ERROR**2
    for one in own:
        apart = one.logs - mean
        covariance = covariance + one.weight / whole * (one.covariance + np.outer(apart, apart))
    return Doubt(covariance, evidence)


def drawn(costs: Coefficients, doubt: Doubt, extra_sd: float | None = None) -> Costs:
    """The middle, and one standard deviation along each principal direction; `extra_sd` adds one of all costs alike."""
    values, directions = np.linalg.eigh(doubt.covariance)
    moved = directions.T * np.sqrt(np.maximum(values, 0.0))[:, None]
    none = np.zeros((1, len(COSTS)))
    shifts = np.concatenate([none, moved] + ([] if extra_sd is None else [none + extra_sd]))
    logs = np.log(np.maximum([getattr(costs, name) for name in COSTS], 1e-18)) + shifts
    rows = [dict(zip(COSTS, map(float, row), strict=True)) for row in np.exp(logs)]
    return costs_of([Coefficients(**row, rounding=costs.rounding) for row in rows])
