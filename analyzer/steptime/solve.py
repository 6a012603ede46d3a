"""What steps cost under several hypotheses, all at once: the coefficients that the blocks and a prior make most likely.

Damped Gauss-Newton steps in the logarithms of the coefficients, so that all stay positive; outliers count less (Cauchy
weights); the prior regularises. Neighbouring blocks err alike, so that many count as no more than `INDEPENDENT_BLOCKS`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analyzer.steptime.blocks import Blocks
from analyzer.steptime.laws import Law, classify, one_prefill, spent
from analyzer.steptime.prior import PREFILL, Prior

Array = NDArray[np.float64]

INDEPENDENT_BLOCKS = 12.0
ITERATIONS = 12
ENOUGH = 1e-3
"""The last step promises to make the likeliest hypothesis no likelier than by this, and one that is half as likely by
twice as much: of each, that moves the coefficients by less than a twentieth of their standard deviation.
"""
STEP_LIMIT = 0.7
CAUCHY = 2.0
GAP_ERROR, MET_ERROR, BUSY_ERROR, REQUEST_ERROR = 0.01, 0.5, 0.006, 0.03
"""Errors of the equations themselves, relative: of inter-token seconds, of their prefill part, of busy seconds, and of
a request's prefill. Set by what they miss the truth by in simulation."""
TIMED_ERROR = 0.04
"""Of timed prefill seconds: how many prompts share a step of their own is not known."""
LEAST_GAPS = 5.0
"""Blocks with fewer sequence-steps say nothing of the gaps."""


class Equations:
    """What blocks tell, and what hypotheses predict of it: each law under each limit of prompt tokens per step.

    First come the equations whose logarithms are compared (inter-token seconds, a request's prefill), then those whose
    seconds are (busy, timed prefill). Arrays have the shape (hypotheses, equations), one law after the other.
    """

    def __init__(self, seen: Blocks, laws: Sequence[Law], limits: Sequence[float]) -> None:
        self._seen, self._laws, self.count = seen, laws, len(laws) * len(limits)
        self._steps = classify(seen, np.array(limits))
        with np.errstate(invalid="ignore"):
            self._gaps = np.flatnonzero((seen.gap_s > 0) & (seen.sequence_steps >= LEAST_GAPS))
            self._busy = np.flatnonzero(~np.isnan(seen.busy_s))
            # Where a step may carry both, nobody knows how much decoding the timed steps held.
            self._timed = np.flatnonzero((seen.prefill_s > 0) & (not seen.mixed))
        request = [] if seen.prefill_request_s is None else [seen.prefill_request_s]
        gap_s, busy_s, timed_s = seen.gap_s[self._gaps], seen.busy_s[self._busy], seen.prefill_s[self._timed]
        self.told_s = np.concatenate([gap_s, request, busy_s, timed_s])
        self._ratios = len(gap_s) + len(request)
        self._met = (seen.prefill_tokens * seen.met_batch)[self._gaps] / gap_s
        self._request_sd = np.full((self.count, len(request)), REQUEST_ERROR + seen.prefill_overlap)
        self._own = np.concatenate([(BUSY_ERROR * busy_s) ** 2, (TIMED_ERROR * timed_s) ** 2])
        self._read = np.concatenate([seen.busy_sd_s[self._busy] ** 2, np.zeros_like(timed_s)])
        # What is linear in the coefficients is computed once and for all.
        self._linear = self._seconds(Law.ADDITIVE, np.ones((len(limits), 6))) if Law.ADDITIVE in laws else None

    def every_other(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Of two hypotheses, which equations each is fitted to (those of every other block), and tested on."""
        request = np.full(self._request_sd.shape[1], -1)
        block = np.concatenate([self._gaps, request, self._busy, self._timed])
        fitted = (block % 2 == [[0], [1]]) | (block < 0)
        tested = ~fitted
        tested[:, len(block) - len(self._timed) :] = False
        return fitted, tested

    def deviations(self, logs: Array, fitted_blocks: float) -> Array:
        """The equations' standard deviations at log coefficients of shape (hypotheses, 6)."""
        temper = min(1.0, INDEPENDENT_BLOCKS / fitted_blocks)
        token_s = np.exp(logs[:, PREFILL, None])
        part = np.minimum(token_s * self._met, 1.0)
        gaps = np.sqrt((GAP_ERROR**2 + (MET_ERROR * part) ** 2) / temper)
        # A prefill that runs across a block's end is counted in the block in which it ends.
        edge_s = token_s * self._seen.lengths.prefill / 2
        seconds = np.sqrt(self._read + (self._own + edge_s**2) / temper)
        return np.concatenate([gaps, self._request_sd, seconds], axis=-1)

    def predicted(self, logs: Array) -> tuple[Array, Array]:
        """Seconds for log coefficients of shape (hypotheses, 6), and slopes of shape (hypotheses, 6, equations)."""
        parts = []
        for law, own in zip(self._laws, np.exp(logs).reshape(len(self._laws), -1, 6), strict=True):
            linear = law is Law.ADDITIVE and self._linear is not None
            parts.append(self._linear * own[..., None] if linear else self._seconds(law, own))
        slopes = np.concatenate(parts)
        return slopes.sum(axis=-2), slopes

    def standardised(self, seconds: Array, slopes: Array, sd: Array) -> tuple[Array, Array]:
        """Residuals in standard deviations, and their slopes."""
        first, rest = slice(self._ratios), slice(self._ratios, None)
        ratios = np.log(seconds[:, first] / self.told_s[first])
        apart = np.concatenate([ratios, seconds[:, rest] - self.told_s[rest]], axis=1)
        unit = np.concatenate([sd[:, first] * seconds[:, first], sd[:, rest]], axis=1)
        return apart / sd, slopes / unit[:, None]

    def _seconds(self, law: Law, values: Array) -> Array:
        """What one law predicts for coefficients of shape (limits, 6), by coefficient: (limits, 6, equations)."""
        taken = spent(law, values, self._seen, self._steps)
        rows = [taken.gaps[..., self._gaps], taken.busy[..., self._busy]]
        if self._seen.prefill_request_s is not None:
            rows.insert(1, one_prefill(law, values, self._seen, self._steps)[..., None])
        if len(self._timed):
            rows.append(taken.exclusive[..., self._timed])
        return np.concatenate(rows, axis=-1)


@dataclass(frozen=True, slots=True)
class Solved:
    """Of each hypothesis: log coefficients (shape (n, 6)), their covariance (n, 6, 6), and the cost (n,).

    The cost is the negative log posterior, by Laplace's approximation.
    """

    logs: Array
    covariance: Array
    cost: Array


def solve(equations: Equations, before: Prior, blocks: float) -> Solved:
    """The most likely coefficients under every hypothesis, from the prior's mean; `blocks` is how many are fitted."""
    logs = np.tile(before.mean, (equations.count, 1))
    logs, information, residuals = _descend(equations, before, logs, np.ones(len(equations.told_s), bool), blocks)
    covariance: Array = np.asarray(np.linalg.inv(information), dtype=np.float64)
    return Solved(logs, covariance, _misfit(residuals, before, logs) + np.linalg.slogdet(information)[1] / 2)


def _misfit(residuals: Array, before: Prior, logs: Array) -> Array:
    """Negative log likelihood (Cauchy's) and log prior, up to a constant."""
    own: Array = 2 * np.log1p((residuals / CAUCHY) ** 2).sum(axis=-1) + (before.residuals(logs) ** 2).sum(axis=-1) / 2
    return own


def held_out(law: Law, limit: float, logs: Array, seen: Blocks, before: Prior) -> float | None:
    """Median relative error on every other block after a fit to the rest, both ways round; begins at the whole fit."""
    equations = Equations(seen, (law,), (limit, limit))
    fitted, tested = equations.every_other()
    found, _, _ = _descend(equations, before, np.tile(logs, (2, 1)), fitted, len(seen) / 2)
    seconds, _ = equations.predicted(found)
    # An idle block's zero busy seconds have no relative error.
    known = equations.told_s > 0
    errors = np.abs(seconds / np.where(known, equations.told_s, 1.0) - 1)[tested & known]
    return float(np.median(errors)) if len(errors) else None


def _descend(
    equations: Equations, before: Prior, logs: Array, fitted: NDArray[np.bool_], blocks: float
) -> tuple[Array, Array, Array]:
    """The minimum, the information before the last step, and the residuals after it."""
    tie = before.rows.T @ before.rows
    information = np.tile(tie, (len(logs), 1, 1))
    sd = equations.deviations(logs, blocks)
    for _ in range(ITERATIONS):
        sd = equations.deviations(logs, blocks)
        residuals, slopes = equations.standardised(*equations.predicted(logs), sd)
        trusted = slopes * (fitted / np.sqrt(1 + (residuals / CAUCHY) ** 2))[:, None]
        information = trusted @ slopes.transpose(0, 2, 1) + tie
        gradient = trusted @ residuals[..., None] + ((logs - before.mean) @ tie)[..., None]
        step = np.linalg.solve(information, gradient)
        gain = (step * gradient).sum(axis=(-2, -1)) / 2
        misfit = _misfit(residuals, before, logs) - gain
        logs = logs - np.clip(step[..., 0], -STEP_LIMIT, STEP_LIMIT)
        if (gain * np.exp(np.minimum(misfit.min() - misfit, 0.0))).max() < ENOUGH:
            break
    residuals, _ = equations.standardised(*equations.predicted(logs), sd)
    return logs, information, residuals
