"""A replica under a load: the fixed point of its batch, and how the batch scatters around it by chance.

Mean field. Decode steps take their base t(B) of the time that prompts leave, so a step lasts t(B) / (1 - rate · m), m
being what one request's prompt adds to the steps it shares. By Little's law B = rate · sequence-steps · step(B). In the
additive law with t = a + b'·B this is closed: step = a / (1 - rate · m - rate · sequence-steps · b').

Chance. With Poisson arrivals the batch is a symmetric queue, whose stationary distribution depends on the mean number
of steps alone, not on their distribution (Kelly 1979, Reversibility and Stochastic Networks, 3.3):
pi(n) = pi(n-1) · rate · sequence-steps · step(n) / n. Full seats make others wait: from there on the ratio is constant.
Prompts widen it (`scatter`). Where requests wait for room, K run: seats, or what KV memory holds (`room`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analyzer.capacity.costs import Array, Costs
from analyzer.capacity.mix import Limits, Mix
from analyzer.capacity.room import Room, Rooms, room
from analyzer.capacity.scatter import NEARLY_FULL, running, shares, unlike_exponential, wait_s, wider

MOST_SEATS = 1024
"""Batches beyond are not looked at where nobody told the seats: vLLM's largest default."""
HALVINGS = 48


@dataclass(frozen=True, slots=True)
class Chunks:
    """One prompt's chunks for each of the mix's prompts (shape (k, q)), at one batch per draw (k, 1).

    `count` full and last chunks, `full` tokens of a full one, `rest` of the last, in tokens of mean cost.
    """

    count: Array
    full: Array
    rest: Array


def chunks(mix: Mix, limits: Limits, batch: Array) -> Chunks:
    """How prompts are cut: a step's budget less what its decoding sequences take."""
    tokens, weights = np.array(mix.prompts)[None], np.array(mix.prompt_weights)[None]
    room = limits.chunk_tokens - (batch * (1 + mix.drafts) if mix.mixed else 0.0)
    room = np.maximum(room, limits.chunk_tokens / 16)
    count = np.ceil(tokens / room - 1e-9)
    return Chunks(count, room * weights, (tokens - (count - 1) * room) * weights)


def prompt_s(costs: Costs, mix: Mix, limits: Limits, batch: Array, together: Array | float = 1.0) -> tuple[Array, ...]:
    """Of a mean request at a batch per draw (k, 1): seconds its prompt adds to others' steps, seconds from its first
    chunk to its first token, and its chunks; each (k, 1). `together`: prompts that share a step where they fit.
    """
    cut = chunks(mix, limits, batch)
    own = batch if mix.mixed else np.zeros_like(batch)
    base = costs.step_s(own, mix.context_tokens) if mix.mixed else np.zeros_like(batch)
    full = costs.step_s(own, mix.context_tokens, cut.full)
    shared = np.where(cut.count > 1, 1.0, together)
    rest = costs.step_s(own, mix.context_tokens, cut.rest * shared)
    added = (cut.count - 1) * (full - base) + (rest - base) / shared
    lasts = (cut.count - 1) * full + rest
    return tuple(one.mean(axis=1, keepdims=True) for one in (added, lasts, cut.count))


def serving_s(costs: Costs, mix: Mix, limits: Limits, batch: Array) -> Array:
    """Seconds that each of the mix's prompts takes of a server whose steps are all full of prompt tokens (k, q).

    Prompts in a row share steps: the last chunk takes the part of a step's base that its tokens take of the budget.
    """
    cut = chunks(mix, limits, batch)
    own = batch if mix.mixed else np.zeros_like(batch)
    base = costs.step_s(own, mix.context_tokens)
    full = costs.step_s(own, mix.context_tokens, cut.full)
    rest = costs.step_s(own, mix.context_tokens, cut.rest)
    return np.asarray((cut.count - 1) * full + rest - base * (1 - np.minimum(1.0, cut.rest / cut.full)))


def crowded(costs: Costs, mix: Mix, limits: Limits, rate_per_s: Array, held: Array) -> Array:
    """The batch per draw (k, 1) while every step is full of prompt tokens, at most `held`."""
    batch = np.zeros_like(held)
    for _ in range(8):
        full = chunks(mix, limits, batch).full.mean(axis=1, keepdims=True)
        batch = np.minimum(held, rate_per_s * mix.sequence_steps * costs.step_s(batch, mix.context_tokens, full))
    return batch


def fixed_point(costs: Costs, mix: Mix, limits: Limits) -> Array:
    """Mean-field decode batch per draw (k, 1), by bisection; infinite where the load is more than can be served."""
    low = np.zeros((len(costs), 1))
    high = np.broadcast_to(rooms(mix, limits).mean, low.shape)

    def asked(batch: Array) -> Array:
        added, _, _ = prompt_s(costs, mix, limits, batch)
        left = 1 - mix.rate_per_s * added
        step = costs.step_s(batch, mix.context_tokens) / np.maximum(left, 1e-9)
        return mix.rate_per_s * mix.sequence_steps * step

    over = asked(high) >= high
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        more = asked(middle) > middle
        low, high = np.where(more, middle, low), np.where(more, high, middle)
    return np.where(over, np.inf, high)


def closed_step_s(costs: Costs, mix: Mix) -> Array:
    """What a decode step lasts at the mean-field fixed point in the additive law, seats without limit (k, 1).

    Infinite where the load is more than can be served. Raises ValueError for another law.
    """
    if costs.rounding != 1:
        raise ValueError("only the additive law has a closed form")
    prompt = float(np.dot(mix.prompts, mix.prompt_weights)) / len(mix.prompts)
    fixed = costs.weight_read_s + costs.overhead_s
    each = costs.sequence_compute_s + costs.sequence_overhead_s + costs.kv_token_s * mix.context_tokens
    left = 1 - mix.rate_per_s * (prompt * costs.prefill_token_s + mix.sequence_steps * each)
    return np.where(left > 0, fixed / np.where(left > 0, left, 1.0), np.inf)


def room_of(mix: Mix, limits: Limits, kv_tokens: float | None) -> Room:
    """What a replica's seats and so many KV tokens hold of the mix; None: not known, no limit."""
    seats = float(MOST_SEATS if limits.seats is None else limits.seats)
    if kv_tokens is None or mix.context_tokens <= 0:
        return Room.of_seats(seats, mix.outputs)
    prompts = np.array(mix.prompts) / (1 - mix.cached_share)
    outputs = np.array(mix.outputs) * max(mix.held_tokens - float(prompts.mean()), 0.0)
    return room(tuple(prompts), tuple(outputs), mix.context_tokens, seats, kv_tokens)


def rooms(mix: Mix, limits: Limits) -> Rooms:
    """What the limits have of it, else one for all draws."""
    return limits.rooms or Rooms.of([room_of(mix, limits, limits.kv_capacity_tokens)])


@dataclass(frozen=True, slots=True)
class Load:
    """k draws under a load: batches from 0 to full seats, their shares of time, and what follows.

    `step_s` is what a step lasts on average at each batch with the prompts in between; these three are (k, n). The rest
    is (k, 1): `stable` is False where the queue grows without end and all else means nothing.
    """

    rate_per_s: Array
    seats: Array
    batches: Array
    shares: Array
    step_s: Array
    stable: NDArray[np.bool_]
    batch: Array
    step_rate: Array
    """Decode steps per second."""
    full: Array
    """Share of arrivals that wait for a seat or for KV memory."""
    room_in_s: Array
    """How long these wait on average."""
    carried: Array
    """Chunks of a mean prompt."""
    met: Array
    """How much more often than a step at random a token's step is one with prompt chunks."""
    lasts_s: Array
    """From a mean prompt's first chunk to its first token."""


def load(costs: Costs, mix: Mix, limits: Limits, rate_per_s: Array) -> Load:
    """The state at a rate per draw (k, 1)."""
    space = rooms(mix, limits)
    most = np.broadcast_to(space.mean, rate_per_s.shape)
    # What prompts add depends on the batch only where arithmetic hides behind bytes: a mean-field batch will do.
    middle = _middle(costs, mix, limits, rate_per_s, most)
    expected = rate_per_s * costs.step_s(middle, mix.context_tokens)
    together = np.maximum(1.0, expected / -np.expm1(-np.maximum(expected, 1e-9)))
    added, lasts, carried = prompt_s(costs, mix, limits, middle, together)
    held = np.clip(most - rate_per_s * lasts, np.minimum(0.5, most / 2), most)
    # Those whose prompt is computed have room as well and do not decode.
    counts = np.maximum(space.counts - (most - held), np.minimum(0.5, most / 2))
    batches, waits, waiting = running(counts)
    others = 1 + waits * (others_at_full(most, held, space.again) - 1)
    left = 1 - rate_per_s * added * others
    slower, met = _bunched(costs, mix, rate_per_s, middle, lasts / carried, lasts)
    step = costs.step_s(batches, mix.context_tokens) * (1 + others * (slower - 1)) / np.maximum(left, 1e-9)
    offered = rate_per_s * mix.sequence_steps
    at_full = offered * costs.step_s(held, mix.context_tokens) / np.maximum(left[:, -1:], 1e-9) / held
    ratio = np.minimum(offered * step / np.maximum(batches, 1e-9), 1e12)
    stable = (left[:, -1:] > 1e-3) & (at_full < 1 - 1e-6)
    last = np.ceil(counts.max(axis=1, keepdims=True)).astype(int)
    scattered = shares(ratio, at_full, last, np.where(stable, wider(mix, 1 - left[:, -1:]), 1.0))
    # Where others wait, prompts are computed as requests end, not as they come.
    prompt = added * others_at_full(most, held, space.again)
    serves = 1 / (prompt + mix.sequence_steps * costs.step_s(held, mix.context_tokens) / held)
    busy = np.minimum(rate_per_s / serves, NEARLY_FULL)
    waited = wait_s(rate_per_s, shares(ratio, busy, last, 1.0), busy, last, waits, waiting)
    return Load(
        rate_per_s=rate_per_s,
        seats=held,
        batches=batches,
        shares=scattered,
        step_s=step,
        stable=stable,
        batch=(scattered * batches).sum(axis=1, keepdims=True),
        step_rate=(scattered[:, 1:] / step[:, 1:]).sum(axis=1, keepdims=True),
        full=(scattered * waits).sum(axis=1, keepdims=True),
        room_in_s=waited * unlike_exponential(mix, space.square, held, busy, np.minimum(serves * prompt, 1.0)),
        carried=carried,
        met=met,
        lasts_s=lasts,
    )


def others_at_full(most: Array, held: Array, again: Array) -> Array:
    """Where no seat is free, prompts that a sequence sits out while it decodes, over those computed meanwhile (k, 1).

    With K in service each one's stay sees K prompts, by Little's law. Its own is none that it sits out, so that K - 1
    fall into its decoding, in which `held` of the K are on average. Prompts computed `again` come on top.
    """
    return np.asarray(np.maximum(most - 1, 0) / held * (1 + again))


def _bunched(
    costs: Costs, mix: Mix, rate_per_s: Array, batch: Array, carrying_s: Array, lasts_s: Array
) -> tuple[Array, Array]:
    """What it does to a sequence that prompts come in runs: its mean step over that of an endless one, and how much
    more often its steps carry chunks.

    Two states in turns, prompts to compute or none, the steps of one `carrying_s` long and of the other the base. A
    sequence starts with prompts waiting as often as an arrival finds them; over its steps that wears off towards the
    share of an endless sequence, at the rate at which the states change per step.
    """
    base = costs.step_s(batch, mix.context_tokens)
    carrying = carrying_s if mix.mixed else base + carrying_s
    busy = np.minimum(rate_per_s * lasts_s, 0.98)
    begins = rate_per_s * base
    ends = carrying / lasts_s * (1 - busy)
    endless = begins / (begins + ends)
    steps = mix.sequence_steps * np.array(mix.outputs)[None]
    # Where prompts wait at all there are several: 1 + rho / 2 (1 - rho) of them on average in M/D/1.
    fades = (begins + ends) / (1 + busy / 2 / (1 - busy))
    kept = -np.expm1(-fades * steps).mean(axis=1, keepdims=True) / (fades * mix.sequence_steps)
    share = endless + np.maximum(busy - endless, 0.0) * kept
    slower = (share * carrying + (1 - share) * base) / (endless * carrying + (1 - endless) * base)
    return slower, share / endless


def _middle(costs: Costs, mix: Mix, limits: Limits, rate_per_s: Array, most: Array) -> Array:
    """A batch near the mean-field one (k, 1), capped at the seats."""
    batch = np.zeros_like(rate_per_s)
    for _ in range(12):
        added, _, _ = prompt_s(costs, mix, limits, batch)
        left = np.maximum(1 - rate_per_s * added, 0.02)
        batch = np.minimum(rate_per_s * mix.sequence_steps * costs.step_s(batch, mix.context_tokens) / left, most)
    return batch
