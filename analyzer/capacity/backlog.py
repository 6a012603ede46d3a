"""Prompt tokens that steps carry: a queue in tokens, of which each step computes at most its budget.

The longer a step, the more arrives during it, and what does not fit into one step is left to the next. So long steps
come in runs: steps are a Markov chain over the tokens that wait when one begins, with a compound Poisson number coming
meanwhile. Its stationary distribution is found by letting it run.
"""

from __future__ import annotations

import numpy as np

from analyzer.capacity.costs import Array, Costs
from analyzer.capacity.load import Load, chunks
from analyzer.capacity.mix import Limits, Mix

CELLS = 32
"""Token counts that stand for those of steps with prompts; fewer where prompts take many steps, nearly all full."""
GRID = 256
"""Token counts that may wait."""
MOST_STEPS, SETTLED = 400, 3e-4
"""The chain runs from an empty queue until a step moves no more than this share; capacities err by 0.1 % for it."""


def carried(costs: Costs, mix: Mix, limits: Limits, at: Load, step_s: Array) -> tuple[Array, Array]:
    """Prompt tokens of steps that carry some, and the share of all steps that are of each kind; both (k, m).

    `step_s` (k, 1) is the mean step. Where prompts have steps of their own, the tokens are those that come between two
    steps of a sequence.
    """
    batch = np.minimum(at.batch, at.seats)
    cut = chunks(mix, limits, batch)
    if not mix.mixed:
        return _between((cut.count - 1) * cut.full + cut.rest, at.rate_per_s * step_s)
    own = np.broadcast_to(np.array(mix.prompts) * np.array(mix.prompt_weights), cut.rest.shape)
    budget = cut.full.mean(axis=1, keepdims=True)
    full = np.minimum(budget, _most(own, at.rate_per_s * step_s))
    cells = int(np.clip(GRID / 2 * (full / own.max(axis=1, keepdims=True)).min(), 1, CELLS))
    tokens = np.arange(cells + 1) * full / cells
    arriving = at.rate_per_s * costs.step_s(batch, mix.context_tokens, tokens)
    shares = _stationary(_on_grid(own, full / cells, GRID), arriving)
    more = arriving * own.mean(axis=1, keepdims=True) - tokens
    shares = _all_computed(shares, more)
    return tokens[:, 1:], shares[:, 1:]


def _stationary(one: Array, arriving: Array) -> Array:
    """Shares of steps that begin with 0, 1, 2 ... or at least the last number of cells waiting; (k, m) as `arriving`.

    `one` is the distribution of a prompt's cells (k, n), `arriving` how many prompts come during a step of each kind.
    """
    count, full = one.shape[1], arriving.shape[1] - 1
    turned = (np.fft.rfft(one, 2 * count, axis=1) - 1).astype(np.complex64)
    coming = np.exp(arriving[..., None].astype(np.float32) * turned[:, None])
    come = np.maximum(np.fft.irfft(coming[:, :full], 2 * count, axis=2)[..., :count], 0.0)
    waiting = np.zeros_like(one)
    waiting[:, 0] = 1.0
    for _ in range(MOST_STEPS):
        beyond = np.fft.rfft(waiting[:, full:], 2 * count, axis=1) * coming[:, full]
        left = np.fft.irfft(beyond, 2 * count, axis=1)[:, :count]
        then = np.maximum((waiting[:, None, :full] @ come)[:, 0] + left, 0.0)
        # What would wait beyond the grid is shared out among what waits on it.
        then /= then.sum(axis=1, keepdims=True)
        moved = float(np.abs(then - waiting).sum(axis=1).max())
        waiting = then
        if moved <= SETTLED:
            break
    return np.concatenate([waiting[:, :full], waiting[:, full:].sum(axis=1, keepdims=True)], axis=1)


def _all_computed(shares: Array, more: Array) -> Array:
    """With as many more full steps as compute all that comes: those of a queue longer than the grid are missing.

    `more` is how many more tokens come during a step of each kind than it computes; they sum to none.
    """
    left = (shares * more).sum(axis=1, keepdims=True)
    missing = np.clip(left / np.maximum(left - more[:, -1:], 1e-9), 0.0, 1.0)
    whole: Array = shares * (1 - missing)
    whole[:, -1:] += missing
    return whole


def _between(own: Array, arriving: Array) -> tuple[Array, Array]:
    """Tokens of a Poisson number of prompts, at least one, and how likely each is (k, n)."""
    count = 2 * CELLS
    cell = _most(own, arriving) / (count - 1)
    turned = np.fft.fft(_on_grid(own, cell, count), 2 * count, axis=1)
    found = np.maximum(np.fft.ifft(np.expm1(arriving * turned), axis=1).real[:, :count], 0.0)
    found /= found.sum(axis=1, keepdims=True)
    return np.arange(count) * cell, found * -np.expm1(-arriving)


def _most(own: Array, arriving: Array) -> Array:
    """Tokens that a step's arrivals seldom exceed (k, 1): the largest prompt beside four standard deviations more."""
    mean, square = own.mean(axis=1, keepdims=True), (own**2).mean(axis=1, keepdims=True)
    return np.asarray(own.max(axis=1, keepdims=True) + arriving * mean + 4 * np.sqrt(arriving * square))


def _on_grid(own: Array, cell: Array, count: int) -> Array:
    """Equally likely prompts (k, q) as a distribution over cells (k, count), of the same mean if they fit."""
    place = np.minimum(own / cell, count - 1)
    below = np.minimum(place.astype(int), count - 2)
    mass = np.zeros((len(own), count))
    rows = np.arange(len(own))[:, None]
    np.add.at(mass, (rows, below), (1 - (place - below)) / own.shape[1])
    np.add.at(mass, (rows, below + 1), (place - below) / own.shape[1])
    return mass
