"""The simulated metrics page against the facts of a real one, and its numbers against the engine's state."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from collector.simulator.counters import length_bounds
from collector.simulator.server import SimulatedServer
from collector.simulator.speculation import Speculation
from collector.simulator.traffic import Arrival
from collector.simulator.vllm_page import PageSettings, VllmPage, render
from tests.fakes import vllm_page_facts as facts
from tests.fakes.simulator_workloads import FLAT, Workload, arrivals, server, workloads

MODEL = "meta-llama/Llama-3.1-8B-Instruct"
SETTINGS = PageSettings(MODEL, 1_795_000_000.25)


def families(text: str) -> dict[str, Metric]:
    """The page's metrics by name, as prometheus_client reads them."""
    return {metric.name: metric for metric in text_string_to_metric_families(text)}


def value(text: str, sample_name: str, **labels: str) -> float:
    """The value of the one sample of this name that has these labels among its own."""
    found = [
        sample.value
        for metric in text_string_to_metric_families(text)
        for sample in metric.samples
        if sample.name == sample_name and labels.items() <= sample.labels.items()
    ]
    assert len(found) == 1, (sample_name, labels, found)
    return found[0]


def short_context(requests: list[Arrival], **limits: int | Speculation) -> SimulatedServer:
    """A server with the context length of the real page."""
    return server(requests, max_model_len=2048, **limits)


def test_names_kinds_labels_and_bounds_are_those_of_a_real_page() -> None:
    found = families(render(short_context([]), SETTINGS))
    expected_kinds = facts.PLAIN | {name: kind for name, (kind, _, _) in facts.LABELLED.items()}
    expected_kinds |= dict.fromkeys(facts.BOUNDS, "histogram") | dict.fromkeys(facts.WITHOUT_ENGINE, "counter")
    expected_kinds |= {"cache_config_info": "gauge"}
    kinds = {
        name.removeprefix("vllm:"): metric.type
        for name, metric in found.items()
        if name.startswith("vllm:") and not name.endswith("_created")
    }
    assert kinds == expected_kinds
    common = {"engine": "0", "model_name": MODEL}
    for name in facts.PLAIN:
        assert [sample.labels for sample in found[f"vllm:{name}"].samples] == [common]
    for name, (_, label, choices) in facts.LABELLED.items():
        labels = [sample.labels for sample in found[f"vllm:{name}"].samples]
        assert labels == [common | {label: choice} for choice in choices]
    for name, (label, choices) in facts.WITHOUT_ENGINE.items():
        labels = [sample.labels for sample in found[f"vllm:{name}"].samples]
        assert labels == [{"model_name": MODEL, label: choice} for choice in choices]
    for name, bounds in facts.BOUNDS.items():
        samples = found[f"vllm:{name}"].samples
        assert [sample.labels.get("le") for sample in samples] == [*bounds.split(), "+Inf", None, None]
        assert [sample.name.removeprefix(f"vllm:{name}") for sample in samples[-2:]] == ["_count", "_sum"]
    (config,) = found["vllm:cache_config_info"].samples
    assert set(config.labels) == set(facts.CONFIG_LABELS.split())


def test_created_series_stand_beside_every_counter_and_histogram_unless_switched_off() -> None:
    """A histogram keeps its `_total` in the name, a counter loses it."""
    found = families(render(short_context([]), SETTINGS))
    created = {name for name in found if name.endswith("_created")}
    counters = [*(name for name, kind in facts.PLAIN.items() if kind == "counter")]
    counters += [name for name, (kind, _, _) in facts.LABELLED.items() if kind == "counter"]
    assert created == {f"vllm:{name}_created" for name in [*counters, *facts.BOUNDS]}
    assert {sample.value for name in created for sample in found[name].samples} == {1_795_000_000.25}
    without = render(short_context([]), PageSettings(MODEL, 1_795_000_000.0, created=False))
    assert "_created" not in without


def test_the_process_tells_when_it_started() -> None:
    assert value(render(server([]), SETTINGS), "process_start_time_seconds") == 1_795_000_000.25


def test_speculative_counters_exist_only_with_speculation() -> None:
    plain = families(render(server([]), SETTINGS))
    assert not [name for name in plain if "spec_decode" in name]
    sim = server(arrivals((0.0, 10, 13)), speculation=Speculation(3, 1.0))
    sim.advance(10.0)
    page = render(sim, SETTINGS)
    totals = [value(page, f"vllm:{name}_total") for name in facts.SPECULATIVE]
    assert totals == [3, 9, 9]
    by_position = [
        value(page, f"vllm:{facts.SPECULATIVE_BY_POSITION}_total", position=str(position)) for position in range(3)
    ]
    assert by_position == [3, 3, 3]


def test_a_page_says_what_the_engine_counted() -> None:
    """Prompts 100 (48 cached) and 50 with outputs of 4 and 2, a third request still running with 7 tokens so far."""
    sim = server(
        [Arrival(0.0, 100, 4, cached_tokens=48, max_tokens=4), Arrival(0.0, 50, 2, max_tokens=9), Arrival(0.0, 10, 60)]
    )
    sim.advance(0.75)
    page = render(sim, SETTINGS)
    expected = {
        "vllm:prompt_tokens_total": 160,
        "vllm:prompt_tokens_cached_total": 48,
        "vllm:generation_tokens_total": 4 + 2 + 7,
        "vllm:prefix_cache_queries_total": 160,
        "vllm:prefix_cache_hits_total": 48,
        "vllm:iteration_tokens_total_count": 7,
        "vllm:iteration_tokens_total_sum": 112 + 13,
        "vllm:inter_token_latency_seconds_count": 3 + 1 + 6,
        "vllm:time_to_first_token_seconds_count": 3,
        "vllm:e2e_request_latency_seconds_count": 2,
        "vllm:request_prompt_tokens_sum": 150,
        "vllm:request_generation_tokens_sum": 6,
        "vllm:request_params_max_tokens_sum": 13,
        "vllm:request_params_n_sum": 2,
        "vllm:request_prefill_kv_computed_tokens_sum": 102,
        "vllm:num_requests_running": 1,
        "vllm:num_requests_waiting": 0,
        "vllm:kv_cache_usage_perc": 1 / 625,
    }
    assert {name: value(page, name) for name in expected} == expected
    assert value(page, "vllm:prompt_tokens_by_source_total", source="local_compute") == 112
    assert value(page, "vllm:prompt_tokens_cached_by_source_total", source="device") == 48
    reasons = {
        reason: value(page, "vllm:request_success_total", finished_reason=reason) for reason in ("stop", "length")
    }
    assert reasons == {"stop": 1, "length": 1}
    assert value(page, "vllm:request_prompt_tokens_bucket", le="50.0") == 1
    assert value(page, "vllm:cache_config_info", num_gpu_blocks="625", kv_cache_size_tokens="10000") == 1


@settings(max_examples=25, deadline=None)
@given(workloads())
def test_histograms_on_the_page_are_monotone_and_end_in_their_count(workload: Workload) -> None:
    sim = workload.build()
    sim.advance(workload.end_s)
    for metric in families(render(sim, SETTINGS)).values():
        if metric.type == "histogram":
            buckets = [sample.value for sample in metric.samples if sample.name.endswith("_bucket")]
            (count,) = [sample.value for sample in metric.samples if sample.name.endswith("_count")]
            assert buckets == sorted(buckets)
            assert buckets[-1] == count


@settings(max_examples=25, deadline=None)
@given(workloads())
def test_nothing_on_the_page_but_gauges_ever_falls(workload: Workload) -> None:
    sim = workload.build()
    page = VllmPage([sim], SETTINGS)
    before: dict[tuple[str, ...], float] = {}
    for until_s in [*workload.polls, workload.end_s]:
        sim.advance(until_s)
        now = {
            (sample.name, *sorted(sample.labels.values())): sample.value
            for metric in text_string_to_metric_families(page.render())
            for sample in metric.samples
            if metric.type != "gauge"
        }
        assert all(now[key] >= earlier for key, earlier in before.items())
        before = now


def test_the_mfu_counters_stay_at_zero_unless_asked_for() -> None:
    """Asked for: 1e9 weight bytes in each of 3 steps."""
    sim = server(arrivals((0.0, 10, 3)))
    sim.advance(1.0)
    name = "vllm:estimated_read_bytes_per_gpu_total"
    assert value(render(sim, SETTINGS), name) == 0
    assert value(render(sim, PageSettings(MODEL, 0.0, mfu_metrics=True)), name) == 3e9


def test_data_parallel_ranks_share_a_page_with_their_samples_grouped_by_engine() -> None:
    first, second = server(arrivals((0.0, 10, 3))), server(arrivals((0.0, 20, 5)))
    for sim in (first, second):
        sim.advance(1.0)
    page = VllmPage([first, second], SETTINGS).render()
    assert [value(page, "vllm:prompt_tokens_total", engine=engine) for engine in "01"] == [10, 20]
    engines = [sample.labels["engine"] for sample in families(page)["vllm:iteration_tokens_total"].samples]
    assert engines == ["0"] * 16 + ["1"] * 16
    assert page.count("process_start_time_seconds ") == 3


def test_asked_for_by_name_only_these_samples_come() -> None:
    sim = server(arrivals((0.0, 10, 3)))
    names = frozenset({"vllm:generation_tokens_total", "vllm:iteration_tokens_total_count", "no_such_metric"})
    text = VllmPage([sim], SETTINGS).render(names)
    samples = [line.split("{")[0] for line in text.splitlines() if not line.startswith("#")]
    assert samples == ["vllm:generation_tokens_total", "vllm:iteration_tokens_total_count"]


def test_a_model_name_may_hold_any_character() -> None:
    name = 'odd "name" \\ with\nlines'
    page = render(server([]), PageSettings(name, 0.0))
    assert value(page, "vllm:num_requests_running", model_name=name) == 0


@pytest.mark.parametrize(
    ("max_model_len", "last"), [(2048, 2000), (5000, 5000), (131_072, 100_000), (200_000, 200_000)]
)
def test_length_bounds_end_at_the_context_length(max_model_len: int, last: int) -> None:
    assert length_bounds(max_model_len)[-1] == last


def test_the_engine_identities_that_real_pages_hold() -> None:
    """On every captured page: gaps = generated - first tokens; step tokens = computed prompt + generated tokens."""
    sim = SimulatedServer(
        FLAT,
        server([]).settings,
        arrivals(*[(0.07 * n, 5 + 90 * n, 1 + n % 9) for n in range(60)]),
        np.random.default_rng(0),
    )
    page = VllmPage([sim], SETTINGS)
    for at_s in (0.5, 1.5, 3.3, 8.0):
        sim.advance(at_s)
        text = page.render()
        generated, firsts = (
            value(text, n) for n in ("vllm:generation_tokens_total", "vllm:time_to_first_token_seconds_count")
        )
        assert value(text, "vllm:inter_token_latency_seconds_count") == generated - firsts
        computed = value(text, "vllm:prompt_tokens_by_source_total", source="local_compute")
        assert value(text, "vllm:iteration_tokens_total_sum") == computed + generated
        assert firsts > 0
