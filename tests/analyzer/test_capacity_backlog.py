"""What steps carry of prompts: against the chain played through step by step, what must hold always, and by hand."""

from __future__ import annotations

from dataclasses import replace
from math import exp

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from analyzer.capacity import Limits, plain_mix
from analyzer.capacity.backlog import carried
from analyzer.capacity.costs import costs_of
from analyzer.capacity.load import chunks, load
from analyzer.capacity.mix import Mix
from analyzer.predict import Coefficients

PLAIN = Coefficients(5.6e-3, 0.5e-3, 2.7e-5, 1e-5, 4.9e-8, 2.9e-5, 1.0)
STEPS = 1_000_000


def mix_of(mean: float, spread: float, output: float) -> Mix:
    """A third each of short, mean and long prompts."""
    prompts = (mean * (1 - spread), mean, mean * (1 + spread))
    return replace(plain_mix(1.0, mean, output), prompts=prompts, prompt_weights=(1.0, 1.0, 1.0))


def played(mix: Mix, rate_per_s: float, chunk_tokens: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tokens that the chain's steps carry, step by step; and what `carried` says of it."""
    limits, costs, rate = Limits(chunk_tokens, seats=256), costs_of([PLAIN]), np.array([[rate_per_s]])
    at = load(costs, mix.at(rate_per_s), limits, rate)
    assert at.stable.all()
    batch = np.minimum(at.batch, at.seats)
    budget = float(chunks(mix, limits, batch).full.mean())
    base = float(costs.step_s(batch, mix.context_tokens)[0, 0])
    rng = np.random.default_rng(5)
    lengths, chance = rng.choice(np.array(mix.prompts), STEPS), rng.exponential(1 / rate_per_s, STEPS)
    arrivals = iter(zip(np.cumsum(chance), lengths, strict=True))
    found, waiting, now_s = np.empty(STEPS), 0.0, 0.0
    at_s, tokens_of = next(arrivals)
    for step in range(STEPS):
        found[step] = computed = min(waiting, budget)
        waiting -= computed
        now_s += base + PLAIN.prefill_token_s * computed
        while at_s <= now_s:
            waiting += tokens_of
            at_s, tokens_of = next(arrivals)
    seconds = base + PLAIN.prefill_token_s * found
    tokens, shares = carried(costs, mix, limits, at, np.array([[seconds.mean()]]))
    return found, tokens[0], shares[0]


@pytest.mark.parametrize(
    ("mean", "chunk_tokens", "rate_per_s"),
    [(300, 8192, 20.0), (800, 2048, 25.0), (3000, 2048, 6.0), (20_000, 1024, 0.8)],
    ids=["short prompts", "several fill a step", "one takes two steps", "one takes twenty"],
)
def test_steps_carry_what_they_carry_when_the_chain_is_played_through(
    mean: float, chunk_tokens: float, rate_per_s: float
) -> None:
    found, tokens, shares = played(mix_of(mean, 0.5, 100), rate_per_s, chunk_tokens)

    assert shares.sum() == pytest.approx((found > 0).mean(), rel=0.03)
    assert (shares * tokens).sum() == pytest.approx(found.mean(), rel=0.03)
    for share in (0.3, 0.6, 0.9):
        limit = share * tokens[-1]
        # A cell either way is not told apart.
        cell = tokens[0]
        between = [(found > limit + cell).mean(), (found > limit - cell).mean()]
        told = shares[tokens > limit].sum()
        assert 0.97 * between[0] - 0.002 <= told <= 1.03 * between[1] + 0.002


@settings(max_examples=40, deadline=None)
@given(
    mean=st.floats(50, 20_000),
    spread=st.floats(0, 0.9),
    chunk_tokens=st.sampled_from([512.0, 2048.0, 8192.0]),
    busy=st.floats(0.05, 0.7),
)
def test_steps_carry_all_that_comes(mean: float, spread: float, chunk_tokens: float, busy: float) -> None:
    """Tokens a step = requests a second, times seconds a step, times tokens a prompt; `busy` is the prompts' share."""
    mix = mix_of(mean, spread, 1.0)
    rate_per_s = busy / (mean * PLAIN.prefill_token_s)
    limits, costs = Limits(chunk_tokens, seats=1024), costs_of([PLAIN])
    at = load(costs, mix.at(rate_per_s), limits, np.array([[rate_per_s]]))
    base = float(costs.step_s(np.minimum(at.batch, at.seats), mix.context_tokens)[0, 0])
    # Of a step of base + d tokens the prompts' share is `busy`, so that a step lasts base / (1 - busy).
    step_s = base / (1 - busy)
    budget = float(chunks(mix, limits, np.minimum(at.batch, at.seats)).full.mean())
    assume(rate_per_s * step_s * mean < 0.8 * budget)
    tokens, shares = carried(costs, mix, limits, at, np.array([[step_s]]))

    assert (shares >= 0).all()
    assert shares.sum() < 1
    assert (shares * tokens).sum() == pytest.approx(rate_per_s * step_s * mean, rel=0.03)


def test_prompts_with_steps_of_their_own_come_between_two_steps_as_they_arrive() -> None:
    """Prompts of 100 tokens, 0.5 of them a step: one with 0.5 e^-0.5, two with 0.125 e^-0.5, and so on."""
    mix = replace(plain_mix(5.0, 100, 50), mixed=False)
    limits, costs = Limits(2048, seats=64), costs_of([PLAIN])
    at = load(costs, mix, limits, np.array([[5.0]]))
    tokens, shares = carried(costs, mix, limits, at, np.array([[0.1]]))

    for count, share in ((1, 0.5 * exp(-0.5)), (2, 0.125 * exp(-0.5)), (3, 0.5**3 / 6 * exp(-0.5))):
        near = np.abs(tokens - 100 * count) < 50
        assert shares[near].sum() == pytest.approx(share, rel=1e-3)
    assert shares.sum() == pytest.approx(1 - exp(-0.5))
