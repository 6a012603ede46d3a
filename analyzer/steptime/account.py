"""A step model applied to a span -> its shares of busy time and its coefficients, each with interval and evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analyzer.evidence import Estimate, Evidence, Missing
from analyzer.steptime.blocks import blocks
from analyzer.steptime.fit import Array, StepModel
from analyzer.steptime.laws import Law, Spent, classify, spent
from analyzer.steptime.parts import Part
from analyzer.steptime.prior import COEFFICIENTS, COMPUTE, KV, OVERHEAD, PREFILL, SEQUENCE, WEIGHTS

Z80 = 1.2816
"""Standard deviations from the median to P10 and P90 of a normal distribution."""
SHARE_ERROR = 0.003
COEFFICIENT_ERROR = 0.03
"""What the equations miss even where blocks agree with each other: shares absolute, coefficients relative."""
IDENTIFIED_SD = 0.036
NARROWED = 0.5
_NUDGE = 1e-3

SHARES = ("marginal", "exclusive", "memory", "weight_read", "kv_read", "decode_compute", "prefill", "overhead")
NEGLIGIBLE = 1e-4
"""Hypotheses of less weight are left out."""


@dataclass(frozen=True, slots=True)
class Coefficient:
    """One coefficient of the step time in seconds; `identified`: live data, not the prior, decides it."""

    estimate: Estimate
    identified: bool


@dataclass(frozen=True, slots=True)
class Share:
    """A share of busy time with its standard deviation."""

    value: float
    sd: float


@dataclass(frozen=True, slots=True)
class SpanShares:
    """What a span's busy time went to, and how long the model says that it was."""

    shares: Mapping[str, Share]
    busy_s: float
    covered_s: float


def shares(model: StepModel, parts: Sequence[Part]) -> SpanShares | Missing:
    """The shares of a span of the model's own epoch, given in parts within which the load may swing."""
    seen = blocks(parts, mixed=model.seen.mixed, pair_ratio=model.pair_ratio)
    if isinstance(seen, Missing):
        return seen
    found: list[tuple[float, Array, Array, float]] = []
    for one in model.hypotheses:
        if one.weight < NEGLIGIBLE:
            continue
        steps = classify(seen, one.chunk_tokens)
        nudged = np.vstack([one.logs, one.logs + _NUDGE * np.eye(6)])
        taken = spent(one.law, nudged, seen, steps)
        values = _shares(taken)
        slopes = (values[1:] - values[0]) / _NUDGE
        variance = np.einsum("ik,ij,jk->k", slopes, one.covariance, slopes)
        found.append((one.weight, values[0], variance, float(taken.busy[0].sum())))
    total = sum(weight for weight, *_ in found)
    mixed = {
        name: _mixed([(weight / total, values[index], variance[index]) for weight, values, variance, _ in found])
        for index, name in enumerate(SHARES)
    }
    return SpanShares(
        mixed, sum(weight / total * busy_s for weight, _, _, busy_s in found), float(seen.covered_s.sum())
    )


def _shares(taken: Spent) -> Array:
    """Shape (..., len(SHARES))."""
    busy = taken.busy.sum(axis=-1)
    cuts = (
        *(taken.marginal_prefill, taken.exclusive_prefill, taken.memory),
        *(taken.weight_read, taken.kv_read, taken.decode_compute, taken.prefill, taken.overhead),
    )
    return np.stack([cut.sum(axis=-1) / busy for cut in cuts], axis=-1)


def _mixed(parts: list[tuple[float, float, float]]) -> Share:
    """Mean and standard deviation of a mixture given as (weight, mean, variance), the weights adding up to 1."""
    mean = sum(weight * value for weight, value, _ in parts)
    variance = sum(weight * (spread + (value - mean) ** 2) for weight, value, spread in parts)
    return Share(float(mean), float(np.sqrt(variance + SHARE_ERROR**2)))


COMPONENTS_OF: Mapping[str, tuple[int, ...]] = {
    "step_s": (WEIGHTS, OVERHEAD),
    "sequence_s": (COMPUTE, SEQUENCE),
    "kv_token_s": (KV,),
    "prefill_token_s": (PREFILL,),
}
"""a, b, g and d of `step = a + b * batch + g * KV tokens + d * prefill tokens`."""


def coefficients(model: StepModel) -> Mapping[str, Coefficient]:
    """a, b, g and d by the names `step_s`, `sequence_s`, `kv_token_s`, `prefill_token_s`."""
    return {name: coefficient(model, name) for name in COMPONENTS_OF}


def coefficient(model: StepModel, name: str) -> Coefficient:
    """One of them. Raises KeyError for another name."""
    indices = COMPONENTS_OF[name]
    parts = []
    for one in model.hypotheses:
        values = np.exp(one.logs)
        slope = np.zeros(6)
        slope[list(indices)] = values[list(indices)]
        parts.append((one.weight, float(values[list(indices)].sum()), float(slope @ one.covariance @ slope)))
    mean = sum(weight * value for weight, value, _ in parts)
    variance = sum(weight * (spread + (value - mean) ** 2) for weight, value, spread in parts)
    sd = float(np.sqrt(variance)) / mean
    before = np.exp(model.prior.mean[list(indices)])
    prior_sd = float(np.sqrt(((before * model.prior.sd[list(indices)]) ** 2).sum())) / float(before.sum())
    whole_sd = float(np.hypot(sd, COEFFICIENT_ERROR))
    identified = whole_sd <= IDENTIFIED_SD and sd <= NARROWED * prior_sd
    spread = float(np.exp(Z80 * whole_sd))
    evidence = Evidence.FITTED if identified else Evidence.MODELLED
    return Coefficient(Estimate(mean, mean / spread, mean * spread, evidence, "step_time_fit"), identified)


@dataclass(frozen=True, slots=True)
class StepTime:
    """A step model in plain figures: `step = a + b * batch + g * KV tokens + d * prefill tokens`, all in seconds.

    `parts` are a's and b's halves, which a roofline tells apart and no counter; `overlapped` is the posterior weight
    of the law by which arithmetic hides behind bytes moved. `held_out_error` is relative, None with too few blocks.
    """

    coefficients: Mapping[str, Coefficient]
    parts: Mapping[str, float] | Missing
    overlapped: float
    held_out_error: float | None
    covered_s: float
    blocks: int


def step_time(model: StepModel) -> StepTime:
    """The model's figures for a report."""
    parts: Mapping[str, float] | Missing
    if model.unsplit is not None:
        parts = model.unsplit
    else:
        values = np.sum([one.weight * np.exp(one.logs) for one in model.hypotheses], axis=0)
        parts = {name: float(value) for name, value in zip(COEFFICIENTS, values, strict=True)}
    return StepTime(
        coefficients(model),
        parts,
        model.weight_of(Law.OVERLAPPED),
        model.held_out_error,
        model.covered_s,
        len(model.seen),
    )


def interval(share: Share) -> tuple[float, float, float]:
    """P50, P10 and P90 of a share, within 0 and 1."""
    ends = (share.value, share.value - Z80 * share.sd, share.value + Z80 * share.sd)
    value, low, high = (min(1.0, max(0.0, end)) for end in ends)
    return value, low, high
