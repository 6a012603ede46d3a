"""A step log of simulated engines, read every five seconds: both prefill shares against what really happened."""

from __future__ import annotations

import numpy as np
import pytest

from collector.scrape.steps import Step, StepSums
from collector.simulator.iterations import IterationLog
from collector.simulator.scenarios import H100, LLAMA_8B, kv_capacity_tokens, step_costs
from collector.simulator.scheduler import SchedulerSettings
from collector.simulator.server import SimulatedServer
from collector.simulator.traffic import Lengths, Traffic

WARM_UP_S, END_S, POLL_S = 30.0, 150.0, 5.0


def lengths(mean: int) -> Lengths:
    return Lengths(mean=mean, sigma=0.5, minimum=max(1, mean // 8), maximum=4 * mean)


def simulated(rate_per_s: float, prompt: int, output: int, chunk: int, seats: int, bursts: float) -> SimulatedServer:
    """An 8B model on an H100."""
    settings = SchedulerSettings(
        kv_capacity_tokens=kv_capacity_tokens(LLAMA_8B, H100, 1),
        max_num_seqs=seats,
        max_num_batched_tokens=chunk,
        max_model_len=4 * (prompt + output),
    )
    traffic = Traffic(rate_per_s, lengths(prompt), lengths(output), gap_variation=bursts)
    return SimulatedServer(step_costs(LLAMA_8B, H100, 1), settings, traffic.arrivals(np.random.default_rng(3)))


@pytest.mark.parametrize(
    ("rate_per_s", "prompt", "output", "chunk", "seats", "bursts"),
    [
        pytest.param(0.3, 300, 400, 2048, 64, 1.0, id="mostly one at a time"),
        pytest.param(8, 300, 400, 2048, 64, 1.0, id="chat"),
        pytest.param(12, 300, 400, 2048, 256, 3.0, id="bursts"),
        pytest.param(3, 6000, 100, 2048, 128, 1.0, id="long prompts in chunks"),
        pytest.param(2, 6000, 100, 512, 128, 1.0, id="long prompts in small chunks"),
        pytest.param(40, 200, 300, 8192, 64, 1.0, id="more than the seats take"),
    ],
)
def test_both_prefill_shares_of_busy_time_are_the_truth(
    rate_per_s: float, prompt: int, output: int, chunk: int, seats: int, bursts: float
) -> None:
    """The exclusive one exactly but for steps cut by the ends of the span, the marginal one within 0.005."""
    server = simulated(rate_per_s, prompt, output, chunk, seats, bursts)
    log = IterationLog(1_000_000)
    server.listeners.append(log)
    sums = StepSums()
    server.advance(WARM_UP_S)
    sums.learn(_read(log))
    before = server.truth()
    while server.at_s < END_S:
        server.advance(server.at_s + POLL_S)
        sums.add(_read(log))
    truth = server.truth() - before
    told = sums.values
    busy_s = told["told_prefill_s"] + told["told_decode_s"]

    assert busy_s == pytest.approx(truth.busy_s, abs=0.5)
    assert told["told_prefill_s"] / busy_s == pytest.approx(truth.exclusive_prefill_s / truth.busy_s, abs=0.005)
    assert told["told_prefill_marginal_s"] / busy_s == pytest.approx(truth.marginal_prefill_s / truth.busy_s, abs=0.005)
    assert told["told_sequence_steps"] == pytest.approx(truth.decode_sequence_steps, rel=0.01)


def _read(log: IterationLog) -> list[Step]:
    return [Step("0", 0, one.prompt_tokens, one.sequences, one.seconds) for one in log.read()]
