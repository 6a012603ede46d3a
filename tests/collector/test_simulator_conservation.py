"""What goes in comes out: the simulator against itself, against a literal engine, and against its own sums."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from collector.simulator.costs import Law, StepCosts
from collector.simulator.histograms import Histogram
from collector.simulator.scheduler import SchedulerSettings
from collector.simulator.server import SimulatedServer
from collector.simulator.speculation import Speculation
from collector.simulator.traffic import Lengths, Traffic
from tests.fakes.reference_engine import ReferenceEngine
from tests.fakes.simulator_workloads import Workload, histograms, workloads

PROFILE = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)


def assert_same_state(one: SimulatedServer, other: SimulatedServer) -> None:
    """All counters, gauges, histograms and truths agree: counts exactly, sums to 1e-9."""
    for name, value in vars(one.counters).items():
        counterpart = getattr(other.counters, name)
        if isinstance(value, Histogram):
            assert value.counts == counterpart.counts, name
            assert value.sum == pytest.approx(counterpart.sum, rel=1e-9, abs=1e-12), name
        else:
            assert value == counterpart, name
    here, there = one.truth(), other.truth()
    for name in here.__slots__:
        assert getattr(here, name) == pytest.approx(getattr(there, name), rel=1e-9, abs=1e-9), name


@PROFILE
@given(workloads())
def test_macro_steps_give_what_single_steps_give(workload: Workload) -> None:
    macro, single = workload.build(), workload.build(macro_steps=False)
    for until_s in [*workload.polls, workload.end_s]:
        macro.advance(until_s)
        single.advance(until_s)
        assert_same_state(macro, single)


@PROFILE
@given(workloads())
def test_polling_changes_nothing(workload: Workload) -> None:
    polled, left_alone = workload.build(), workload.build()
    for until_s in workload.polls:
        polled.advance(until_s)
        polled.truth()
    polled.advance(workload.end_s)
    left_alone.advance(workload.end_s)
    assert_same_state(polled, left_alone)


@PROFILE
@given(workloads())
def test_a_limit_of_events_per_call_changes_nothing(workload: Workload) -> None:
    sliced, whole = workload.build(), workload.build()
    reached = [0.0]
    while reached[-1] < workload.end_s:
        reached.append(sliced.advance(workload.end_s, max_events=7))
    whole.advance(workload.end_s)
    assert sorted(reached) == reached
    assert_same_state(sliced, whole)


@PROFILE
@given(workloads(accept_all_or_none=True))
def test_the_literal_engine_gives_the_same_counters(workload: Workload) -> None:
    assert_same_as_the_literal_engine(workload)


@pytest.mark.parametrize("speculation", [None, Speculation(2, 1.0), Speculation(3, 0.0)])
@pytest.mark.parametrize("law", list(Law))
def test_the_literal_engine_gives_the_same_counters_in_a_crowd(speculation: Speculation | None, law: Law) -> None:
    """300 requests in memory for four: most are preempted, many of them several times."""
    traffic = Traffic(
        30.0, Lengths(12, 0.6, 1, 60), Lengths(90, 0.5, 2, 180), cached_share=0.3, abort_share=0.1, gap_variation=2.0
    )
    drawn = traffic.arrivals(np.random.default_rng(11))
    requests = [next(drawn) for _ in range(300)]
    workload = Workload(
        StepCosts(1e9, 1e5, 1e8, 1e12, 1e13, overhead_s=0.002, per_sequence_s=1e-4, layers=8, hidden=512, law=law),
        SchedulerSettings(320, 12, 60, 250, 4, speculation=speculation),
        requests,
        polls=np.linspace(0.3, requests[-1].at_s, 20).tolist(),
    )
    server = assert_same_as_the_literal_engine(workload)
    preemptions = server.counters.request_preemptions
    assert server.counters.preemptions > 300
    assert sum(preemptions.counts[2:]) > 40
    assert server.truth().resumed_prefills > 300


def assert_same_as_the_literal_engine(workload: Workload) -> SimulatedServer:
    """At every poll the simulator has the counters, gauges and histograms of the literal engine."""
    server = workload.build()
    reference = ReferenceEngine(server.costs, workload.settings, workload.requests)
    for until_s in [*workload.polls, workload.end_s]:
        server.advance(until_s)
        reference.run(until_s)
        counters, truth, sums = server.counters, server.truth(whole_steps=True), reference.sums
        expected = {
            "prompt": counters.prompt_tokens,
            "computed": counters.computed_prompt_tokens,
            "queries": counters.prefix_queries,
            "hits": counters.prefix_hits,
            "generated": counters.generation_tokens,
            "preemptions": counters.preemptions,
            "stop": counters.success["stop"],
            "length": counters.success["length"],
            "steps": truth.steps,
            "sequence_steps": truth.decode_sequence_steps,
            "aborts": truth.aborts,
            "preempted": truth.preemptions,
        }
        if workload.settings.speculation is not None:
            expected |= {"drafts": counters.drafts, "accepted": sum(counters.accepted_by_position)}
        assert {name: sums[name] for name in expected} == expected
        used_blocks = round(counters.kv_usage_ratio * workload.settings.kv_blocks)
        assert reference.gauges == (counters.running, counters.waiting, used_blocks)
        assert (reference.busy, reference.exclusive, reference.marginal) == pytest.approx(
            (truth.busy_s, truth.exclusive_prefill_s, truth.marginal_prefill_s), rel=1e-9, abs=1e-12
        )
        for name, values in reference.seen.items():
            if name == "token_gap_s" and not workload.settings.mixed_steps:
                continue  # without the steps that sequences sat out
            histogram = histograms(server)[name]
            buckets = np.searchsorted(histogram.bounds, values, side="left")
            assert np.bincount(buckets, minlength=len(histogram.counts)).tolist() == histogram.counts, name
            assert math.fsum(values) == pytest.approx(histogram.sum, rel=1e-9, abs=1e-12), name
    return server


@PROFILE
@given(workloads())
def test_time_and_tokens_are_conserved(workload: Workload) -> None:
    server = workload.build()
    for until_s in [*workload.polls, workload.end_s]:
        server.advance(until_s)
        truth, counters = server.truth(), server.counters
        components = truth.weight_read_s + truth.kv_read_s + truth.decode_compute_s + truth.prefill_s + truth.overhead_s
        assert components == pytest.approx(truth.busy_s, rel=1e-9, abs=1e-12)
        assert truth.busy_s + truth.idle_s == pytest.approx(until_s, rel=1e-9)
        assert 0 <= truth.marginal_prefill_s <= truth.exclusive_prefill_s + 1e-9
        assert truth.exclusive_prefill_s <= truth.busy_s + 1e-9
        assert truth.prefill_s <= truth.exclusive_prefill_s + 1e-9
        assert truth.memory_bound_s <= truth.busy_s + 1e-9
        assert counters.token_gap_s.count == truth.decode_sequence_steps + truth.resumed_prefills
        assert counters.step_tokens.count == truth.steps_with_output <= truth.steps
        assert truth.decode_steps <= truth.steps_with_output
        assert counters.generation_tokens == truth.generated_tokens
        assert counters.prompt_tokens == counters.computed_prompt_tokens + counters.cached_prompt_tokens
        assert counters.step_tokens.sum == counters.computed_prompt_tokens + counters.generation_tokens
        assert 0 <= counters.kv_usage_ratio <= 1
        ended = truth.completions + truth.aborts + truth.rejections
        assert truth.arrivals >= ended + counters.running + counters.waiting
        assert all(histogram.cumulative()[-1] == histogram.count for histogram in histograms(server).values())


@PROFILE
@given(workloads())
def test_when_all_is_done_every_request_is_accounted_for(workload: Workload) -> None:
    server = workload.build()
    server.advance(workload.end_s)
    truth, counters, limits = server.truth(), server.counters, workload.settings
    served = [request for request in workload.requests if request.prompt_tokens < limits.max_model_len]
    outputs = [
        min(
            request.output_tokens,
            limits.max_model_len - request.prompt_tokens,
            *(limit for limit in (request.max_tokens, request.abort_after_tokens) if limit is not None),
        )
        for request in served
    ]
    assert truth.arrivals == len(workload.requests)
    assert truth.rejections == len(workload.requests) - len(served)
    assert truth.completions + truth.aborts == len(served)
    assert counters.generation_tokens == sum(outputs)
    assert counters.prompt_tokens == sum(request.prompt_tokens for request in served)
    assert (counters.computed_prompt_tokens, counters.cached_prompt_tokens) == (
        truth.computed_tokens,
        truth.cached_tokens,
    )
    assert counters.first_token_s.count == len(served)
    assert counters.request_s.count == truth.completions == sum(counters.success.values())
    assert (counters.running, counters.waiting, counters.kv_usage_ratio) == (0, 0, 0.0)
    if limits.speculation is None:
        assert counters.token_gap_s.count == counters.generation_tokens - counters.first_token_s.count


@PROFILE
@given(workloads())
def test_the_same_seed_gives_the_same_run(workload: Workload) -> None:
    runs = [workload.build() for _ in range(2)]
    for run in runs:
        run.advance(workload.end_s)
    assert runs[0].truth() == runs[1].truth()
    assert [h.counts for h in histograms(runs[0]).values()] == [h.counts for h in histograms(runs[1]).values()]
