"""Gaps between a sequence's tokens under a load: their mean, and the share of them within a limit.

A gap is the step that gave the token. It either decodes only, or carries prompt tokens as well (`backlog`); both are
taken over the batches that tokens meet. Contexts make steps of one batch differ a little.
"""

from __future__ import annotations

import numpy as np

from analyzer.capacity.backlog import carried
from analyzer.capacity.costs import Array, Costs
from analyzer.capacity.load import Load
from analyzer.capacity.mix import Limits, Mix
from analyzer.normal import below

CONTEXT_SPREAD = 0.6
"""Standard deviation of one sequence's context over its mean, about: lengths differ, and outputs grow."""
BATCH_POINTS = 32
HALVINGS = 16


def mean_gap_s(mix: Mix, at: Load) -> Array:
    """Mean seconds between two steps of a sequence (k, 1): by Little's law, batch over sequence-steps a second."""
    return at.batch / (at.rate_per_s * mix.sequence_steps)


class Gaps:
    """The distribution of gaps of k draws under a load."""

    def __init__(self, costs: Costs, mix: Mix, limits: Limits, at: Load) -> None:
        met = at.shares[:, 1:] * at.batches[:, 1:] / at.step_s[:, 1:]
        met = met / met.sum(axis=1, keepdims=True)
        batches, self._weights = _thinned(at.batches[:, 1:], met)
        self._base = costs.step_s(batches, mix.context_tokens)
        spread = costs.kv_token_s * mix.context_tokens * CONTEXT_SPREAD * np.sqrt(batches)
        self._sd = spread + 1e-3 * self._base
        step_s = (met * at.step_s[:, 1:]).sum(axis=1, keepdims=True)
        tokens, shares = carried(costs, mix, limits, at, step_s)
        share = shares.sum(axis=1, keepdims=True)
        self._chunks = shares / share
        self._carrying = _seconds(costs, mix, batches, tokens, self._base)
        self._share = np.minimum(1.0, share * at.met)

    def within(self, limit_s: Array | float) -> Array:
        """Share of gaps of at most `limit_s` (k, 1)."""
        limit = np.broadcast_to(np.asarray(limit_s, dtype=np.float64), self._share.shape)
        decode = below((limit - self._base) / self._sd)
        shares = below((limit[..., None] - self._carrying) / self._sd[..., None])
        carrying = (shares * self._chunks[:, None]).sum(axis=2)
        mixed = decode * (1 - self._share) + carrying * self._share
        return np.asarray((mixed * self._weights).sum(axis=1, keepdims=True))

    def percentile_s(self, share: float) -> Array:
        """The gap that `share` of all gaps do not exceed (k, 1)."""
        low = np.zeros_like(self._share)
        high = 2 * np.maximum(self._base.max(axis=1), self._carrying.max(axis=(1, 2)))[:, None]
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            enough = self.within(middle) >= share
            low, high = np.where(enough, low, middle), np.where(enough, middle, high)
        return np.asarray(high)


def _seconds(costs: Costs, mix: Mix, batches: Array, tokens: Array, base: Array) -> Array:
    """Seconds of gaps with so many prompt tokens in them (k, n, m)."""
    shape = (*batches.shape, tokens.shape[1])
    flat = np.broadcast_to(tokens[:, None], shape).reshape(len(tokens), -1)
    if mix.mixed:
        wide = np.repeat(batches, tokens.shape[1], axis=1)
        return costs.step_s(wide, mix.context_tokens, flat).reshape(shape)
    # A sequence sits out the prompts that come in between: its gap holds their steps and its own.
    return costs.step_s(0.0, mix.context_tokens, flat).reshape(shape) + base[..., None]


def _thinned(batches: Array, weights: Array) -> tuple[Array, Array]:
    """At most `BATCH_POINTS` batches per draw that stand for all, each for its part of the weight: (k, n) twice."""
    if batches.shape[1] <= BATCH_POINTS:
        return batches, weights
    edges = np.cumsum(weights, axis=1)
    wanted = (np.arange(BATCH_POINTS) + 0.5) / BATCH_POINTS
    found = np.stack([np.interp(wanted, row, own) for row, own in zip(edges, batches, strict=True)])
    return found, np.full(found.shape, 1 / BATCH_POINTS)
