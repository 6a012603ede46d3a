"""vLLM's /metrics page: V0 (0.6 to 0.10), V1 (0.8 on), and the Rust front end (OpenMetrics, 0.22 on)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from collector.scrape.facts import PARALLEL
from collector.scrape.identity import member, text, whole
from collector.scrape.modelname import quantization
from collector.scrape.spec import Context, Derived, EngineSpec, IdentityProbe, InfoSeries
from collector.scrape.steps import READABLE
from collector.scrape.vllm_series import (
    ALL_NAMES,
    AT_REQUEST_END,
    CACHE_DERIVES,
    cached_and_computed,
    vllm_histograms,
    vllm_inputs,
    vllm_readings,
)
from collector.scrape.vllm_steps import vllm_step

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
_STEP_LOG = (
    "start vLLM with --enable-logging-iteration-details and name its log file in the target's label `step_log`: "
    "every step is then measured (with asynchronous scheduling less what the CPU did meanwhile)"
)
_TOLD = {
    "prefill_s_total": "told_prefill_s",
    "prefill_marginal_s_total": "told_prefill_marginal_s",
    "decode_s_total": "told_decode_s",
}
"""What only the step log tells."""
_PREFIX = {"vllm:": ALL_NAMES - {"e2e_request_latency_seconds_count"}}
"""Finished requests are counted by their reason on every page of vLLM's own."""


def _derive(values: Mapping[str, float | None], context: Context) -> Derived:
    """Cached and computed prompt tokens of versions that do not count them apart; steps only where counted once."""
    derived = cached_and_computed(values, _V0_CACHE, rate_always_shown=True)
    fields, notes = {**derived.fields, **{name: values[told] for name, told in _TOLD.items()}}, {**derived.notes}
    if values[READABLE] is not None and values["steps_total"] == 0:  # a server that was never asked logged no step
        fields |= {name: 0.0 for name in _TOLD if fields[name] is None}
    # The Rust front end is one process without process_* series; Python ones lose them when they are several.
    if _START not in context.names and not context.openmetrics:
        fields |= {"steps_total": values["told_steps"], "step_tokens_total": None}
        notes |= dict.fromkeys(("steps_total", "step_tokens_total"), _SEVERAL_SERVERS)
    return Derived(fields, notes)


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
    readings=vllm_readings(_PREFIX),
    histograms=vllm_histograms(_PREFIX),
    inputs=vllm_inputs(_PREFIX),
    derives=(*CACHE_DERIVES, "steps_total", "step_tokens_total", *_TOLD),
    derive=_derive,
    monotone=frozenset({"prefill_tokens_total"}),  # hits count at admission, prompts when their prefill ends
    read_step=vllm_step,
    info=(InfoSeries("vllm:cache_config_info", _cache_config),),
    identity=(IdentityProbe("/v1/models", _models), IdentityProbe("/version", _version)),
    process_start_series=_START,
    name_filter=True,
    mixed_steps=True,
    at_request_end=AT_REQUEST_END,
    usual_ports=(8000,),
    not_told=PARALLEL | {"dtype", "weight_bytes"},
    evidence=(
        "measured: time of every step, from the log of --enable-logging-iteration-details; name it in `step_log`",
        "measured: the same from Dynamo's forward-pass records; name them in the job's `forward_pass_endpoint`",
        "fitted: step-time model from live counts of steps, decode sequence-steps and computed prompt tokens",
        "modelled: the same while the load varies too little to decide it; a roofline before ten minutes of traffic",
    ),
    notes={
        **dict.fromkeys(_TOLD, _STEP_LOG),
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
