"""Streams of requests: seeds, rates, lengths, bursts and the daily swing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from collector.simulator.speculation import Speculation
from collector.simulator.traffic import Arrival, Lengths, Traffic


def take(traffic: Traffic, seed: int, count: int) -> list[Arrival]:
    """The first requests of a stream."""
    stream = traffic.arrivals(np.random.default_rng(seed))
    return [next(stream) for _ in range(count)]


CHATTY = Traffic(2.0, Lengths(400, 0.8, 8, 4000), Lengths(200, 0.7, 4, 1000), cached_share=0.25, abort_share=0.1)


def test_the_same_seed_gives_the_same_requests_and_another_does_not() -> None:
    assert take(CHATTY, 1, 3000) == take(CHATTY, 1, 3000)
    assert take(CHATTY, 1, 50) != take(CHATTY, 2, 50)


def test_requests_have_the_rate_lengths_and_shares_asked_for() -> None:
    requests = take(CHATTY, 4, 20_000)
    prompts = [request.prompt_tokens for request in requests]
    assert 20_000 / requests[-1].at_s == pytest.approx(2.0, rel=0.02)
    assert np.mean(prompts) == pytest.approx(400, rel=0.03)
    assert (min(prompts) >= 8, max(prompts) <= 4000) == (True, True)
    assert sum(request.cached_tokens for request in requests) / sum(prompts) == pytest.approx(0.25, abs=0.01)
    aborts = [request for request in requests if request.abort_after_tokens is not None]
    assert len(aborts) / 20_000 == pytest.approx(0.1, abs=0.01)
    assert all(1 <= request.abort_after_tokens < request.output_tokens for request in aborts)


@pytest.mark.parametrize("gap_variation", [0.5, 1.0, 2.5])
def test_gaps_vary_as_much_as_asked(gap_variation: float) -> None:
    """1 is Poisson: the standard deviation of gaps is their mean."""
    traffic = Traffic(5.0, Lengths(10, 0, 10, 10), Lengths(1, 0, 1, 1), gap_variation=gap_variation)
    times = np.array([request.at_s for request in take(traffic, 6, 20_000)])
    gaps = np.diff(times)
    assert gaps.std() / gaps.mean() == pytest.approx(gap_variation, rel=0.06)


def test_arrivals_swing_as_the_rate_says() -> None:
    """Swing 0.8 over 1,000 s: the mean of sin over the quarter around its peak is 2√2/π = 0.9003."""
    traffic = Traffic(20.0, Lengths(10, 0, 10, 10), Lengths(1, 0, 1, 1), swing=0.8, swing_period_s=1000.0)
    times = np.array([request.at_s for request in take(traffic, 8, 60_000)])
    times = times[times < 2000]
    in_quarter = [np.mean((times % 1000 >= start) & (times % 1000 < start + 250)) for start in (125, 625)]
    assert in_quarter == pytest.approx([0.25 * (1 + 0.8 * 0.9003), 0.25 * (1 - 0.8 * 0.9003)], rel=0.03)
    assert len(times) == pytest.approx(40_000, rel=0.02)
    assert traffic.rate_at(250.0) == pytest.approx(36.0)
    assert traffic.rate_at(750.0) == pytest.approx(4.0)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Traffic(0, Lengths(1, 0, 1, 1), Lengths(1, 0, 1, 1)),
        lambda: Traffic(1, Lengths(1, 0, 1, 1), Lengths(1, 0, 1, 1), swing=1.0),
        lambda: Traffic(1, Lengths(1, 0, 1, 1), Lengths(1, 0, 1, 1), cached_share=1.0),
        lambda: Lengths(1, 0, 0, 1),
        lambda: Lengths(1, 0, 5, 4),
        lambda: Arrival(0.0, 0, 1),
        lambda: Arrival(-1.0, 1, 1),
        lambda: Arrival(0.0, 1, 1, max_tokens=0),
        lambda: Speculation(0, 0.5),
        lambda: Speculation(2, 1.5),
    ],
)
def test_impossible_requests_are_refused(wrong: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"must|need"):
        wrong()
