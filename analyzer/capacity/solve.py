"""The largest rate at which a replica is stable and keeps its objectives, of k draws at once, by bisection."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analyzer.capacity.costs import Array, Costs
from analyzer.capacity.gaps import Gaps
from analyzer.capacity.load import crowded, load, prompt_s, seats, serving_s
from analyzer.capacity.mix import Limits, Mix
from analyzer.capacity.waiting import Waits
from analyzer.objectives import Objectives

HALVINGS = 24
ENOUGH = 2e-4
"""Relative width at which the search ends."""


def stability_limit(costs: Costs, mix: Mix, limits: Limits) -> Array:
    """Requests a second beyond which the queue grows without end (k, 1).

    With every seat taken: decode steps of the whole batch in the time that prompts leave. And the steps that prompts
    need to be computed in, full of their tokens, must not take longer than there is time.
    """
    most = np.full((len(costs), 1), seats(mix, limits))
    low = np.zeros_like(most)
    high = most / (mix.sequence_steps * costs.step_s(most, mix.context_tokens))
    for _ in range(HALVINGS * 2):
        rate = (low + high) / 2
        base = rate * costs.step_s(most, mix.context_tokens)
        together = np.maximum(1.0, base / -np.expm1(-np.maximum(base, 1e-9)))
        added, lasts, _ = prompt_s(costs, mix, limits, most, together)
        held = np.clip(most - rate * lasts, np.minimum(0.5, most / 2), most)
        others = np.maximum(held - 1, 0) / held if mix.mixed else 1.0
        left = 1 - rate * added * others
        served = held * left / (mix.sequence_steps * costs.step_s(held, mix.context_tokens))
        kept = (served > rate) & (left > 0)
        if mix.mixed:
            batch = crowded(costs, mix, limits, rate, held)
            kept &= rate * serving_s(costs, mix, limits, batch).mean(axis=1, keepdims=True) < 1
        low, high = np.where(kept, rate, low), np.where(kept, high, rate)
    return low


def capacity_per_s(costs: Costs, mix: Mix, limits: Limits, objectives: Objectives) -> Array:
    """Requests a second of a replica (k, 1): 0 where even a nearly idle one misses an objective.

    Where no objective bounds the time to first token, the stated share of the stability limit does.
    """
    limit = stability_limit(costs, mix, limits)
    if objectives.first_token is None:
        limit = objectives.utilisation * limit
    if not objectives.any:
        return limit
    low, high = np.zeros_like(limit), limit
    for _ in range(HALVINGS):
        rate = (low + high) / 2
        kept = keeps(costs, mix, limits, objectives, rate)
        low, high = np.where(kept, rate, low), np.where(kept, high, rate)
        if float((high - low).max()) <= ENOUGH * float(limit.min()):
            break
    # What is kept at the limit itself is not searched for any more.
    return np.where(keeps(costs, mix, limits, objectives, limit), limit, low)


def keeps(costs: Costs, mix: Mix, limits: Limits, objectives: Objectives, rate_per_s: Array) -> NDArray[np.bool_]:
    """Whether each draw keeps every objective at its rate (k, 1)."""
    at = load(costs, mix, limits, rate_per_s)
    kept = at.stable
    if objectives.token_gap is not None:
        one = objectives.token_gap
        kept = kept & (Gaps(costs, mix, limits, at).within(one.seconds) >= one.share)
    if objectives.first_token is not None:
        one = objectives.first_token
        waits = Waits(costs, mix, limits, at, 1.01 * one.seconds)
        kept = kept & ~waits.overloaded & (waits.within(one.seconds) >= one.share)
    return kept
