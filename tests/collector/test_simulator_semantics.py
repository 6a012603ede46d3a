"""When each series of a vLLM page moves: one test per trap. In most of them every step takes 0.1 s."""

from __future__ import annotations

import pytest

from collector.simulator.speculation import Speculation
from collector.simulator.traffic import Arrival
from tests.fakes.simulator_workloads import arrivals, server


def test_prompt_tokens_jump_by_the_whole_prompt_at_the_first_output() -> None:
    """2,500 tokens at 1,000 per step: three steps, and the counter moves with the third."""
    sim = server(arrivals((0.0, 2500, 2)))
    seen = []
    for at_s in (0.15, 0.25, 0.35):
        sim.advance(at_s)
        seen.append((sim.truth().computed_tokens, sim.counters.prompt_tokens, sim.counters.first_token_s.count))
    assert seen == [(1000, 0, 0), (2000, 0, 0), (2500, 2500, 1)]


def test_chunks_of_unfinished_prompts_give_no_step_sample_and_the_last_carries_the_whole_prompt() -> None:
    sim = server(arrivals((0.0, 2500, 1)))
    sim.advance(0.25)
    assert sim.counters.step_tokens.count == 0
    sim.advance(1.0)
    truth = sim.truth()
    assert (truth.steps, truth.steps_with_output) == (3, 1)
    assert (sim.counters.step_tokens.count, sim.counters.step_tokens.sum) == (1, 2501)
    above_the_step_budget = sim.counters.step_tokens.bounds.index(4096)
    assert sim.counters.step_tokens.counts[above_the_step_budget] == 1


def test_chunks_beside_a_decoding_sequence_give_samples_of_the_decode_tokens_alone() -> None:
    sim = server(arrivals((0.0, 10, 20), (0.05, 2500, 1)))
    sim.advance(0.25)
    assert (sim.counters.step_tokens.count, sim.counters.step_tokens.sum) == (2, 11 + 1)


def test_cached_prompt_tokens_count_as_prompt_but_not_as_work() -> None:
    """600 of 1,000 tokens are cached: 37 blocks of 16, 592 tokens. The other 408 are computed in one step."""
    sim = server([Arrival(0.0, 1000, 1, cached_tokens=600)])
    sim.advance(1.0)
    counters, truth = sim.counters, sim.truth()
    assert (counters.prompt_tokens, counters.computed_prompt_tokens, counters.cached_prompt_tokens) == (1000, 408, 592)
    assert (truth.computed_tokens, truth.cached_tokens) == (408, 592)
    assert counters.step_tokens.sum == 408 + 1
    assert (counters.request_prompt_tokens.sum, counters.request_computed_tokens.sum) == (1000, 408)


def test_at_least_one_prompt_token_is_computed() -> None:
    """All 64 tokens are cached, but the last block is computed again: 48 cached, 16 computed."""
    sim = server([Arrival(0.0, 64, 1, cached_tokens=64)])
    sim.advance(1.0)
    assert (sim.truth().computed_tokens, sim.truth().cached_tokens) == (16, 48)


def test_without_prefix_caching_nothing_is_queried_or_cached() -> None:
    sim = server([Arrival(0.0, 64, 1, cached_tokens=64)], prefix_caching=False)
    sim.advance(1.0)
    assert (sim.counters.prefix_queries, sim.counters.prefix_hits, sim.truth().cached_tokens) == (0, 0, 0)


def test_prefix_cache_counters_move_at_admission_before_the_prompt_counters() -> None:
    sim = server([Arrival(0.0, 2500, 1, cached_tokens=160)])
    sim.advance(0.15)
    assert (sim.counters.prefix_queries, sim.counters.prefix_hits) == (2500, 160)
    assert (sim.counters.prompt_tokens, sim.counters.cached_prompt_tokens) == (0, 0)


def test_the_running_gauge_counts_prefilling_requests() -> None:
    sim = server(arrivals((0.0, 10, 50), (0.05, 5000, 5)))
    sim.advance(0.35)
    assert sim.counters.running == 2
    assert sim.truth().decode_sequence_steps == 2


def test_gauges_are_those_after_the_last_step() -> None:
    """In the middle of the first step the engine still says that nothing runs, and nobody waits."""
    sim = server(arrivals((0.0, 10, 2), (0.02, 10, 2), (0.04, 10, 2)), max_num_seqs=2)
    seen = []
    for at_s in (0.05, 0.15, 0.25, 0.35, 1.0):
        sim.advance(at_s)
        seen.append((sim.counters.running, sim.counters.waiting))
    assert seen == [(0, 0), (1, 0), (1, 1), (1, 0), (0, 0)]


def test_generated_tokens_are_live_and_gaps_count_sequence_steps() -> None:
    """Two sequences of 5 tokens: the first token of each is no gap."""
    sim = server(arrivals((0.0, 10, 5), (0.0, 10, 5)))
    seen = []
    for at_s in (0.15, 0.25, 0.55):
        sim.advance(at_s)
        seen.append((sim.counters.generation_tokens, sim.counters.token_gap_s.count, sim.counters.request_s.count))
    assert seen == [(2, 0, 0), (4, 2, 0), (10, 8, 2)]
    assert sim.counters.token_gap_s.sum == pytest.approx(8 * 0.1)


def test_request_series_are_observed_at_the_finish_only() -> None:
    sim = server(arrivals((0.0, 10, 50)))
    sim.advance(4.95)
    counters = sim.counters
    finish_time = (
        counters.request_s,
        counters.queue_s,
        counters.prefill_s,
        counters.decode_s,
        counters.inference_s,
        counters.request_token_gap_s,
        counters.request_prompt_tokens,
        counters.request_generation_tokens,
        counters.request_preemptions,
    )
    assert {histogram.count for histogram in finish_time} == {0}
    assert counters.generation_tokens == 49
    sim.advance(5.05)
    assert {histogram.count for histogram in finish_time} == {1}
    assert counters.decode_s.sum == pytest.approx(49 * 0.1)
    assert counters.request_token_gap_s.sum == pytest.approx(0.1)


def test_one_token_requests_pull_the_mean_time_per_token_down() -> None:
    """A request without a second token observes a time per output token of 0."""
    sim = server(arrivals((0.0, 10, 1)))
    sim.advance(1.0)
    assert (sim.counters.request_token_gap_s.count, sim.counters.request_token_gap_s.sum) == (1, 0.0)
    assert sim.counters.token_gap_s.count == 0


def test_queue_time_leaves_out_the_step_in_progress_and_time_to_first_token_does_not() -> None:
    """Arrived at 0.05 during a step until 0.1: the engine queues and schedules it at 0.1; first token at 0.2."""
    sim = server(arrivals((0.0, 10, 1), (0.05, 10, 1)))
    sim.advance(1.0)
    assert sim.counters.queue_s.sum == pytest.approx(0.0)
    assert sim.counters.first_token_s.sum == pytest.approx(0.1 + 0.15)
    assert sim.counters.prefill_s.sum == pytest.approx(0.1 + 0.1)


def test_queue_time_counts_waiting_for_a_seat() -> None:
    """The second request is queued at 0.1 and seated when the first ends at 0.5."""
    sim = server(arrivals((0.0, 10, 5), (0.05, 10, 1)), max_num_seqs=1)
    sim.advance(1.0)
    assert sim.counters.queue_s.sum == pytest.approx(0.4)


def test_finish_reasons() -> None:
    """Reaching max_tokens or the model's context is `length`, anything before it `stop`."""
    requests = [Arrival(0.0, 10, 5, max_tokens=5), Arrival(0.0, 10, 5, max_tokens=6), Arrival(0.0, 90, 50)]
    sim = server(requests, max_model_len=100)
    sim.advance(5.0)
    assert sim.counters.success == {"stop": 1, "length": 2, "abort": 0, "error": 0, "repetition": 0}
    assert sim.counters.request_generation_tokens.sum == 5 + 5 + 10
    assert (sim.counters.request_max_tokens.count, sim.counters.request_max_tokens.sum) == (2, 11)


def test_aborted_requests_keep_their_tokens_and_leave_no_finish() -> None:
    sim = server([Arrival(0.0, 10, 50, abort_after_tokens=7), Arrival(0.0, 10, 3)])
    sim.advance(10.0)
    counters, truth = sim.counters, sim.truth()
    assert (truth.completions, truth.aborts) == (1, 1)
    assert counters.generation_tokens == 7 + 3
    assert counters.prompt_tokens == 20
    assert (sum(counters.success.values()), counters.success["abort"], counters.request_s.count) == (1, 0, 1)
    assert counters.request_generation_tokens.sum == 3


def test_requests_longer_than_the_context_never_reach_the_engine() -> None:
    sim = server(arrivals((0.0, 100, 1), (0.0, 99, 1)), max_model_len=100)
    sim.advance(1.0)
    assert (sim.truth().arrivals, sim.truth().rejections, sim.truth().completions) == (2, 1, 1)
    assert (sim.counters.prompt_tokens, sim.counters.prefix_queries) == (99, 99)


def test_kv_usage_counts_blocks_of_running_requests() -> None:
    """17 prompt tokens take 2 of 625 blocks of 16; the 16th decode step, until 1.7 s, takes the 3rd."""
    sim = server(arrivals((0.0, 17, 30)))
    seen = []
    for at_s in (0.15, 1.55, 1.65, 1.75, 5.0):
        sim.advance(at_s)
        seen.append(round(sim.counters.kv_usage_ratio * 625))
    assert seen == [2, 2, 2, 3, 0]


def test_drafts_multiply_tokens_but_not_sequence_steps() -> None:
    """Drafts of 3, all accepted: 1 first token, then 4 per step: 13 tokens after 3 steps, and 3 gaps."""
    sim = server(arrivals((0.0, 10, 13)), speculation=Speculation(3, 1.0))
    sim.advance(10.0)
    counters = sim.counters
    assert (counters.generation_tokens, counters.token_gap_s.count, counters.step_tokens.count) == (13, 3, 4)
    assert (counters.drafts, counters.accepted_by_position) == (3, [3, 3, 3])
    assert sim.truth().decode_sequence_steps == 3


def test_the_last_draft_may_be_cut_by_the_end_of_the_output() -> None:
    """Of the second step's 4 tokens only 1 is still wanted; the engine has accepted all the same."""
    sim = server(arrivals((0.0, 10, 6)), speculation=Speculation(3, 1.0))
    sim.advance(10.0)
    assert sim.counters.generation_tokens == 6
    assert (sim.counters.drafts, sim.counters.accepted_by_position) == (2, [2, 2, 2])


def test_drafts_are_accepted_as_often_as_told() -> None:
    """Position p is accepted with probability 0.7^(p + 1)."""
    requests = [Arrival(0.01 * number, 10, 2000) for number in range(10)]
    sim = server(requests, speculation=Speculation(3, 0.7), kv_capacity_tokens=30_000)
    sim.advance(1000.0)
    shares = [accepted / sim.counters.drafts for accepted in sim.counters.accepted_by_position]
    assert shares == pytest.approx([0.7, 0.49, 0.343], abs=0.015)


def test_a_mixed_step_is_wholly_prefill_by_one_account_and_not_by_the_other() -> None:
    """A chunk that adds no time to a decode step: exclusive 0.1 s each, marginal only where nothing decodes."""
    sim = server(arrivals((0.0, 10, 20), (0.05, 10, 1)))
    sim.advance(10.0)
    truth = sim.truth()
    assert truth.exclusive_prefill_s == pytest.approx(0.2)
    assert truth.marginal_prefill_s == pytest.approx(0.1)
    assert truth.decode_s == pytest.approx(truth.busy_s - 0.2)


def test_the_truth_covers_the_elapsed_part_of_the_step_in_progress() -> None:
    """0.03 s idle, then a step of 0.1 s of which 0.02 s have passed; the page knows nothing of it yet."""
    sim = server(arrivals((0.03, 10, 5)))
    sim.advance(0.05)
    truth = sim.truth()
    assert (truth.idle_s, truth.busy_s, truth.exclusive_prefill_s) == pytest.approx((0.03, 0.02, 0.02))
    assert (truth.arrivals, truth.steps, sim.counters.running) == (1, 0, 0)
    assert sim.truth(whole_steps=True).busy_s == 0.0


def test_steps_are_those_of_a_real_engine() -> None:
    """A run of vLLM 0.32 on a CPU: 24 clients on 16 seats, 64 prompt and 48 output tokens, 48 requests in all.

    Its own log of steps as (prompt tokens, decoding sequences) x repetitions. Clients ask again when answered, a
    little later than the step that answered them; here that is put into the arrivals.
    """
    logged = [
        ((64, 0), 1), ((960, 1), 1), ((0, 16), 46), ((64, 15), 1), ((512, 1), 1), ((448, 9), 1), ((0, 16), 45),
        ((64, 15), 1), ((512, 8), 1), ((448, 9), 1), ((0, 16), 45), ((0, 15), 1), ((0, 7), 1),
    ]  # fmt: skip
    again = [(4.85, 1), (4.95, 15), (9.65, 1), (9.75, 7)]
    requests = [(0.0, 64, 48)] + [(0.05, 64, 48)] * 23
    requests += [(at_s, 64, 48) for at_s, count in again for _ in range(count)]
    sim = server(arrivals(*requests), max_num_seqs=16, max_num_batched_tokens=2048)
    steps = []
    before = sim.truth()
    for step in range(sum(count for _, count in logged)):
        sim.advance(0.1 * step + 0.11)
        after = sim.truth(whole_steps=True)
        steps.append(
            (after.computed_tokens - before.computed_tokens, after.decode_sequence_steps - before.decode_sequence_steps)
        )
        before = after
    assert steps == [step for step, count in logged for _ in range(count)]
    assert sim.truth().completions == 48
