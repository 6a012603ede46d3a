"""Ray Serve LLM: vLLM's series on a Ray node's metrics page, renamed and with Ray's labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from collector.scrape.facts import PARALLEL
from collector.scrape.modelname import quantization
from collector.scrape.spec import Context, Derived, EngineSpec, InfoSeries
from collector.scrape.vllm_series import (
    AT_REQUEST_END,
    CACHE_DERIVES,
    cached_and_computed,
    vllm_histograms,
    vllm_inputs,
    vllm_readings,
)

_SHARED = frozenset(
    {
        *("prompt_tokens_total", "generation_tokens_total", "num_requests_running", "num_requests_waiting"),
        *("iteration_tokens_total_count", "iteration_tokens_total_sum", "num_preemptions_total"),
        *("time_to_first_token_seconds_count", "time_to_first_token_seconds_sum", "request_success_total"),
        *("request_prompt_tokens_sum", "request_generation_tokens_sum", "request_queue_time_seconds_sum"),
        *("request_prefill_time_seconds_sum", "request_decode_time_seconds_sum"),
    }
)
_PREFIXES = {
    # vLLM 0.11 and newer: a colon is no longer let through. A counter `X_total` has a deprecated gauge twin `X` on the
    # same page, which is never read.
    "ray_vllm_": _SHARED
    | {
        *("prompt_tokens_by_source_total", "prompt_tokens_cached_total", "kv_cache_usage_perc"),
        *("prefix_cache_hits_total", "external_prefix_cache_hits_total"),
        *("inter_token_latency_seconds_count", "inter_token_latency_seconds_sum"),
        *("spec_decode_num_drafts_total", "spec_decode_num_draft_tokens_total"),
        "spec_decode_num_accepted_tokens_total",
    },
    "ray_vllm:": _SHARED
    | {
        *("time_per_output_token_seconds_count", "time_per_output_token_seconds_sum"),
        *("gpu_cache_usage_perc", "gpu_prefix_cache_hit_rate"),
    },
}
_CACHE_UNKNOWN = (
    "this vLLM does not count the prompt tokens that its prefix cache spared; "
    "use vLLM 0.11 or newer, or set enable_prefix_caching: false in engine_kwargs"
)
_OLD = "not on the pages of vLLM's V0 engine; use vLLM 0.11 or newer"
_NO_TIMES = "vLLM times neither phase on its page, and Ray does not name the file of its step log"
_SPECULATIVE = "only with speculative decoding"


def _derive(values: Mapping[str, float | None], context: Context) -> Derived:
    """Cached and computed prompt tokens. One process per replica counts the steps, so they are counted once."""
    return cached_and_computed(values, _CACHE_UNKNOWN)


def _model(labels: Mapping[str, str]) -> dict[str, Any]:
    """A node may serve several models: without the replica's label nobody knows whose name this is."""
    scheme = quantization(labels.get("model_name")) if "ReplicaId" in labels else None
    return {} if scheme is None else {"quantization": scheme}


ENGINE = EngineSpec(
    name="ray",
    title="Ray Serve LLM",
    tested_with=("2.32.0", "2.60.0"),
    signatures=("ray_vllm_num_requests_running", "ray_vllm:num_requests_running"),
    model_label="model_name",
    rank_label="ReplicaId",
    readings=vllm_readings(_PREFIXES),
    histograms=vllm_histograms(_PREFIXES),
    inputs=vllm_inputs(_PREFIXES),
    derives=CACHE_DERIVES,
    derive=_derive,
    monotone=frozenset({"prefill_tokens_total"}),  # hits count at admission, prompts when their prefill ends
    info=(InfoSeries("ray_vllm_num_requests_running", _model),),
    mixed_steps=True,
    at_request_end=AT_REQUEST_END,
    not_told=PARALLEL | {"model_path", "dtype", "kv_dtype", "weight_bytes", "max_context_tokens"},
    evidence=(
        "fitted: step-time model from live step, sequence-step and prompt token counts, with log_engine_metrics: true",
        "modelled: the same while the load varies too little to decide it; a roofline before ten minutes of traffic",
        "SGLang under Ray is not read: upstream has not settled the names of its series on Ray's page",
    ),
    notes={
        **dict.fromkeys(("prefill_s_total", "decode_s_total"), _NO_TIMES),
        "steps_total": "counted from vLLM 0.6.4 on",
        "cached_tokens_total": _OLD,
        "decode_sequence_steps_total": "no decode step yet",
        "draft_steps_total": _SPECULATIVE,
        "draft_tokens_total": _SPECULATIVE,
        "accepted_tokens_total": _SPECULATIVE,
    },
)
