"""The predictor's constants from published rows: penalised least squares around their priors, sources weighted down.

Residuals are log errors of calibrated and, at less weight, of uncalibrated predictions, over a pseudo-Huber loss so
that a few odd rows do not bend a constant. A source counts with the square root of its rows: the largest one would
set everything else. Used to make the shipped constants, and again without a source to predict that source's rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp, log

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from analyzer.evidence import Missing
from analyzer.predict.constants import PRIORS, Constants
from analyzer.scoring.setting import Asked, answer

TYPICAL_LOG_ERROR = 0.10
UNCALIBRATED_WEIGHT = 0.3
ROWS_WORTH_A_PRIOR = 40
"""The rows together weigh as many independent ones as their number over this; rows of a source are anything but."""
MOST_EVALUATIONS = 12
_STEP = 0.05
AT_MOST_ONE = frozenset({"scaling_share", "scaling_share_first_token"})
FITTED = tuple(name for name, prior in PRIORS.items() if prior.sd > 0)


@dataclass(frozen=True, slots=True)
class Example:
    """A row that can be predicted, with its source and measured speed-up."""

    asked: Asked
    source: str
    speedup: float


def prior_constants() -> Constants:
    """The constants before any row was seen by the fit."""
    return Constants(**{name: prior.value for name, prior in PRIORS.items()})


def fit(examples: Sequence[Example]) -> Constants:
    """The constants that suit these rows. Raises ValueError when there are none."""
    if not examples:
        raise ValueError("nothing to fit the constants to")
    truths = np.array([log(one.speedup) for one in examples])
    rows_of = Counter(one.source for one in examples)
    weights = np.array([rows_of[one.source] ** -0.5 for one in examples])
    scale = np.sqrt(weights / weights.mean() * ROWS_WORTH_A_PRIOR / len(examples))

    def residuals(z: NDArray[np.float64]) -> NDArray[np.float64]:
        constants = _constants(z)
        parts = [z]
        for calibrated, weight in ((True, 1.0), (False, UNCALIBRATED_WEIGHT)):
            logs = np.array([_log_answer(one.asked, constants, calibrated) for one in examples])
            errors = np.where(np.isnan(logs), 0.0, (logs - truths) / TYPICAL_LOG_ERROR)
            parts.append(np.sign(errors) * np.sqrt(2 * (np.sqrt(1 + errors**2) - 1)) * scale * weight)
        return np.concatenate(parts)

    found = least_squares(residuals, np.zeros(len(FITTED)), diff_step=_STEP, max_nfev=MOST_EVALUATIONS)
    return _constants(found.x)


def _constants(z: NDArray[np.float64]) -> Constants:
    values = {name: PRIORS[name].value * exp(PRIORS[name].sd * step) for name, step in zip(FITTED, z, strict=True)}
    for name in AT_MOST_ONE:
        values[name] = min(1.0, values[name])
    return replace(prior_constants(), **values)


def _log_answer(asked: Asked, constants: Constants, calibrated: bool) -> float:
    value = answer(asked, constants, calibrated=calibrated)
    return float("nan") if isinstance(value, Missing) else log(value)
