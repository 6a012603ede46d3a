"""NVIDIA NIM for LLMs, 1.x: the names of vLLM's V0 engine without a prefix, so the engine has to be stated."""

from __future__ import annotations

from typing import Any

from collector.scrape.facts import PARALLEL
from collector.scrape.identity import member, text, whole
from collector.scrape.modelname import quantization
from collector.scrape.spec import EngineSpec, IdentityProbe, Reading
from collector.scrape.vllm_series import AT_REQUEST_END, vllm_histograms, vllm_readings

_NAMES = frozenset(
    {
        *("prompt_tokens_total", "generation_tokens_total", "num_requests_running", "num_requests_waiting"),
        *("gpu_cache_usage_perc", "time_to_first_token_seconds_count", "time_to_first_token_seconds_sum"),
        *("time_per_output_token_seconds_count", "time_per_output_token_seconds_sum"),
        *("request_prompt_tokens_sum", "request_generation_tokens_sum"),
    }
)

_NO_TIMES = "NIM times neither phase, and nothing switches that on; GPUs joined to it show its busy time"


def _models(answer: Any) -> dict[str, Any]:
    """`/v1/models`, told only where one model is served; adapters name their parent."""
    entries = member(answer, "data")
    own = [entry for entry in entries if member(entry, "parent") is None] if isinstance(entries, list) else []
    if len(own) != 1:
        return {}
    path = text(member(own[0], "root"))
    return {
        "model_path": path,
        "max_context_tokens": whole(member(own[0], "max_model_len")),
        "quantization": quantization(path) or quantization(text(member(own[0], "id"))),
    }


ENGINE = EngineSpec(
    name="nim",
    title="NVIDIA NIM",
    tested_with=("1.x",),
    signatures=("num_requests_running", "num_request_max"),
    explicit_only=True,
    model_label="model_name",
    readings={
        **vllm_readings({"": _NAMES}),
        "requests_finished_total": Reading(names=("request_finish_total",), kind="counter"),
    },
    histograms=vllm_histograms({"": _NAMES}),
    identity=(IdentityProbe("/models", _models),),  # beside /v1/metrics
    process_start_series="process_start_time_seconds",
    at_request_end=AT_REQUEST_END - {"request_queue_s_total", "request_prefill_s_total", "request_decode_s_total"},
    usual_ports=(8000,),
    not_told=PARALLEL | {"dtype", "kv_dtype", "weight_bytes"},
    evidence=(
        "nothing towards the phase mix: NIM counts neither steps nor phase times",
        "tokens, latencies and the running gauge are live",
    ),
    notes={
        **dict.fromkeys(("prefill_s_total", "decode_s_total"), _NO_TIMES),
        "steps_total": "NIM has no step counter",
        "prefill_tokens_total": "NIM does not say which prompt tokens its cache spared",
        "decode_sequence_steps_total": "no decode step yet",
    },
)
