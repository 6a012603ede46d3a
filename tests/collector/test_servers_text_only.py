"""Engines that offer a text page and nothing else: told apart, and read without their known traps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.errors import Kind, SourceError
from collector.scrape.limits import Limits
from collector.scrape.page import PageParser
from collector.scrape.reading import PageReading, read
from collector.scrape.spec import Context, Derived, EngineSpec
from collector.scrape.vllm_series import ALL_NAMES, CACHE_DERIVES, cached_and_computed, vllm_inputs, vllm_readings
from collector.servers import detect, engine_specs
from collector.servers.dynamo import ENGINE as DYNAMO
from collector.servers.lmdeploy import ENGINE as LMDEPLOY
from collector.servers.nim import ENGINE as NIM
from collector.servers.ray import ENGINE as RAY
from collector.servers.tgi import ENGINE as TGI
from collector.servers.triton import ENGINE as TRITON
from collector.servers.vllm import ENGINE as VLLM

SPECS = engine_specs()
NO_CONTEXT = Context(frozenset(), False, {})


def page(engine: str, text: str) -> PageReading:
    spec = SPECS[engine]
    return read(spec, PageParser(spec.wanted, Limits()).parse(text.encode()), {})


def only(engine: str, text: str) -> dict[str, float]:
    """The fields of the one replica on a page that are not None."""
    (replica,) = page(engine, text).replicas
    return {name: value for name, value in replica.fields.items() if value is not None}


def failure(names: set[str], engine: str | None = None) -> tuple[Kind, str]:
    with pytest.raises(SourceError) as raised:
        detect(names, engine)
    return raised.value.kind, str(raised.value)


def test_a_name_that_could_be_anybodys_is_never_taken_for_an_engine() -> None:
    assert failure({"num_requests_running", "up"}) == (
        Kind.UNKNOWN_ENGINE,
        "the page may be that of NVIDIA NIM (engine: nim), which must be stated: its names could be anybody's",
    )
    assert detect({"num_requests_running", "up"}, "nim") is NIM


def test_an_engine_with_names_of_its_own_is_told_beside_names_that_could_be_anybodys() -> None:
    assert detect({"num_requests_running", "vllm:num_requests_running"}) is VLLM


def test_a_page_that_is_not_nims_is_refused_by_the_name_of_whose_it_is() -> None:
    kind, text = failure({"vllm:num_requests_running"}, "nim")
    assert (kind, text) == (
        Kind.WRONG_ENGINE,
        "not a page of NVIDIA NIM, as stated: it looks like vLLM (engine: vllm)",
    )


def test_only_the_engine_without_a_prefix_has_to_be_stated() -> None:
    assert [spec.name for spec in SPECS.values() if spec.explicit_only] == ["nim"]


def test_vllm_inside_triton_is_a_page_of_triton() -> None:
    names = {"vllm:num_requests_running", "nv_inference_request_success"}
    assert detect(names) is TRITON
    assert failure(names, "vllm")[0] is Kind.WRONG_ENGINE
    assert "(engine: triton)" in failure(names, "vllm")[1]


def test_a_host_passes_on_engines_that_exist_and_never_itself() -> None:
    for spec in SPECS.values():
        assert spec.hosts <= set(SPECS) - {spec.name}


@pytest.mark.parametrize(
    ("series", "engine"),
    [("vllm:num_requests_running", "vllm"), ("sglang:num_running_reqs", "sglang")],
)
def test_a_dynamo_workers_page_is_that_of_the_engine_it_passes_through(series: str, engine: str) -> None:
    worker = {"dynamo_component_requests_total", "dynamo_component_inflight_requests", series}
    assert detect(worker).name == engine
    assert failure(worker, "dynamo")[0] is Kind.WRONG_ENGINE


def test_a_dynamo_frontend_is_told_as_itself() -> None:
    assert detect({"dynamo_frontend_inflight_requests", "dynamo_component_requests_total"}) is DYNAMO


def test_dynamos_requests_are_counted_once() -> None:
    """10 in flight, 3 of them still without a first token: 7 generate, 3 wait."""
    text = 'dynamo_frontend_inflight_requests{model="m"} 10\ndynamo_frontend_queued_requests{model="m"} 3\n'
    assert only("dynamo", text) == {"running_requests": 7, "waiting_requests": 3}
    assert only("dynamo", 'dynamo_frontend_queued_requests{model="m"} 3\n') == {"waiting_requests": 3}


def tgi(values: Mapping[str, float]) -> Derived:
    assert TGI.derive is not None
    return TGI.derive({**dict.fromkeys((*TGI.provides, *TGI.inputs)), **values}, NO_CONTEXT)


def test_tgi_counts_generated_tokens_live() -> None:
    """1000 observations with 250 accepted extra tokens are 1250 tokens; 40 of the observations are first tokens."""
    got = tgi({"sequence_outputs": 1000, "extra_tokens": 250, "prefills_total": 40})
    assert got.fields == {"generation_tokens_total": 1250, "decode_sequence_steps_total": 960}  # 1000 - 40


def test_tgi_without_a_series_has_no_figure_of_it() -> None:
    assert tgi({"sequence_outputs": 1000}).fields == {}
    assert tgi({"extra_tokens": 250, "prefills_total": 40}).fields == {}


def test_tgi_never_counts_fewer_than_no_decode_steps() -> None:
    """A batch was formed and none of its first tokens seen yet."""
    assert tgi({"sequence_outputs": 0, "prefills_total": 4}).fields == {"decode_sequence_steps_total": 0}


def test_tgis_decode_duration_is_not_its_decode_phase() -> None:
    text = (
        'tgi_batch_forward_duration_sum{method="prefill"} 2\ntgi_batch_forward_duration_sum{method="decode"} 6\n'
        'tgi_batch_decode_duration_sum{method="prefill"} 50\ntgi_batch_decode_duration_sum{method="decode"} 70\n'
        'tgi_batch_inference_count{method="prefill"} 10\ntgi_batch_inference_count{method="decode"} 90\n'
    )
    assert only("tgi", text) == {
        "prefill_s_total": 2,
        "decode_s_total": 6,
        "busy_s_total": 8,  # 2 + 6
        "steps_total": 100,  # 10 + 90
    }


def test_tgi_before_its_first_pass_has_no_timers_rather_than_zero() -> None:
    reading = page("tgi", "tgi_queue_size 0\n")
    assert {"prefill_s_total", "decode_s_total", "busy_s_total", "steps_total"} <= set(reading.missing)
    assert reading.notes["decode_s_total"] == "no decode pass yet"


@pytest.mark.parametrize(("version", "mixed"), [("2.4.1", False), ("1.1.0", False), ("3.3.6-dev0", None), ("x", None)])
def test_tgi_before_version_3_keeps_the_phases_apart(version: str, mixed: bool | None) -> None:
    told = TGI.identity[0].read({"model_id": "org/Llama-3-8B-AWQ", "version": version, "max_total_tokens": 4096})
    assert told == {
        "engine_version": version,
        "model_path": "org/Llama-3-8B-AWQ",
        "quantization": "w4a16",
        "max_context_tokens": 4096,
        "mixed_steps": mixed,
    }


@pytest.mark.parametrize(("reason", "told"), [("chunking", {"mixed_steps": True}), ("backpressure", {})])
def test_tgi_that_chunks_prompts_mixes_the_phases(reason: str, told: dict[str, Any]) -> None:
    (replica,) = page("tgi", f'tgi_queue_size 0\ntgi_batch_concat{{reason="{reason}"}} 3\n').replicas
    assert replica.identity == told


def test_lmdeploys_iteration_tokens_are_not_steps() -> None:
    """Its count is one per request and output; the gauges are all that tells the batch."""
    labels = 'engine="0",model_name="m"'
    text = f"lmdeploy:iteration_tokens_total_count{{{labels}}} 900\nlmdeploy:iter_token_latency_count{{{labels}}} 800\n"
    assert only("lmdeploy", text) == {"decode_sequence_steps_total": 800}
    assert "steps_total" not in LMDEPLOY.provides


def test_lmdeploys_computed_prompt_tokens_need_the_cached_ones() -> None:
    labels = '{engine="0",model_name="m"}'
    whole = f"lmdeploy:prompt_tokens_total{labels} 100\n"
    assert only("lmdeploy", whole) == {"prompt_tokens_total": 100}
    both = whole + f"lmdeploy:cached_tokens_total{labels} 30\n"
    assert only("lmdeploy", both)["prefill_tokens_total"] == 70  # 100 - 30


def test_a_ray_counter_is_not_added_to_its_gauge_twin() -> None:
    labels = '{ReplicaId="r",model_name="m"}'
    twins = (
        f"# TYPE ray_vllm_generation_tokens_total counter\nray_vllm_generation_tokens_total{labels} 50\n"
        f"# TYPE ray_vllm_generation_tokens gauge\nray_vllm_generation_tokens{labels} 50\n"
    )
    assert only("ray", twins) == {"generation_tokens_total": 50}
    assert not {name for name in RAY.wanted if f"{name}_total" in RAY.wanted}


def test_a_ray_gauge_twin_alone_is_no_counter() -> None:
    assert page("ray", 'ray_vllm_generation_tokens{ReplicaId="r",model_name="m"} 50\n').replicas == ()


def test_every_ray_replica_is_one_and_knows_its_own_model() -> None:
    text = "".join(
        f'ray_vllm_num_requests_running{{ReplicaId="{replica}",WorkerId="{replica}w",model_name="{model}"}} {running}\n'
        for replica, model, running in (("a", "org/L-FP8", 3), ("b", "org/L-FP8", 5), ("c", "org/Q", 7))
    )
    got = [(one.model, one.rank, one.fields["running_requests"], one.identity) for one in page("ray", text).replicas]
    assert got == [
        ("org/L-FP8", "a", 3, {"quantization": "fp8-w8a8"}),
        ("org/L-FP8", "b", 5, {"quantization": "fp8-w8a8"}),
        ("org/Q", "c", 7, {}),
    ]


def test_a_ray_page_without_replica_labels_tells_no_model_of_another() -> None:
    text = 'ray_vllm_num_requests_running{model_name="org/L-FP8"} 1\nray_vllm_num_requests_running{model_name="q"} 2\n'
    assert [(one.model, one.identity) for one in page("ray", text).replicas] == [("org/L-FP8", {}), ("q", {})]


def test_triton_models_without_an_llm_backend_are_no_replicas() -> None:
    own = '{model="preprocessing",version="1"}'
    llm = '{model="tensorrt_llm",version="1",general_type="iteration_counter"}'
    text = f"nv_inference_count{own} 400\nnv_inference_exec_count{own} 400\nnv_trt_llm_general_metrics{llm} 7\n"
    assert only("triton", text) == {"steps_total": 7}
    bare = page("triton", f"nv_inference_request_success{own} 400\nnv_inference_exec_count{own} 400\n")
    assert bare.replicas == ()
    assert "say nothing of tokens or batches" in bare.notes["generation_tokens_total"]


def test_tritons_kv_usage_is_used_blocks_per_block() -> None:
    name = "nv_trt_llm_kv_cache_block_metrics"
    labels = 'model="t",version="1",kv_cache_block_type='
    assert only("triton", f'{name}{{{labels}"used"}} 3\n{name}{{{labels}"max"}} 12\n') == {"kv_usage_ratio": 0.25}
    assert only("triton", f'{name}{{{labels}"used"}} 0\n{name}{{{labels}"max"}} 0\n') == {}


def test_nim_tells_its_model_only_where_it_serves_one() -> None:
    one = {"id": "meta/llama-3.1-8b-instruct-fp8", "root": "/opt/nim/x", "max_model_len": 8192}
    adapter = {"id": "lora", "parent": one["id"]}
    told = NIM.identity[0].read({"data": [one, adapter]})
    assert told == {"model_path": "/opt/nim/x", "max_context_tokens": 8192, "quantization": "fp8-w8a8"}
    assert NIM.identity[0].read({"data": [one, one]}) == {}


def test_a_series_that_is_not_vllms_is_refused() -> None:
    with pytest.raises(ValueError, match="not read from vLLM: prompt_token_total"):
        vllm_readings({"x_": {"prompt_token_total"}})


def test_newer_prefixes_are_read_first_and_absent_series_left_out() -> None:
    got = vllm_readings({"new_": {"prompt_tokens_total"}, "old:": {"prompt_tokens_total"}})
    assert {field: reading.names for field, reading in got.items()} == {
        "prompt_tokens_total": ("new_prompt_tokens_total", "old:prompt_tokens_total")
    }


@pytest.mark.parametrize(
    ("spec", "prefixes"), [(VLLM, ("vllm:",)), (RAY, ("ray_vllm_", "ray_vllm:"))], ids=["vllm", "ray"]
)
def test_vllms_series_are_spelt_in_one_place(spec: EngineSpec, prefixes: tuple[str, ...]) -> None:
    """Every reading is the shared one: a new name of vLLM's is not added for one engine and missed for another."""
    own = {**spec.readings, **spec.inputs}
    names = {name for reading in own.values() for name in reading.names}
    known = {prefix: {name for name in ALL_NAMES if prefix + name in names} for prefix in prefixes}
    assert {**vllm_readings(known), **vllm_inputs(known)} == own


def test_vllms_own_pages_are_read_for_every_shared_series_but_one() -> None:
    """Finished requests stand on vLLM's own page by their reason, and need not be counted by their latencies."""
    own = {name for reading in (*VLLM.readings.values(), *VLLM.inputs.values()) for name in reading.names}
    assert {f"vllm:{name}" for name in ALL_NAMES} - own == {"vllm:e2e_request_latency_seconds_count"}


def cache(**values: float) -> Derived:
    fields = (*CACHE_DERIVES, "prompt_tokens_total", "prefix_cache_hits", "external_prefix_cache_hits")
    return cached_and_computed({**dict.fromkeys((*fields, "prefix_cache_hit_rate")), **values}, "cannot be told")


def test_computed_prompt_tokens_are_prompts_less_hits() -> None:
    got = cache(prompt_tokens_total=100, prefix_cache_hits=30, external_prefix_cache_hits=5)
    assert got == Derived({"cached_tokens_total": 35, "prefill_tokens_total": 65})  # 100 - (30 + 5)


@pytest.mark.parametrize("hit_rate", [-1, 0])
def test_without_a_hit_every_prompt_token_is_computed(hit_rate: float) -> None:
    got = cache(prompt_tokens_total=100, prefix_cache_hit_rate=hit_rate)
    assert got == Derived({"cached_tokens_total": None, "prefill_tokens_total": 100})


@pytest.mark.parametrize("hit_rate", [{}, {"prefix_cache_hit_rate": 0.2}])
def test_what_a_cache_spared_is_not_guessed(hit_rate: dict[str, float]) -> None:
    got = cache(prompt_tokens_total=100, **hit_rate)
    assert got == Derived({"cached_tokens_total": None}, {"prefill_tokens_total": "cannot be told"})


@given(st.floats(0, 1e15), st.floats(0, 1e15))
def test_computed_prompt_tokens_lie_between_none_and_all(prompt: float, hits: float) -> None:
    computed = cache(prompt_tokens_total=prompt, prefix_cache_hits=hits).fields["prefill_tokens_total"]
    assert computed is not None
    assert 0 <= computed <= prompt
