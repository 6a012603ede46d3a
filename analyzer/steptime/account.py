"""A step model applied to a span -> its shares of busy time and its coefficients, each with interval and evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analyzer.evidence import Missing
from analyzer.steptime.blocks import Blocks, blocks
from analyzer.steptime.coefficients import Z80, Coefficient
from analyzer.steptime.fit import StepModel
from analyzer.steptime.laws import Array, Law, Steps, classify, spent
from analyzer.steptime.parts import Part
from analyzer.steptime.prior import COEFFICIENTS, COMPUTE, KV, OVERHEAD, PREFILL, SEQUENCE, WEIGHTS

SHARE_ERROR = 0.003
"""What the equations miss even where blocks agree with each other, absolute."""
_NUDGE = 1e-3

SHARES = ("marginal", "exclusive", "memory", "weight_read", "kv_read", "decode_compute", "prefill", "overhead")
_CUTS = np.array(
    [
        np.isin(range(6), chosen)
        for chosen in ((WEIGHTS, KV), (WEIGHTS,), (KV,), (COMPUTE,), (PREFILL,), (OVERHEAD, SEQUENCE))
    ],
    dtype=np.float64,
).T
"""Of the shares from the third on, the coefficients whose seconds they are (shape (6, 6))."""
NEGLIGIBLE = 1e-4
"""Hypotheses of less weight are left out."""


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
    every = model.hypotheses
    likely = [number for number, weight in enumerate(every.weights.tolist()) if weight >= NEGLIGIBLE]
    steps = classify(seen, np.array([[every.chunk_tokens[number]] for number in likely]))
    logs = every.logs[likely]
    values, busy_s = np.empty((len(likely), len(SHARES))), np.empty(len(likely))
    slopes = np.empty((*logs.shape, len(SHARES)))
    for law in Law:
        mine = [place for place, number in enumerate(likely) if every.laws[number] is law]
        if mine:
            values[mine], slopes[mine], busy_s[mine] = _shares(law, logs[mine], seen, steps.under(mine))
    variance = (slopes * (every.covariances[likely] @ slopes)).sum(axis=1)
    weights = every.weights[likely]
    weights /= weights.sum()
    mean = weights @ values
    # Of a mixture: the variance within its parts and that between them.
    sd = np.sqrt(weights @ (variance + (values - mean) ** 2) + SHARE_ERROR**2)
    mixed = {name: Share(*figures) for name, *figures in zip(SHARES, mean.tolist(), sd.tolist(), strict=True)}
    return SpanShares(mixed, float(weights @ busy_s), float(seen.covered_s.sum()))


def _shares(law: Law, logs: Array, seen: Blocks, steps: Steps) -> tuple[Array, Array, Array]:
    """Shares at log coefficients of shape (h, 6), their slopes (h, 6, len(SHARES)), and busy seconds (h,)."""
    if law is Law.ADDITIVE:
        # Every part is in proportion to its coefficient.
        taken = spent(law, np.exp(logs[:, None]), seen, steps)
        parts, marginal, exclusive = (cut[:, 0].sum(axis=-1) for cut in (taken.busy, taken.marginal, taken.exclusive))
        busy_s = parts.sum(axis=-1)
        cuts = np.concatenate([np.stack([marginal, exclusive], axis=-1), parts[..., None] * _CUTS], axis=-1)
        values = cuts.sum(axis=1) / busy_s[:, None]
        return values, (cuts - parts[..., None] * values[:, None]) / busy_s[:, None, None], busy_s
    nudged = np.exp(logs[:, None] + np.vstack([np.zeros(6), _NUDGE * np.eye(6)]))
    taken = spent(law, nudged, seen, steps)
    parts = taken.busy.sum(axis=-1)
    whole = parts.sum(axis=-1)
    marginal, exclusive = (cut.sum(axis=(-2, -1)) for cut in (taken.marginal, taken.exclusive))
    cuts = np.concatenate([np.stack([marginal, exclusive], axis=-1), parts @ _CUTS], axis=-1)
    values = cuts / whole[..., None]
    return values[:, 0], (values[:, 1:] - values[:, :1]) / _NUDGE, whole[:, 0]


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
        parts = dict(zip(COEFFICIENTS, model.hypotheses.mean.tolist(), strict=True))
    return StepTime(
        model.coefficients,
        parts,
        model.weight_of(Law.OVERLAPPED),
        model.held_out_error,
        model.covered_s,
        model.seen.blocks,
    )


def interval(share: Share) -> tuple[float, float, float]:
    """P50, P10 and P90 of a share, within 0 and 1."""
    ends = (share.value, share.value - Z80 * share.sd, share.value + Z80 * share.sd)
    value, low, high = (min(1.0, max(0.0, end)) for end in ends)
    return value, low, high
