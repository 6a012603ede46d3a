"""Gaps between a sequence's tokens under a load: their mean, and the share of them within a limit.

A gap is the step that gave the token. It either decodes only, or carries prompt chunks as well; both are taken over
the batches that tokens meet. Chunks of long prompts have steps of their own; as many short prompts share a step as
arrive during one. Contexts make steps of one batch differ a little.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analyzer.capacity.costs import Array, Costs
from analyzer.capacity.load import Load, chunks
from analyzer.capacity.mix import Limits, Mix
from analyzer.normal import below

CONTEXT_SPREAD = 0.6
"""Standard deviation of one sequence's context over its mean, about: lengths differ, and outputs grow."""
BATCH_POINTS = 32
CELLS = 64
"""Token counts that stand for those of steps with short prompts."""
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
        tokens, steps = _carried(mix, limits, at, step_s)
        self._chunks = steps / steps.sum(axis=1, keepdims=True)
        self._carrying = _seconds(costs, mix, batches, tokens, self._base)
        share = at.rate_per_s * step_s * steps.sum(axis=1, keepdims=True) * at.met
        self._share = np.minimum(1.0, share)

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


def _carried(mix: Mix, limits: Limits, at: Load, step_s: Array) -> tuple[Array, Array]:
    """Prompt tokens of steps that carry some, and how many such steps there are per request; both (k, m)."""
    cut = chunks(mix, limits, np.minimum(at.batch, at.seats))
    each = 1 / cut.count.shape[1]
    long = np.asarray((cut.count > 1) & mix.mixed, dtype=np.bool_)
    tokens = [cut.full, cut.rest] if long.any() else []
    steps = [np.where(long, cut.count - 1, 0) * each, np.where(long, each, 0.0)] if long.any() else []
    short = ~long
    if short.any():
        share = short.mean(axis=1, keepdims=True)
        arriving = np.maximum(at.rate_per_s * share * step_s, 1e-9)
        own = cut.rest if mix.mixed else (cut.count - 1) * cut.full + cut.rest
        most = cut.full.mean(axis=1, keepdims=True) if mix.mixed else np.inf
        found, likely = _together(own, short, arriving, most)
        tokens.append(found)
        steps.append(likely * share * -np.expm1(-arriving) / arriving)
    return np.concatenate(tokens, axis=1), np.concatenate(steps, axis=1)


def _together(own: Array, short: NDArray[np.bool_], arriving: Array, most: Array | float) -> tuple[Array, Array]:
    """Token counts of a Poisson number of short prompts, at least one (k, CELLS), and how likely each is.

    A draw without any short prompt has no likely count.
    """
    count = np.maximum(short.sum(axis=1, keepdims=True), 1)
    tokens = np.where(short, own, 0.0)
    mean = tokens.sum(axis=1, keepdims=True) / count
    square = (tokens**2).sum(axis=1, keepdims=True) / count
    top = tokens.max(axis=1, keepdims=True) + arriving * mean + 4 * np.sqrt(arriving * square)
    cell = np.where(top > 0, top, 1.0) / (CELLS - 1)
    place = tokens / cell
    below = np.minimum(place.astype(int), CELLS - 2)
    mass = np.zeros((len(own), 2 * CELLS))
    rows = np.broadcast_to(np.arange(len(own))[:, None], own.shape)
    np.add.at(mass, (rows, below), np.where(short, 1 - (place - below), 0.0) / count)
    np.add.at(mass, (rows, below + 1), np.where(short, place - below, 0.0) / count)
    turned = np.fft.fft(mass, axis=1)
    found = np.fft.ifft(np.expm1(arriving * turned) / np.expm1(arriving), axis=1).real[:, :CELLS]
    found = np.maximum(found, 0.0)
    whole = found.sum(axis=1, keepdims=True)
    return np.minimum(np.arange(CELLS) * cell, most), found / np.where(whole > 0, whole, 1.0)


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
