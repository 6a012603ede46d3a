"""What the capacity solver says of full memory and of scatter, beside simulated servers with the same costs."""

from __future__ import annotations

import numpy as np
import pytest

from analyzer.capacity import Limits
from analyzer.capacity.costs import Array, costs_of
from analyzer.capacity.lengths import POINTS
from analyzer.capacity.load import load, room_of
from analyzer.capacity.mix import Mix
from analyzer.capacity.solve import stability_limit
from analyzer.predict import Coefficients
from collector.jobs.found_capacity import Served
from collector.simulator.costs import StepCosts
from collector.simulator.scheduler import SchedulerSettings
from collector.simulator.traffic import Lengths, Traffic

COSTS = StepCosts(16e9, 131_072, 8e9, 3.35e12, 989e12, 2e-3, 1e-5, flops_efficiency=0.6)
SAME = Coefficients(
    COSTS.weight_read_s, 2e-3, COSTS.token_compute_s, 1e-5, COSTS.kv_token_s, COSTS.token_compute_s, 1.0
)
PROMPT, OUTPUT = Lengths(2000, 0.5, 250, 8000), Lengths(200, 0.5, 25, 800)


def points(lengths: Lengths) -> Array:
    drawn = np.sort(lengths.draw(np.random.default_rng(2), 1000 * POINTS)).astype(np.float64)
    return np.asarray(drawn.reshape(POINTS, -1).mean(axis=1))


def mix(rate_per_s: float = 1.0) -> Mix:
    prompts, outputs = points(PROMPT), points(OUTPUT)
    context = float(prompts.mean() + (outputs**2).mean() / outputs.mean() / 2)
    relative, steps = outputs / outputs.mean(), float(outputs.mean()) - 1
    held = float(prompts.mean() + outputs.mean())
    return Mix(rate_per_s, steps, context, tuple(prompts), (1.0,) * POINTS, tuple(relative), held)


def served(kv_tokens: int, seats: int) -> Served:
    settings = SchedulerSettings(kv_tokens, seats, 2048, 8800, prefix_caching=False)
    return Served(COSTS, settings, Traffic(1.0, PROMPT, OUTPUT), seed=3)


def test_full_memory_holds_and_turns_out_as_many_requests_as_the_simulator() -> None:
    """Room for 11 mean contexts, and three times the load that it can carry."""
    server = served(25_000, 64).server(30.0)
    server.advance(20.0)
    begin, held = server.truth(), []
    for _ in range(4000):
        server.advance(server.at_s + 0.05)
        held.append(server.counters.running)
    spent = server.truth()
    completed = spent.completions - begin.completions
    bounds = Limits(2048, seats=64, kv_capacity_tokens=25_000)
    found = room_of(mix(), bounds, 25_000)

    # 25,000 / (2,128 + 8) would be 11.7, were requests alike.
    assert np.mean(held) < 11.2
    assert np.mean(found.counts) == pytest.approx(np.mean(held), rel=0.05)
    assert np.std(found.counts) == pytest.approx(np.std(held), rel=0.2)
    recomputed = (spent.recomputed_tokens - begin.recomputed_tokens) / completed / mix().prompt_tokens
    assert found.again == pytest.approx(recomputed, abs=0.05)
    rate = stability_limit(costs_of([SAME]), mix(), bounds)[0, 0]
    assert rate == pytest.approx(completed / (spent.at_s - begin.at_s), rel=0.05)


def test_prompts_scatter_the_batch_as_they_do_in_the_simulator() -> None:
    """Prompts take half of the time: the batch's variance is several times that of Poisson arrivals alone."""
    rate = 9.0
    server = served(10_000_000, 400).server(rate)
    server.advance(30.0)
    held = []
    for _ in range(8000):
        server.advance(server.at_s + 0.1)
        held.append(len(server.outputs_under_way()))
    found = load(costs_of([SAME]), mix(rate), Limits(2048, seats=400), np.array([[rate]]))
    mean = float(found.batch[0, 0])
    variance = float((found.shares * (found.batches - mean) ** 2).sum())

    # Those under way include prompts that are computed: one at a time, half of the time.
    assert mean == pytest.approx(np.mean(held) - 0.5, rel=0.08)
    assert variance == pytest.approx(np.var(held), rel=0.25)
    assert variance > 1.8 * mean
