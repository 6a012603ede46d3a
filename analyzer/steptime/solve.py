"""What steps cost under several hypotheses, all at once: the coefficients that the blocks and a prior make most likely.

Damped Gauss-Newton steps in the logarithms of the coefficients, so that all stay positive; outliers count less
(pseudo-Huber weights); the prior regularises.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

from analyzer.steptime.equations import Array, Equations
from analyzer.steptime.prior import Prior

ITERATIONS = 12
ENOUGH = 1e-3
"""The last step promises to make the likeliest hypothesis no likelier than by this, and one that is half as likely by
twice as much: of each, that moves the coefficients by less than a twentieth of their standard deviation.
"""
STEP_LIMIT = 1.0
"""Of a coefficient's logarithm, in one step."""
CAUCHY = 2.0
"""Standard deviations from which on a residual counts less."""


@dataclass(frozen=True, slots=True)
class Solved:
    """Of each hypothesis: log coefficients (shape (n, 6)), their covariance (n, 6, 6), and the cost (n,).

    The cost is the negative log posterior, by Laplace's approximation.
    """

    logs: Array
    covariance: Array
    cost: Array


def solve(known: Equations, before: Prior, blocks: float) -> Solved:
    """The most likely coefficients under every hypothesis, from the prior's mean; `blocks` is how many are fitted."""
    logs = np.tile(before.mean, (known.count, 1))
    found = _descend(known, before, logs, None, blocks)
    covariance: Array = np.asarray(np.linalg.inv(found.information), dtype=np.float64)
    misfit = _misfit(known.residuals(found.seconds, found.sd), before, found.logs)
    return Solved(found.logs, covariance, misfit + np.linalg.slogdet(found.information)[1] / 2)


def held_out(known: Equations, logs: Array, before: Prior, blocks: int) -> float | None:
    """Median relative error on every other block after a fit to the rest, both ways round.

    `known` are the equations of one law under one limit, `logs` (shape (6,)) its fit to all `blocks`: it begins there.
    """
    fitted, tested = known.every_other()
    found = _descend(known, before, np.tile(logs, (2, 1)), fitted, blocks / 2)
    # An idle block's zero busy seconds have no relative error.
    told_s = known.told.seconds
    positive = told_s > 0
    errors = np.abs(found.seconds / np.where(positive, told_s, 1.0) - 1)[tested & positive]
    return median(errors.tolist()) if len(errors) else None


@dataclass(frozen=True, slots=True)
class _Minimum:
    """Log coefficients and the seconds predicted at them; information and standard deviations before the last step."""

    logs: Array
    seconds: Array
    information: Array
    sd: Array


def _misfit(residuals: Array, before: Prior, logs: Array) -> Array:
    """Negative log likelihood (Cauchy's) and log prior, up to a constant."""
    own: Array = 2 * np.log1p((residuals / CAUCHY) ** 2).sum(axis=-1) + (before.residuals(logs) ** 2).sum(axis=-1) / 2
    return own


def _descend(known: Equations, before: Prior, logs: Array, fitted: NDArray[np.bool_] | None, blocks: float) -> _Minimum:
    """From log coefficients of shape (h, 6) down to the minimum; `fitted` (h, m) are the equations that count."""
    tie = before.rows.T @ before.rows
    moved, pace = np.zeros_like(logs), np.ones(len(logs))
    for _ in range(ITERATIONS):
        sd = known.deviations(logs, blocks)
        seconds, slopes = known.predicted(logs)
        residuals, unit = known.residuals(seconds, sd), known.units(seconds, sd)
        # What the slopes are divided by comes in here, where there are six times fewer figures.
        trust = 1 / (np.sqrt(1 + (residuals / CAUCHY) ** 2) * unit**2)
        if fitted is not None:
            trust *= fitted
        trusted = slopes * trust[:, None]
        information = trusted @ slopes.transpose(0, 2, 1) + tie
        gradient = trusted @ (residuals * unit)[..., None] + ((logs - before.mean) @ tie)[..., None]
        step, rise = np.linalg.solve(information, gradient)[..., 0], gradient[..., 0]
        # Gone beyond the minimum along its way, as at a kink of the law, which throws full steps to and fro.
        beyond = (moved * rise).sum(axis=-1) < 0
        pace = np.where(beyond, pace / 2, np.minimum(2 * pace, 1.0))
        gain = pace * (step * rise).sum(axis=-1) / 2
        enough = _enough(gain, residuals, before, logs)
        # All of a step is shortened alike: with single coefficients held back it would not lead down.
        shortened = STEP_LIMIT / np.maximum(np.abs(step).max(axis=-1), STEP_LIMIT)
        moved = (pace * shortened)[:, None] * step
        logs = logs - moved
        if enough:
            break
    return _Minimum(logs, known.predicted(logs)[0], information, sd)


def _enough(gain: Array, residuals: Array, before: Prior, logs: Array) -> bool:
    """Whether a step that gains so much is the last one; a hypothesis that is half as likely needs to gain half."""
    # The likeliest one counts in full: mostly the gains alone decide.
    gains: list[float] = gain.tolist()
    if max(gains) < ENOUGH or min(gains) >= ENOUGH:
        return max(gains) < ENOUGH
    misfit = _misfit(residuals, before, logs) - gain
    return bool((gain * np.exp(np.minimum(misfit.min() - misfit, 0.0))).max() < ENOUGH)
