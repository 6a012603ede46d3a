"""A fitted step model as it would be on other GPUs: what was measured, scaled by the data sheets' rates."""

from __future__ import annotations

from dataclasses import replace
from math import log

import numpy as np

from analyzer.hardware import Hardware
from analyzer.steptime.coefficients import coefficients
from analyzer.steptime.fit import StepModel
from analyzer.steptime.prior import COMPUTE, KV, OVERHEAD, PREFILL, SEQUENCE, WEIGHTS, prior

RATE_SD = 0.12
"""Doubt of a ratio of data sheets: kernels reach another share of another GPU's peak (as the prior's own doubt, less
what one engine's kernels have in common)."""
HOST_SD = 0.3
"""Doubt of launches and host work on another machine, and with other collectives."""


def moved(model: StepModel, before: Hardware, after: Hardware) -> StepModel:
    """The model on `after`: reads scaled by bandwidth, arithmetic by the rate of 16-bit products, overhead as it is.

    Its coefficients are no longer decided by live data: their doubt grows by that of the scaling.
    """
    shift, sd = np.zeros(6), np.zeros((3, 6))
    shift[[WEIGHTS, KV]] = log(before.bandwidth_bytes_per_s / after.bandwidth_bytes_per_s)
    shift[[COMPUTE, PREFILL]] = log(before.flops_per_s / after.flops_per_s)
    sd[0, [WEIGHTS, KV]] = sd[1, [COMPUTE, PREFILL]] = RATE_SD
    sd[2, [OVERHEAD, SEQUENCE]] = HOST_SD
    doubt = sd.T @ sd
    hypotheses = model.hypotheses.shifted(shift, doubt)
    own = prior(after, model.seen)
    told = coefficients(hypotheses.weights, hypotheses.logs, hypotheses.covariances, own)
    return replace(model, hypotheses=hypotheses, prior=own, coefficients=told, held_out_error=None)
