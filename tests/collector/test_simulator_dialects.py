"""Each dialect's page, read by the real scraper: the right engine, every figure it can give, and its own traps."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from collector.jobs.simulated_polls import Found, SimulatedPolls, watch
from collector.servers import engine_specs
from collector.simulator.dialects import DIALECTS
from collector.simulator.scenarios import LLAMA_8B, SimulatedReplica
from collector.simulator.site import Answer
from collector.simulator.speculation import Speculation
from collector.simulator.traffic import Lengths
from collector.simulator.trtllm_page import KEPT_ITERATIONS
from collector.simulator.workloads import Workload

TOKENS = ("prompt_tokens_total", "prefill_tokens_total", "cached_tokens_total", "generation_tokens_total")
DRAFTS = {"draft_steps_total", "draft_tokens_total", "accepted_tokens_total"}
NOT_THERE: dict[str, set[str]] = {
    "vllm": DRAFTS | {"prefill_s_total", "prefill_marginal_s_total", "decode_s_total"},
    "sglang": set(),
    "sglang-no-timer": set(),
    "tgi": set(),
    "trtllm": set(),
    "llamacpp": {"decode_s_total", "kv_usage_ratio"},
}
"""What the engine's file can give, but not without drafts, from a page alone, of this version, or of several slots."""


def workload(dialect: str, **more: Any) -> Workload:
    """Half a minute of a busy little server with eight seats."""
    lengths = {"prompt": Lengths(400, 0.5, 50, 2000), "output": Lengths(60, 0.5, 8, 300)}
    usual = {"load": 0.6, "seed": 3, "seats": 8, "chunk_tokens": 1024, "cached_share": 0.25, "busy_noise": 0.0}
    spans = {"warm_up_s": 20.0, "span_s": 30.0}
    return Workload(dialect, **{**lengths, **usual, **spans, "dialect": dialect, **more})


def poll(replica: SimulatedReplica, *virtual_s: float, exclusive: bool = True) -> list[Found]:
    """What polls at these times find."""

    async def go() -> list[Found]:
        polls = SimulatedPolls(replica, exclusive=exclusive)
        return [await polls.poll(at_s, 5.0) for at_s in virtual_s]

    return asyncio.run(go())


def ending(one: Workload, requests: int) -> SimulatedReplica:
    """The workload's server with its first requests only, so that it comes to rest."""
    return replace(one, requests=requests).build()


def answer(replica: SimulatedReplica, path: str) -> Answer:
    return replica.site.routes[path](None)


def value(replica: SimulatedReplica, series: str) -> float:
    """One sample of the page as it stands."""
    (line,) = [line for line in replica.page.render().splitlines() if line.startswith((f"{series} ", f"{series}{{"))]
    return float(line.rpartition(" ")[2])


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_page_is_told_as_its_own_engines_and_gives_every_figure_that_file_reads(dialect: str) -> None:
    watched = asyncio.run(watch(workload(dialect)))

    assert watched.identity.engine == DIALECTS[dialect].engine
    assert set(watched.unreported) == NOT_THERE[dialect]
    assert watched.identity.mixed_steps is DIALECTS[dialect].mixed_steps


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_model_and_its_shape_can_be_told_from_the_identity(dialect: str) -> None:
    path = asyncio.run(watch(workload(dialect))).identity.model_path

    assert path is not None
    assert path.startswith(LLAMA_8B.name)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_at_rest_every_token_is_counted_once(dialect: str) -> None:
    """The engines' own exceptions: SGLang computes a row that has just ended once more, which replaces the first token
    that it does not count (requests of one token apart); TGI counts no cached prompt tokens.
    """
    replica = ending(workload(dialect), 40)
    first, last = poll(replica, 0.0, 600.0)
    truth = replica.server.truth()
    expected: dict[str, float | None] = {
        "prompt_tokens_total": truth.computed_tokens + truth.cached_tokens,
        "prefill_tokens_total": truth.computed_tokens,
        "cached_tokens_total": truth.cached_tokens,
        "generation_tokens_total": truth.generated_tokens,
    }
    if dialect == "tgi":
        expected |= {"prefill_tokens_total": None, "cached_tokens_total": None}

    assert (truth.arrivals, truth.completions) == (40, 40)
    assert {name: last.fields.get(name) for name in TOKENS} == expected
    assert all((first.fields.get(name) or 0.0) == 0.0 for name in TOKENS)


@pytest.mark.parametrize("dialect", [name for name in DIALECTS if name != "vllm"])
def test_time_in_both_phases_is_the_truth_in_the_engines_own_accounting(dialect: str) -> None:
    """Exclusive accounting; without the timer SGLang scales the steps that it timed to all, which is good to 1 %."""
    watched = asyncio.run(watch(workload(dialect, load=0.9)))
    first, last = watched.samples[0], watched.samples[-1]
    truth = watched.truth
    assert first.prefill_s_total is not None
    assert last.prefill_s_total is not None
    longest_step_s = 0.1

    prefill_s = last.prefill_s_total - first.prefill_s_total
    assert prefill_s == pytest.approx(truth.exclusive_prefill_s, rel=0.01, abs=longest_step_s)
    if dialect != "llamacpp":
        assert first.decode_s_total is not None
        assert last.decode_s_total is not None
        decode_s = last.decode_s_total - first.decode_s_total
        assert decode_s == pytest.approx(truth.decode_s, rel=0.01, abs=longest_step_s)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_counters_never_fall(dialect: str) -> None:
    watched = asyncio.run(watch(workload(dialect, load=1.1)))
    spec = engine_specs()[DIALECTS[dialect].engine]
    for name in spec.provides:
        values = [getattr(sample, name) for sample in watched.samples]
        told = [one for one in values if one is not None]
        if name.endswith("_total"):
            assert told == sorted(told), name


def test_sglang_keeps_its_phases_apart() -> None:
    """No step carries both, so the two ways to account for prefill agree but for what a bare chunk's step costs."""
    replica = workload("sglang").build()
    replica.server.advance(60.0)
    truth = replica.server.truth()

    assert truth.prefill_s < truth.marginal_prefill_s == pytest.approx(truth.exclusive_prefill_s)


def test_sglang_without_its_timer_has_the_timers_header_but_no_series() -> None:
    with_timer, without = (workload(name).build() for name in ("sglang", "sglang-no-timer"))
    for replica in (with_timer, without):
        replica.server.advance(20.0)

    assert 'forward_execution_seconds_total{category="decode"' in with_timer.page.render()
    assert "forward_execution_seconds_total{" not in without.page.render()
    assert "# TYPE sglang:forward_execution_seconds_total counter" in without.page.render()


def test_sglang_counts_passes_on_every_worker_and_the_reader_counts_them_once() -> None:
    replica = workload("sglang", tensor_parallel=2).build()
    (found,) = poll(replica, 20.0)
    truth = replica.server.truth(whole_steps=True)
    page = replica.page.render()

    assert page.count('mode="decode_cuda_graph"') == 2
    assert found.fields["steps_total"] == pytest.approx(truth.decode_steps, rel=0.02)
    assert found.fields["prefill_s_total"] == pytest.approx(truth.exclusive_prefill_s)


def test_sglang_totals_of_requests_move_only_when_one_ends() -> None:
    one = workload("sglang", prompt=Lengths(400, 0.0, 1, 400), output=Lengths(2000, 0.0, 1, 2000))
    replica = ending(one, 1)
    replica.server.advance(5.0)

    assert replica.server.truth().generated_tokens > 100
    assert "sglang:generation_tokens_total{" not in replica.page.render()
    assert 'sglang:realtime_tokens_total{engine_type="unified",mode="decode"' in replica.page.render()


def test_sglang_moments_time_all_decode_steps_but_the_first_of_a_row() -> None:
    """One request alone: of its decode steps the first is not timed, and the last few are not in the snapshot yet."""
    one = workload("sglang-no-timer", prompt=Lengths(400, 0.0, 1, 400), output=Lengths(100, 0.0, 1, 100))
    replica = ending(one, 1)
    replica.server.advance(60.0)
    (load,) = json.loads(answer(replica, "/v1/loads").body)["loads"]
    steps, batch, microseconds = load["decode_moments"][:3]
    truth = replica.server.truth()

    assert truth.decode_steps == 99  # 100 tokens, the first of them by the prefill
    assert (steps, batch) == (89, 89)  # 90 is the last multiple of 15; the first step of the row is not timed
    assert microseconds / steps == pytest.approx(1e6 * truth.decode_s / 99, rel=0.01)
    assert load["total_prefill_busy_us"] == round(1e6 * truth.exclusive_prefill_s)


def test_tgi_counts_a_prompt_when_it_arrives() -> None:
    one = workload("tgi", prompt=Lengths(500, 0.0, 1, 500), load=3.0, seats=1, cached_share=None)
    replica = one.build()
    replica.server.advance(60.0)
    truth = replica.server.truth()

    assert truth.arrivals > truth.completions + 10
    assert value(replica, "tgi_request_input_length_sum") == 500 * truth.arrivals > truth.computed_tokens


def test_tgi_shows_chunking_from_the_first_pass_that_mixes_phases() -> None:
    replica = workload("tgi").build()
    before = replica.page.render()
    replica.server.advance(60.0)

    assert 'reason="chunking"' not in before
    assert 'tgi_batch_concat{reason="chunking"}' in replica.page.render()


def test_tgi_counts_the_tokens_that_drafts_gave() -> None:
    replica = workload("tgi", speculation=Speculation(2, 0.8)).build()
    (found,) = poll(replica, 60.0)
    truth = replica.server.truth(whole_steps=True)

    assert found.fields["generation_tokens_total"] == truth.generated_tokens
    assert found.fields["decode_sequence_steps_total"] == truth.decode_sequence_steps


def test_trtllms_page_moves_only_when_a_request_completes() -> None:
    one = workload("trtllm", prompt=Lengths(400, 0.0, 1, 400), output=Lengths(2000, 0.0, 1, 2000), cached_share=None)
    replica = ending(one, 1)
    replica.server.advance(5.0)
    under_way = replica.page.render()
    replica.server.advance(600.0)

    assert replica.server.truth().completions == 1
    assert (
        'trtllm_prefill_batch_tokens_sum{engine_type="trtllm",model_name="meta-llama/Llama-3.1-8B-Instruct"} 0.0'
        in (under_way)
    )
    labels = '{engine_type="trtllm",model_name="meta-llama/Llama-3.1-8B-Instruct"}'
    assert value(replica, f"trtllm_prefill_batch_tokens_sum{labels}") == 400
    assert value(replica, f"trtllm_generation_tokens_total{labels}") == 2000


def records(replica: SimulatedReplica) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(answer(replica, "/metrics").body)
    return found


def test_trtllm_gives_each_iteration_out_once_and_keeps_a_thousand() -> None:
    replica = workload("trtllm").build()
    told = []
    for number in range(1, 31):
        replica.server.advance(float(number))
        told += records(replica)
    truth = replica.server.truth(whole_steps=True)
    stats = [one["inflightBatchingStats"] for one in told]

    assert len(told) == truth.steps
    assert [one["iter"] for one in told] == list(range(1, len(told) + 1))
    assert sum(one["iterLatencyMS"] for one in told) / 1000 == pytest.approx(truth.busy_s)
    assert sum(one["numGenRequests"] for one in stats) == truth.decode_sequence_steps
    assert sum(one["numCtxTokens"] for one in stats) == truth.computed_tokens + truth.recomputed_tokens
    assert records(replica) == []

    replica.server.advance(90.0)
    lost = replica.server.truth(whole_steps=True).steps - truth.steps - KEPT_ITERATIONS
    assert lost > 0
    assert len(records(replica)) == KEPT_ITERATIONS


def test_the_iterations_that_are_kept_are_the_latest() -> None:
    """Two servers alike, one read all the time and one at the end: the end gives what the last reads gave."""
    often, once = (workload("trtllm").build() for _ in range(2))
    told = []
    for number in range(1, 61):
        often.server.advance(float(number))
        told += records(often)
    once.server.advance(60.0)
    late = records(once)

    assert len(told) > KEPT_ITERATIONS
    lengths = [[one["iterLatencyMS"] for one in some] for some in (late, told[-KEPT_ITERATIONS:])]
    assert lengths[0] == pytest.approx(lengths[1], rel=1e-6)


def test_trtllms_records_are_left_alone_where_others_may_read_them() -> None:
    watched = asyncio.run(watch(workload("trtllm", exclusive=False)))

    assert {"prefill_s_total", "decode_s_total", "steps_total"} <= set(watched.unreported)
    assert watched.samples[-1].generation_tokens_total is not None


def test_llamacpps_page_counts_generated_tokens_at_their_requests_end_and_slots_those_under_way() -> None:
    one = workload("llamacpp", output=Lengths(2000, 0.0, 1, 2000))
    replica = ending(one, 3)
    (found,) = poll(replica, 5.0)
    truth = replica.server.truth(whole_steps=True)
    slots = json.loads(answer(replica, "/slots").body)

    assert value(replica, "llamacpp:tokens_predicted_total") == 0
    assert found.fields["generation_tokens_total"] == truth.generated_tokens > 100
    assert "generation_tokens_total" not in found.lumpy
    assert (len(slots), sum(slot["is_processing"] for slot in slots)) == (8, replica.server.counters.running)


def test_llamacpps_slots_tell_what_drafts_gave() -> None:
    one = workload("llamacpp", output=Lengths(2000, 0.0, 1, 2000), speculation=Speculation(2, 0.6))
    replica = ending(one, 3)
    (found,) = poll(replica, 5.0)

    assert found.fields["generation_tokens_total"] == replica.server.truth(whole_steps=True).generated_tokens > 100


def test_llamacpp_counts_the_tokens_of_clients_that_left() -> None:
    replica = ending(workload("llamacpp", abort_share=0.5), 40)
    replica.server.advance(600.0)
    truth = replica.server.truth()

    assert truth.aborts > 5
    assert value(replica, "llamacpp:tokens_predicted_total") == truth.generated_tokens


def test_llamacpp_prints_six_digits() -> None:
    one = workload("llamacpp", prompt=Lengths(1999, 0.0, 1, 1999), cached_share=None)
    replica = ending(one, 600)
    replica.server.advance(6000.0)

    assert replica.server.truth().computed_tokens == 600 * 1999 == 1_199_400
    assert "llamacpp:prompt_tokens_total 1.1994e+06\n" in replica.page.render()


def test_llamacpps_throughput_gauges_are_reset_by_whoever_reads_them() -> None:
    replica = ending(workload("llamacpp"), 10)
    replica.server.advance(600.0)

    assert value(replica, "llamacpp:predicted_tokens_seconds") > 0
    assert value(replica, "llamacpp:predicted_tokens_seconds") == 0


def test_one_llamacpp_slot_tells_both_phases() -> None:
    """Its generation time, first token excluded, is all the time without prompt tokens."""
    replica = ending(replace(workload("llamacpp"), seats=1), 30)
    found = poll(replica, 0.0, 600.0)[-1]
    truth = replica.server.truth()

    assert found.fields["prefill_s_total"] == pytest.approx(truth.exclusive_prefill_s, rel=1e-5)
    assert found.fields["decode_s_total"] == pytest.approx(truth.decode_s, rel=1e-5)
