"""What KV memory holds at once, and how the number of requests scatters: by hand, and what must always hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.capacity import Limits, plain_mix
from analyzer.capacity.costs import costs_of
from analyzer.capacity.room import MARGIN_TOKENS, Room, room
from analyzer.capacity.scatter import running, shares, unlike_exponential, wait_s, wider
from analyzer.capacity.solve import stability_limit
from analyzer.predict import Coefficients

SPREAD = tuple(np.exp(np.linspace(-0.9, 0.9, 24)))


def scaled(mean: float) -> tuple[float, ...]:
    return tuple(mean * np.array(SPREAD) / np.mean(SPREAD))


def held(prompt: float, output: float) -> float:
    grown = np.array(scaled(output))
    return prompt + float((grown**2).mean() / grown.mean() / 2)


def test_requests_all_alike_fill_memory_by_division() -> None:
    """992 tokens and half an empty block each: 10,500 tokens hold ten, and nothing grows that could turn one out."""
    found = room((992.0,) * 24, (1e-9,) * 24, 992.0, 64, 10_500.0)

    assert found.counts == (10.0,) * 8
    assert found.again == 0


def test_memory_that_seats_never_fill_is_no_limit_and_one_request_always_runs() -> None:
    prompts, outputs = scaled(800), scaled(300)

    assert room(prompts, outputs, held(800, 300), 8, 1e6) == Room.of_seats(8, outputs)
    assert room(prompts, outputs, held(800, 300), 8, 700.0) == Room.of_seats(1, outputs)


def test_a_long_prompt_that_waits_leaves_memory_idle() -> None:
    """The one in front waits as long as it is long: half of E[P²] / E[P] is free on average, as renewals are old."""
    prompts = scaled(5000)
    found = room(prompts, (100.0,) * 24, 5050.0, 64, 100_000.0)
    square = float(np.mean(np.square(prompts))) / 5000

    assert np.mean(found.counts) == pytest.approx((100_000 - square / 2) / (5050 + MARGIN_TOKENS), rel=0.03)


@settings(deadline=None, max_examples=8)
@given(st.floats(100, 4000), st.floats(20, 1000), st.floats(3, 40), st.integers(1, 64))
def test_room_lies_within_seats_and_memory_and_grows_with_it(
    prompt: float, output: float, times: float, seats: int
) -> None:
    prompts, outputs, mean = scaled(prompt), scaled(output), held(prompt, output)
    few, more = (room(prompts, outputs, mean, seats, ratio * times * mean) for ratio in (1, 2))

    assert 1 <= few.counts[0] <= few.counts[-1] <= seats
    assert list(few.counts) == sorted(few.counts)
    assert few.again >= 0
    assert np.mean(few.counts) <= times * 1.05
    assert np.mean(more.counts) >= np.mean(few.counts) * 0.99


@settings(deadline=None, max_examples=40)
@given(st.floats(0.5, 40), st.floats(1, 6))
def test_a_widened_distribution_keeps_its_mean_and_has_the_variance_asked_for(mean: float, times: float) -> None:
    """Poisson arrivals without end of seats: p(n) / p(n-1) = mean / n."""
    number = np.arange(2000.0)[None]
    ratio = mean / np.maximum(number, 1)
    found = shares(ratio, ratio[:, -1:], np.array([[1999]]), np.array([[times]]))[0]

    assert found.sum() == pytest.approx(1)
    assert found @ number[0] == pytest.approx(mean, rel=1e-3)
    assert found @ (number[0] - mean) ** 2 == pytest.approx(times * mean, rel=1e-2)


def test_the_wait_of_exponential_service_is_that_of_m_m_c() -> None:
    """Four servers, 3 requests in the time of one service: those who wait do so 1 / (4 - 3) services on average."""
    counts = np.full((1, 8), 4.0)
    batches, waits, waiting = running(counts)
    ratio = 3 / np.maximum(batches, 1)
    full, last = np.array([[0.75]]), np.array([[4]])
    likely = shares(ratio, full, last, 1.0)

    assert wait_s(np.array([[3.0]]), likely, full, last, waits, waiting)[0, 0] == pytest.approx(1.0)
    # Erlang's C formula for 4 servers and 3 Erlangs.
    assert (likely * waits).sum() == pytest.approx(0.5094, abs=1e-4)


def test_prompts_let_requests_come_in_groups() -> None:
    """Half of the time for prompts all alike, x = 1: E[N²] / E[N] = 1 + 2 + 1, and all requests last as long."""
    one = plain_mix(1.0, 1000, 100)

    assert wider(one, np.array([[0.0]]))[0, 0] == 1
    assert wider(one, np.array([[0.5]]))[0, 0] == pytest.approx(4.0)


def test_a_wait_is_shorter_the_less_requests_differ_and_the_more_of_the_work_are_prompts() -> None:
    one, servers = plain_mix(1.0, 1000, 100), np.array([[16.0]])

    def found(square: float, load: float, stopped: float = 0.0) -> float:
        each = (np.array([[value]]) for value in (square, load, stopped))
        square_, load_, stopped_ = each
        return float(unlike_exponential(one, square_, servers, load_, stopped_)[0, 0])

    assert found(1.0, 0.5) == found(1.0, 0.9) == pytest.approx(1.0)
    assert found(0.0, 0.5) > found(0.0, 0.9) > found(0.0, 0.9999) == pytest.approx(0.5, abs=1e-3)
    assert found(3.0, 0.9) == pytest.approx(2.0)
    # Half of the work are prompts all alike: C² = 1/4 of decoding's, which is exponential.
    assert found(1.0, 0.9, 0.5) == pytest.approx(0.625)


def test_two_seats_serve_what_littles_law_says() -> None:
    """2 = X · (own prompt + 99 steps + the other's prompt): a prompt's step is 1 + 20 ms, a step of two 1 + 2 · 1 ms.

    2 / X = 21 + 99 · 3 + 20 ms, but for steps of one sequence while the other's prompt is computed.
    """
    costs = Coefficients(1e-3, 0.0, 1e-3, 0.0, 0.0, 1e-3 / 50, 1.0)
    mix = replace(plain_mix(1.0, 1000, 100), sequence_steps=99.0)
    found = stability_limit(costs_of([costs]), mix, Limits(2048, seats=2))[0, 0]

    assert found == pytest.approx(2 / 0.338, rel=0.06)
