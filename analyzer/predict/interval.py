"""How far published measurements fell from the prediction: the half-widths of the 80 % interval, in logarithms.

From predictions of sources that the constants were not fitted to (leave one source out): the 80th percentile of the
absolute log error by what was measured, each source with the square root of its rows as weight. A prediction far from
1 errs more, so that the width grows with the distance.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import exp, log

from analyzer.evidence import Estimate, Evidence


class Regime(StrEnum):
    """What a prediction is about; each errs by its own width."""

    DECODE = "decode"
    PREFILL = "prefill"
    MIXED = "mixed"


@dataclass(frozen=True, slots=True)
class Widths:
    """Half-widths of a prediction of 1 by regime, and what each unit of its absolute logarithm adds."""

    decode: float
    prefill: float
    mixed: float
    slope: float

    def of(self, regime: Regime, log_speedup: float) -> float:
        """Half-width in logarithms at a predicted log speed-up."""
        base = {Regime.DECODE: self.decode, Regime.PREFILL: self.prefill, Regime.MIXED: self.mixed}[regime]
        return base + self.slope * abs(log_speedup)


CALIBRATED = Widths(decode=0.085, prefill=0.170, mixed=0.125, slope=0.04)
UNCALIBRATED = Widths(decode=0.100, prefill=0.160, mixed=0.125, slope=0.06)
CPU = Widths(decode=0.25, prefill=0.25, mixed=0.25, slope=0.04)
"""llama.cpp on a CPU, where kernels differ by the number of sequences too: of thirty loads on three measured sets of
kernels (captures and live runs), eight in ten fell within this."""
STAND_IN_RATIO = 1.3
"""Wider where the model's shape, or the kernels of a CPU, are another's; set by hand."""


def estimate(
    speedup: float, regime: Regime, evidence: Evidence, widths: Widths, method: str, widening: float = 1.0
) -> Estimate:
    """The speed-up with its 80 % interval."""
    half = widths.of(regime, log(speedup)) * widening
    return Estimate(speedup, speedup * exp(-half), speedup * exp(half), evidence, method)
