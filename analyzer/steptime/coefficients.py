"""Fitted hypotheses -> a, b, g and d of a step's cost with interval, evidence and whether live data decide them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import starmap
from math import exp, hypot

import numpy as np

from analyzer.evidence import Estimate, Evidence
from analyzer.folded import Folded
from analyzer.steptime.equations import Array
from analyzer.steptime.prior import COEFFICIENTS, COMPUTE, KV, OVERHEAD, PREFILL, SEQUENCE, WEIGHTS, Prior

Z80 = 1.2816
"""Standard deviations from the median to P10 and P90 of a normal distribution."""
COEFFICIENT_ERROR = 0.03
"""What the equations miss even where blocks agree with each other, relative."""
IDENTIFIED_SD = 0.036
NARROWED = 0.5

COMPONENTS_OF: Mapping[str, tuple[int, ...]] = {
    "step_s": (WEIGHTS, OVERHEAD),
    "sequence_s": (COMPUTE, SEQUENCE),
    "kv_token_s": (KV,),
    "prefill_token_s": (PREFILL,),
}
"""a, b, g and d of `step = a + b * batch + g * KV tokens + d * prefill tokens`."""
_CHOSEN = np.array([np.isin(range(len(COEFFICIENTS)), one) for one in COMPONENTS_OF.values()], dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Coefficient:
    """One coefficient of the step time in seconds; `identified`: live data, not the prior, decides it."""

    estimate: Estimate
    identified: bool


def coefficients(weights: Array, logs: Array, covariances: Array, before: Prior) -> Mapping[str, Coefficient]:
    """a, b, g and d by the names in `COMPONENTS_OF`.

    `weights` (shape (h,)) are the hypotheses' and sum to 1; log coefficients (h, 6) have `covariances` (h, 6, 6).
    """
    slopes = np.exp(logs)[:, None] * _CHOSEN
    values = slopes.sum(axis=-1)
    means = weights @ values
    own = (slopes @ covariances * slopes).sum(axis=-1)
    spreads = np.sqrt(weights @ (own + (values - means) ** 2)) / means
    _, prior_sds = foretold(before)
    figures = zip(means.tolist(), spreads.tolist(), prior_sds.tolist(), strict=True)
    return Folded(dict(zip(COMPONENTS_OF, starmap(_coefficient, figures), strict=True)))


def foretold(before: Prior) -> tuple[Array, Array]:
    """What the prior says of a, b, g and d: seconds, and relative standard deviations (each of shape (4,))."""
    halves_s = np.exp(before.mean) * _CHOSEN
    values_s = halves_s.sum(axis=-1)
    return values_s, np.sqrt(((halves_s * before.sd) ** 2).sum(axis=-1)) / values_s


def _coefficient(mean: float, sd: float, prior_sd: float) -> Coefficient:
    whole_sd = hypot(sd, COEFFICIENT_ERROR)
    identified = whole_sd <= IDENTIFIED_SD and sd <= NARROWED * prior_sd
    spread = exp(Z80 * whole_sd)
    evidence = Evidence.FITTED if identified else Evidence.MODELLED
    return Coefficient(Estimate(mean, mean / spread, mean * spread, evidence, "step_time_fit"), identified)
