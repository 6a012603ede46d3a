"""The simulator against queueing theory, and shares of time worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from collector.simulator.costs import StepCosts
from collector.simulator.scheduler import SchedulerSettings
from collector.simulator.server import SimulatedServer
from collector.simulator.traffic import Lengths, Traffic
from collector.simulator.truth import shares
from tests.fakes.simulator_workloads import FLAT, arrivals, server

SMALL_8B = StepCosts(
    weight_bytes=16e9,
    kv_bytes_per_token=131_072,
    active_parameters=8e9,
    bandwidth_bytes_per_s=2.5e12,
    flops_per_s=500e12,
    overhead_s=0.001,
)


def test_one_request_per_step_is_a_queue_with_constant_service() -> None:
    """M/D/1 at 7 requests/s and 0.1 s each: mean wait 0.7 · 0.1 / (2 · 0.3) = 0.11667 s (Pollaczek-Khinchine)."""
    traffic = Traffic(7.0, Lengths(10, 0, 10, 10), Lengths(1, 0, 1, 1))
    settings = SchedulerSettings(1000, max_num_seqs=1, max_num_batched_tokens=10, max_model_len=100)
    sim = SimulatedServer(FLAT, settings, traffic.arrivals(np.random.default_rng(3)))
    sim.advance(8000.0)
    first_token_s = sim.counters.first_token_s
    assert first_token_s.sum / first_token_s.count == pytest.approx(0.1 + 0.11667, rel=0.03)
    assert sim.truth().busy_s / 8000.0 == pytest.approx(0.7, rel=0.02)


def test_littles_law_holds_in_the_system() -> None:
    """Requests in the system, averaged over time = arrival rate · mean end-to-end time."""
    drawn = Traffic(3.0, Lengths(500, 0.8, 10, 4000), Lengths(150, 0.7, 2, 800)).arrivals(np.random.default_rng(5))
    requests = [next(drawn) for _ in range(1200)]
    sim = server(requests, SMALL_8B, kv_capacity_tokens=300_000, max_num_batched_tokens=2048)
    every_s, inside, at_s = 0.05, 0.0, 0.0
    while sim.truth().completions < len(requests):
        at_s += every_s
        sim.advance(at_s)
        inside += sim.truth().arrivals - sim.truth().completions
    assert inside * every_s == pytest.approx(sim.counters.request_s.sum, rel=0.01)


def test_littles_law_holds_in_the_decode_batch() -> None:
    """Decode sequence-steps · step length = request-seconds of decoding, where all steps are equally long."""
    sim = server(arrivals(*[(0.3 * number, 10, 30) for number in range(100)]))
    sim.advance(1000.0)
    assert sim.truth().decode_sequence_steps * 0.1 == pytest.approx(sim.counters.decode_s.sum)


def test_work_left_over_idles() -> None:
    """Two requests of 0.5 s each in 10 s: busy 10 %."""
    sim = server(arrivals((1.0, 10, 5), (6.0, 10, 5)))
    before = sim.truth()
    sim.advance(10.0)
    spent = shares(before, sim.truth())
    assert (spent.busy_ratio, spent.idle_ratio, spent.weight_read_ratio) == pytest.approx((0.1, 0.9, 0.1))
    assert spent.memory_bound_ratio == pytest.approx(1.0)
    assert spent.exclusive_prefill_ratio == spent.marginal_prefill_ratio == pytest.approx(0.2)
    assert spent.decode_batch == pytest.approx(8 / 10)
    assert spent.generated_tokens_per_s == pytest.approx(1.0)


def test_shares_of_a_span_without_steps_are_unknown() -> None:
    sim = server([])
    before = sim.truth()
    sim.advance(5.0)
    spent = shares(before, sim.truth())
    assert (spent.idle_ratio, spent.memory_bound_ratio, spent.decode_batch) == (1.0, None, None)
    with pytest.raises(ValueError, match="time between"):
        shares(before, before)


def test_bursts_queue_longer_than_a_steady_stream() -> None:
    waits = []
    for gap_variation in (0.3, 1.0, 3.0):
        traffic = Traffic(7.0, Lengths(10, 0, 10, 10), Lengths(1, 0, 1, 1), gap_variation=gap_variation)
        settings = SchedulerSettings(1000, max_num_seqs=1, max_num_batched_tokens=10, max_model_len=100)
        sim = SimulatedServer(FLAT, settings, traffic.arrivals(np.random.default_rng(3)))
        sim.advance(1000.0)
        waits.append(sim.counters.first_token_s.sum / sim.counters.first_token_s.count)
    assert waits == sorted(waits)
    assert waits[2] > 2 * waits[1]
