"""KV memory under pressure: blocked admission, preemption by recomputation, and what the page says of it."""

from __future__ import annotations

import pytest

from collector.simulator.scheduler import SchedulerSettings
from collector.simulator.server import SimulatedServer
from collector.simulator.speculation import Speculation
from collector.simulator.traffic import Arrival
from tests.fakes.simulator_workloads import arrivals, server


def tight(requests: list[Arrival], tokens: int) -> SimulatedServer:
    """A server with KV memory for `tokens` tokens in blocks of 1."""
    return server(requests, kv_capacity_tokens=tokens, max_model_len=tokens, block_size=1)


def test_a_prompt_waits_until_all_of_it_fits() -> None:
    """60 of 100 tokens are taken and 50 wanted: the second request waits for the end of the first, seats free."""
    sim = tight(arrivals((0.0, 60, 10), (0.05, 50, 1)), 100)
    sim.advance(0.95)
    assert (sim.counters.running, sim.counters.waiting) == (1, 1)
    assert sim.counters.kv_usage_ratio == pytest.approx((60 + 8) / 100)
    sim.advance(1.15)
    assert (sim.counters.running, sim.counters.waiting, sim.truth().completions) == (0, 0, 2)
    assert sim.truth().preemptions == 0


def test_a_prompt_leaves_the_decoding_sequences_their_next_block() -> None:
    """40 of 100 tokens are free, but the running sequence takes one of them in the step that starts now."""
    sim = tight(arrivals((0.0, 60, 10), (0.05, 40, 1)), 100)
    sim.advance(0.25)
    assert (sim.counters.running, sim.counters.waiting) == (1, 1)
    assert sim.counters.kv_usage_ratio == pytest.approx(0.61)


def test_a_blocked_head_of_the_queue_blocks_those_behind_it() -> None:
    """First come, first served: the 5-token request could run, but not before the 50-token one."""
    sim = tight(arrivals((0.0, 60, 10), (0.05, 50, 1), (0.06, 5, 1)), 100)
    sim.advance(0.95)
    assert (sim.counters.running, sim.counters.waiting) == (1, 2)


def preempting() -> SimulatedServer:
    """Two sequences of 40 prompt tokens in 100 tokens of memory.

    Both have their first token at 0.1 s and 40 tokens in memory. Each step takes 2 more: after 10 steps (1.1 s) the
    memory is full, with 50 in memory and 11 outputs each. The second is preempted. The first needs 60 - 11 = 49 more
    steps, from 1.1 s to 6.0 s, by when it holds 99 tokens. Then the second computes 40 + 11 = 51 tokens again in one
    step, which gives its 12th output at 6.1 s, and 48 more by 10.9 s.
    """
    return tight(arrivals((0.0, 40, 60), (0.0, 40, 60)), 100)


def test_the_newest_request_is_preempted_and_computed_again() -> None:
    sim = preempting()
    sim.advance(1.15)
    assert (sim.counters.running, sim.counters.waiting) == (2, 0)
    sim.advance(1.25)
    assert (sim.counters.running, sim.counters.waiting) == (1, 1)
    assert sim.counters.kv_usage_ratio == pytest.approx(51 / 100)
    sim.advance(6.15)
    truth = sim.truth()
    assert (truth.computed_tokens, truth.recomputed_tokens, truth.resumed_prefills) == (80, 51, 1)
    sim.advance(20.0)
    assert sim.truth().busy_s == pytest.approx(10.9)
    assert (sim.truth().completions, sim.counters.generation_tokens) == (2, 120)


def test_a_preemption_shows_on_the_page_only_with_the_next_output() -> None:
    """The engine tells of it together with the request's next token, here five seconds late."""
    sim = preempting()
    sim.advance(6.05)
    assert (sim.truth().preemptions, sim.counters.preemptions) == (1, 0)
    sim.advance(6.15)
    assert (sim.truth().preemptions, sim.counters.preemptions) == (1, 1)


def test_recomputed_tokens_are_no_prompt_tokens_and_no_second_admission() -> None:
    sim = preempting()
    sim.advance(20.0)
    counters = sim.counters
    assert (counters.prompt_tokens, counters.computed_prompt_tokens, counters.prefix_queries) == (80, 80, 80)
    assert counters.first_token_s.count == 2
    assert counters.step_tokens.sum == 80 + 120
    assert (counters.request_preemptions.count, counters.request_preemptions.sum) == (2, 1)
    assert counters.queue_s.sum == 0.0


def test_the_gap_of_a_preemption_is_one_long_inter_token_latency() -> None:
    """120 tokens of which 2 are first: 118 gaps; one of them lasts from 1.1 s to 6.1 s."""
    sim = preempting()
    sim.advance(20.0)
    gaps = sim.counters.token_gap_s
    assert gaps.count == 118 == sim.truth().decode_sequence_steps + 1
    assert gaps.sum == pytest.approx(117 * 0.1 + 5.0)
    assert gaps.counts[gaps.bounds.index(5.0)] + gaps.counts[gaps.bounds.index(7.5)] == 1


def test_recomputation_is_prefill_time() -> None:
    """0.1 s for both prompts, 0.1 s for the second request's 51 tokens."""
    sim = preempting()
    sim.advance(20.0)
    assert sim.truth().exclusive_prefill_s == pytest.approx(0.2)


def test_a_half_computed_prompt_is_preempted_before_any_older_request() -> None:
    """Ten sequences hold 210 of 515 tokens after their second step, in which 200 of the prompt's 300 were computed.

    The third step needs 10 + 100 more: 520. The prompt starts again when the ten have ended, and counts once.
    """
    sim = server(
        arrivals(*[(0.0, 20, 30)] * 10, (0.05, 300, 1)),
        kv_capacity_tokens=515,
        max_model_len=320,
        block_size=1,
        max_num_batched_tokens=210,
        max_num_seqs=20,
    )
    sim.advance(0.25)
    assert (sim.counters.running, sim.truth().preemptions) == (11, 0)
    assert sim.counters.kv_usage_ratio == pytest.approx(410 / 515)
    sim.advance(0.35)
    assert (sim.counters.running, sim.counters.waiting, sim.truth().preemptions) == (10, 1, 1)
    sim.advance(30.0)
    truth = sim.truth()
    assert (truth.computed_tokens, truth.recomputed_tokens, truth.resumed_prefills) == (500, 200, 0)
    assert (sim.counters.prompt_tokens, sim.counters.preemptions, truth.completions) == (500, 1, 11)


@pytest.mark.parametrize(
    "limits",
    [
        {"kv_capacity_tokens": 8191},
        {"kv_capacity_tokens": 10_000, "max_num_seqs": 0},
        {"kv_capacity_tokens": 10_000, "max_num_batched_tokens": 255},
        {"kv_capacity_tokens": 8192, "speculation": Speculation(2, 0.5)},
        {"kv_capacity_tokens": 10_000, "max_num_batched_tokens": 256, "speculation": Speculation(1, 0.5)},
    ],
)
def test_limits_under_which_a_request_could_never_run_are_refused(limits: dict[str, int | Speculation]) -> None:
    with pytest.raises(ValueError, match="must"):
        SchedulerSettings(**limits)


def test_time_runs_forward_only() -> None:
    sim = server(arrivals((0.0, 10, 5)))
    sim.advance(1.0)
    with pytest.raises(ValueError, match="forward"):
        sim.advance(0.5)


def test_arrivals_out_of_order_are_refused() -> None:
    sim = server(arrivals((1.0, 10, 5), (0.5, 10, 5)))
    with pytest.raises(ValueError, match="order"):
        sim.advance(2.0)


def test_drafts_without_a_generator_are_refused() -> None:
    settings = SchedulerSettings(10_000, speculation=Speculation(1, 0.5))
    with pytest.raises(ValueError, match="random"):
        SimulatedServer(server([]).costs, settings, [])
