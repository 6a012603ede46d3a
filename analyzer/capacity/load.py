"""A replica under a load: the fixed point of its batch, and how the batch scatters around it by chance.

Mean field. Decode steps take their base t(B) of the time that prompts leave, so a step lasts t(B) / (1 - rate · m), m
being what one request's prompt adds to the steps it shares. By Little's law B = rate · sequence-steps · step(B). In the
additive law with t = a + b'·B this is closed: step = a / (1 - rate · m - rate · sequence-steps · b').

Chance. With Poisson arrivals the batch is a symmetric queue, whose stationary distribution depends on the mean number
of steps alone, not on their distribution (Kelly 1979, Reversibility and Stochastic Networks, 3.3):
pi(n) = pi(n-1) · rate · sequence-steps · step(n) / n. Full seats make others wait: from there on the ratio is constant.
Prompts widen it: each moves the batch by 1 + x in place of 1, x being prompts' time over decoding's, so that its
variance grows by (1 + (1 + x)²) / 2, the prompts' own spread added. Full seats are looked at under that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analyzer.capacity.costs import Array, Costs
from analyzer.capacity.mix import Limits, Mix

MOST_SEATS = 1024
"""Batches beyond are not looked at where nobody told the seats: vLLM's largest default."""
KV_MARGIN_TOKENS = 8.0
"""Half a block of 16 tokens is empty on average."""
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
    most = seats(mix, limits)
    low, high = np.zeros((len(costs), 1)), np.repeat(most, len(costs) // len(most), axis=0)

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


def seats(mix: Mix, limits: Limits) -> Array:
    """The most sequences that run at once, by seats and by KV memory; `MOST_SEATS` where nobody told either.

    One for all draws, (1, 1), or one per draw, (k, 1).
    """
    found = np.full((1, 1), float(MOST_SEATS if limits.seats is None else limits.seats))
    held = limits.kv_capacity_tokens if limits.kv_of_draws is None else limits.kv_of_draws
    if held is None:
        return found
    # A request is let in while its prompt fits; the others grow meanwhile.
    return np.asarray(np.minimum(found, np.maximum(1.0, held / (mix.context_tokens + KV_MARGIN_TOKENS))))


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
    """Share of time with every seat taken: so many arrivals wait for one."""
    drain_per_s: Array
    """What full seats serve beyond the rate, prompts included."""
    carried: Array
    """Chunks of a mean prompt."""
    met: Array
    """How much more often than a step at random a token's step is one with prompt chunks."""
    lasts_s: Array
    """From a mean prompt's first chunk to its first token."""


def load(costs: Costs, mix: Mix, limits: Limits, rate_per_s: Array) -> Load:
    """The state at a rate per draw (k, 1)."""
    most = seats(mix, limits)
    # What prompts add depends on the batch only where arithmetic hides behind bytes: a mean-field batch will do.
    middle = _middle(costs, mix, limits, rate_per_s, most)
    expected = rate_per_s * costs.step_s(middle, mix.context_tokens)
    together = np.maximum(1.0, expected / -np.expm1(-np.maximum(expected, 1e-9)))
    added, lasts, carried = prompt_s(costs, mix, limits, middle, together)
    held = np.clip(most - rate_per_s * lasts, np.minimum(0.5, most / 2), most)
    batches = np.minimum(np.arange(int(np.ceil(most.max())) + 1, dtype=np.float64)[None], held)
    base = costs.step_s(batches, mix.context_tokens)
    others = np.maximum(held - 1, 0) / held if mix.mixed else 1.0
    left = 1 - rate_per_s * added * others
    slower, met = _bunched(costs, mix, rate_per_s, middle, lasts / carried, lasts)
    step = base * (1 + others * (slower - 1)) / np.maximum(left, 1e-9)
    offered = rate_per_s * mix.sequence_steps
    at_full = offered * costs.step_s(held, mix.context_tokens) / np.maximum(left, 1e-9) / held
    ratio = np.minimum(offered * step / np.maximum(batches, 1e-9), 1e12)
    stable = (left > 1e-3) & (at_full < 1 - 1e-6)
    logs = np.concatenate([np.zeros((len(costs), 1)), np.cumsum(np.log(ratio[:, 1:]), axis=1)], axis=1)
    last = np.ceil(held).astype(int)
    shares = _shares(logs, at_full, last, np.ones_like(left))
    # Every arrival stops the decoding of the others for its prompt's time: the batch moves by more than one at once.
    stopped = (1 - left) / np.maximum(left, 1e-3)
    spread = 1 + np.var(np.array(mix.prompts) * np.array(mix.prompt_weights)) / mix.prompt_tokens**2
    wider = np.where(stable, 1 + stopped + stopped**2 * spread / 2, 1.0)
    full = np.take_along_axis(_shares(logs, at_full, last, wider), last, axis=1)
    work = added * others + mix.sequence_steps * costs.step_s(held, mix.context_tokens) / held
    return Load(
        rate_per_s=rate_per_s,
        seats=held,
        batches=batches,
        shares=shares,
        step_s=step,
        stable=stable,
        batch=(shares * batches).sum(axis=1, keepdims=True),
        step_rate=(shares[:, 1:] / step[:, 1:]).sum(axis=1, keepdims=True),
        full=full,
        drain_per_s=np.maximum(1 / work - rate_per_s, 1e-12),
        carried=carried,
        met=met,
        lasts_s=lasts,
    )


def _shares(logs: Array, at_full: Array, last: NDArray[np.intp], wider: Array) -> Array:
    """Shares of time of each batch (k, n) from unnormalised logarithms, the variance `wider` times as large.

    Beyond full seats the ratio of neighbours stays as it is: a geometric tail, whose mass counts as full.
    """
    logs = np.where(np.arange(logs.shape[1])[None] > last, -np.inf, logs)
    shares = np.exp((logs - logs.max(axis=1, keepdims=True)) / wider)
    tail = np.minimum(at_full, 1 - 1e-6) ** (1 / wider)
    edge = np.take_along_axis(shares, last, axis=1) / (1 - tail)
    np.put_along_axis(shares, last, edge, axis=1)
    whole: Array = shares / shares.sum(axis=1, keepdims=True)
    return whole


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
