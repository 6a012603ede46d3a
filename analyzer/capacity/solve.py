"""The largest rate at which a replica is stable and keeps its objectives, of k draws at once, by bisection."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from analyzer.capacity.costs import Array, Costs
from analyzer.capacity.gaps import Gaps
from analyzer.capacity.load import crowded, load, others_at_full, prompt_s, rooms, serving_s
from analyzer.capacity.mix import Limits, Mix
from analyzer.capacity.waiting import Waits
from analyzer.objectives import Objectives

HALVINGS = 24
ENOUGH = 5e-4
"""Relative width at which the search ends."""
TINY = 1e-12


def stability_limit(costs: Costs, mix: Mix, limits: Limits) -> Array:
    """Requests a second beyond which the queue grows without end (k, 1).

    With every seat taken: decode steps of the whole batch in the time that prompts leave. And the steps that prompts
    need to be computed in, full of their tokens, must not take longer than there is time.
    """
    space = rooms(mix, limits)
    most = np.broadcast_to(space.mean, (len(costs), 1))
    low = np.zeros_like(most)
    high = most / (mix.sequence_steps * costs.step_s(most, mix.context_tokens))
    for _ in range(HALVINGS):
        rate = (low + high) / 2
        base = rate * costs.step_s(most, mix.context_tokens)
        together = np.maximum(1.0, base / -np.expm1(-np.maximum(base, 1e-9)))
        added, lasts, _ = prompt_s(costs, mix, limits, most, together)
        held = np.clip(most - rate * lasts, np.minimum(0.5, most / 2), most)
        left = 1 - rate * added * others_at_full(most, held, space.again)
        served = held * left / (mix.sequence_steps * costs.step_s(held, mix.context_tokens))
        kept = (served > rate) & (left > 0)
        if mix.mixed:
            batch = crowded(costs, mix, limits, rate, held)
            kept &= rate * serving_s(costs, mix, limits, batch).mean(axis=1, keepdims=True) < 1
        low, high = np.where(kept, rate, low), np.where(kept, high, rate)
    return low


@dataclass(frozen=True, slots=True)
class Found:
    """Of k draws, each (k, 1): requests a second within the objectives, and where the queue would grow without end.

    `binding` has the objective that the least more load breaks, `utilisation`, or `unreachable` at a capacity of 0.
    """

    capacity_per_s: Array
    stability_per_s: Array
    binding: NDArray[np.str_]


def find(costs: Costs, mix: Mix, limits: Limits, objectives: Objectives) -> Found:
    """The capacity of each draw: 0 where even a nearly idle replica misses an objective.

    Where no objective bounds the time to first token, the stated share of the stability limit does.
    """
    limits = replace(limits, rooms=rooms(mix, limits))
    stable = stability_limit(costs, mix, limits)
    limit = stable if objectives.first_token is not None else objectives.utilisation * stable
    if not objectives.any:
        return Found(limit, stable, np.full(limit.shape, "utilisation"))
    low, high = np.zeros_like(limit), limit
    for _ in range(HALVINGS):
        rate = (low + high) / 2
        kept = (_margins(costs, mix, limits, objectives, rate) >= 0).all(axis=1, keepdims=True)
        low, high = np.where(kept, rate, low), np.where(kept, high, rate)
        if float(((high - low) / np.maximum(limit, TINY)).max()) <= ENOUGH:
            break
    # What is kept at the limit itself is not searched for any more: a draw that never broke one ends there.
    untouched = high >= limit
    names = [name for name in ("first_token", "token_gap") if getattr(objectives, name) is not None]
    broken = np.array(names)[_margins(costs, mix, limits, objectives, high).argmin(axis=1)][:, None]
    binding = np.where(untouched, "utilisation" if objectives.first_token is None else "first_token", broken)
    found = np.where(untouched, limit, low)
    return Found(found, stable, np.where(found > 0, binding, "unreachable"))


def capacity_per_s(costs: Costs, mix: Mix, limits: Limits, objectives: Objectives) -> Array:
    """Requests a second of a replica within its objectives (k, 1)."""
    return find(costs, mix, limits, objectives).capacity_per_s


def _margins(costs: Costs, mix: Mix, limits: Limits, objectives: Objectives, rate_per_s: Array) -> Array:
    """How far each draw is from breaking each objective at its rate, as a share of what may exceed the limit (k, m).

    Negative where it is broken.
    """
    at = load(costs, mix, limits, rate_per_s)
    margins = []
    if objectives.first_token is not None:
        one = objectives.first_token
        waits = Waits(costs, mix, limits, at, 1.01 * one.seconds)
        within = np.where(waits.overloaded, -1.0, waits.within(one.seconds))
        margins.append((within - one.share) / (1 - one.share))
    if objectives.token_gap is not None:
        one = objectives.token_gap
        within = np.where(at.stable, Gaps(costs, mix, limits, at).within(one.seconds), -1.0)
        margins.append((within - one.share) / (1 - one.share))
    return np.concatenate(margins, axis=1)
