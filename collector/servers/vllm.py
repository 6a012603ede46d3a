"""vLLM's /metrics page: V0 (0.6 to 0.10), V1 (0.8 on), and the Rust front end (OpenMetrics, 0.22 on)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from collector.scrape.identity import member, text, whole
from collector.scrape.modelname import quantization
from collector.scrape.spec import Context, Derived, EngineSpec, IdentityProbe, InfoSeries, Reading

_START = "process_start_time_seconds"
_SEVERAL_SERVERS = (
    "this page comes from several API servers (it has no process_* series), and each of them counts the same step; "
    "run vLLM with --api-server-count 1 to have steps counted once"
)
_V0_CACHE = (
    "vLLM's V0 engine does not count the prompt tokens that its prefix cache spared; "
    "use vLLM 0.9.2 or newer, or run without --enable-prefix-caching"
)
_SPECULATIVE = "only with speculative decoding"


def _counter(*names: str, **labels: str) -> Reading:
    return Reading(names=tuple(f"vllm:{name}" for name in names), kind="counter", labels=labels)


def _gauge(*names: str) -> Reading:
    return Reading(names=tuple(f"vllm:{name}" for name in names), kind="gauge")


def _derive(values: Mapping[str, float | None], context: Context) -> Derived:
    """Cached and computed prompt tokens of versions that do not count them apart; steps only where counted once."""
    fields: dict[str, float | None] = {}
    notes: dict[str, str] = {}
    cached = values["cached_tokens_total"]
    if cached is None:
        cached = _sum(values["prefix_cache_hits"], values["external_prefix_cache_hits"])
        fields["cached_tokens_total"] = cached
    if values["prefill_tokens_total"] is None:
        prompt = values["prompt_tokens_total"]
        hit_rate = values["prefix_cache_hit_rate"]
        if prompt is None:
            pass
        elif cached is not None:
            fields["prefill_tokens_total"] = max(0.0, prompt - cached)
        elif hit_rate is None or hit_rate <= 0:  # -1 is off, 0 is no hit yet
            fields["prefill_tokens_total"] = prompt
        else:
            notes["prefill_tokens_total"] = _V0_CACHE
    # The Rust front end is one process without process_* series; Python ones lose them when they are several.
    if _START not in context.names and not context.openmetrics:
        for name in ("steps_total", "step_tokens_total"):
            fields[name] = None
            notes[name] = _SEVERAL_SERVERS
    return Derived(fields, notes)


def _sum(first: float | None, second: float | None) -> float | None:
    """The sum of what is reported: older versions have no external cache and no counter for it."""
    if first is None:
        return second
    return first if second is None else first + second


def _cache_config(labels: Mapping[str, str]) -> dict[str, Any]:
    dtype = text(labels.get("cache_dtype"))
    blocks, block_tokens = whole(labels.get("num_gpu_blocks")), whole(labels.get("block_size"))
    capacity = whole(labels.get("kv_cache_size_tokens"))
    if capacity is None and blocks is not None and block_tokens is not None:
        capacity = blocks * block_tokens
    told: dict[str, Any] = {}
    if dtype is not None and dtype != "auto":  # "auto" is the model's own dtype, which no series tells
        told["kv_dtype"] = dtype
    if capacity is not None:
        told["kv_capacity_tokens"] = capacity
    return told


def _models(answer: Any) -> dict[str, Any]:
    """`/v1/models`: aliases of one model share its root; adapters name their parent; several models tell nothing."""
    entries = member(answer, "data")
    own = [entry for entry in entries if member(entry, "parent") is None] if isinstance(entries, list) else []
    roots = {text(member(entry, "root")) for entry in own}
    if len(roots) != 1:
        return {}
    path = roots.pop()
    return {
        "model_path": path,
        "max_context_tokens": whole(member(own[0], "max_model_len")),
        "quantization": quantization(path) or quantization(text(member(own[0], "id"))),
    }


def _version(answer: Any) -> dict[str, Any]:
    return {"engine_version": text(member(answer, "version"))}


ENGINE = EngineSpec(
    name="vllm",
    title="vLLM",
    tested_with=("0.6.6", "0.8.5", "0.10.2", "0.16.0", "0.32.0", "0.33.0"),
    signatures=("vllm:num_requests_running",),
    model_label="model_name",
    rank_label="engine",
    readings={
        "prompt_tokens_total": _counter("prompt_tokens_total"),
        "prefill_tokens_total": _counter("prompt_tokens_by_source_total", source="local_compute"),
        "cached_tokens_total": _counter("prompt_tokens_cached_total"),
        "generation_tokens_total": _counter("generation_tokens_total"),
        "steps_total": _counter("iteration_tokens_total_count"),
        "step_tokens_total": _counter("iteration_tokens_total_sum"),
        "decode_sequence_steps_total": _counter(
            "inter_token_latency_seconds_count", "time_per_output_token_seconds_count"
        ),
        "prefills_total": _counter("time_to_first_token_seconds_count"),
        "requests_finished_total": _counter("request_success_total"),
        "preemptions_total": _counter("num_preemptions_total"),
        "ttft_s_total": _counter("time_to_first_token_seconds_sum"),
        "inter_token_s_total": _counter("inter_token_latency_seconds_sum", "time_per_output_token_seconds_sum"),
        "request_queue_s_total": _counter("request_queue_time_seconds_sum"),
        "request_prefill_s_total": _counter("request_prefill_time_seconds_sum"),
        "request_decode_s_total": _counter("request_decode_time_seconds_sum"),
        "finished_prompt_tokens_total": _counter("request_prompt_tokens_sum"),
        "finished_generation_tokens_total": _counter("request_generation_tokens_sum"),
        "draft_steps_total": _counter("spec_decode_num_drafts_total"),
        "draft_tokens_total": _counter("spec_decode_num_draft_tokens_total"),
        "accepted_tokens_total": _counter("spec_decode_num_accepted_tokens_total"),
        "running_requests": _gauge("num_requests_running"),
        "waiting_requests": _gauge("num_requests_waiting"),
        "kv_usage_ratio": Reading(
            names=("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"), kind="gauge", aggregate="single"
        ),
    },
    inputs={
        "prefix_cache_hits": _counter("prefix_cache_hits_total", "gpu_prefix_cache_hits_total"),
        "external_prefix_cache_hits": _counter("external_prefix_cache_hits_total"),
        "prefix_cache_hit_rate": Reading(names=("vllm:gpu_prefix_cache_hit_rate",), kind="gauge", aggregate="single"),
    },
    derives=("cached_tokens_total", "prefill_tokens_total", "steps_total", "step_tokens_total"),
    derive=_derive,
    monotone=frozenset({"prefill_tokens_total"}),  # hits count at admission, prompts when their prefill ends
    info=(InfoSeries("vllm:cache_config_info", _cache_config),),
    identity=(IdentityProbe("/v1/models", _models), IdentityProbe("/version", _version)),
    process_start_series=_START,
    name_filter=True,
    mixed_steps=True,
    at_request_end=frozenset(
        {
            *("requests_finished_total", "finished_prompt_tokens_total", "finished_generation_tokens_total"),
            *("request_queue_s_total", "request_prefill_s_total", "request_decode_s_total"),
        }
    ),
    usual_ports=(8000,),
    evidence=("modelled: roofline from live counts of steps, decode sequence-steps and computed prompt tokens",),
    notes={
        "cached_tokens_total": "counted from vLLM 0.7.3 on (V1 engine)",
        "decode_sequence_steps_total": "no decode step yet, or a vLLM older than 0.6",
        "steps_total": "counted from vLLM 0.6.4 on",
        "step_tokens_total": "counted from vLLM 0.6.4 on",
        "request_queue_s_total": "counted from vLLM 0.6.4 on",
        "request_prefill_s_total": "counted from vLLM 0.6.4 on",
        "request_decode_s_total": "counted from vLLM 0.6.4 on",
        "draft_steps_total": _SPECULATIVE,
        "draft_tokens_total": _SPECULATIVE,
        "accepted_tokens_total": _SPECULATIVE,
    },
)
