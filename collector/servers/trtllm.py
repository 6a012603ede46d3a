"""TensorRT-LLM's trtllm-serve (1.3): its Prometheus page, and its iteration records where nobody else reads them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from collector.scrape.identity import amount, member, text, whole
from collector.scrape.modelname import quantization
from collector.scrape.spec import Context, Derived, EngineSpec, Extra, IdentityProbe, InfoSeries, Reading

_EXCLUSIVE = (
    "set `exclusive: true` on the job, if nothing else reads this server's JSON /metrics (each record is given out "
    "once), and enable_iter_perf_stats: true on the server; poll every few seconds, for it keeps about 1000 records"
)

_STALE = "the page's gauge holds the last iteration that was drained, however long ago: it is not read"


def _counter(name: str) -> Reading:
    return Reading(names=(f"trtllm_{name}",), kind="counter")


def _derive(values: Mapping[str, float | None], context: Context) -> Derived:
    """Times and steps are those of the iteration records; prompt tokens computed are those of the page."""
    fields = {
        "prefill_s_total": values["context_iteration_s"],
        "decode_s_total": values["generation_iteration_s"],
        "steps_total": values["iterations"],
        "decode_sequence_steps_total": values["generating"],
    }
    prompt, cached = values["prompt_tokens_total"], values["cached_tokens_total"]
    if values["prefill_tokens_total"] is None and prompt is not None and cached is not None:
        fields["prefill_tokens_total"] = max(0.0, prompt - cached)
    return Derived(fields)


def _iterations(answer: Any) -> dict[str, dict[str, float | None]]:
    """What the iterations since the last read add, nothing where there is none: the server may not record them."""
    seen = False
    context_s = generation_s = 0.0
    iterations = generating = 0.0
    for record in answer if isinstance(answer, list) else ():
        took_ms = amount(member(record, "iterLatencyMS"))
        prompt_tokens = amount(member(record, "inflightBatchingStats", "numCtxTokens"))
        sequences = amount(member(record, "inflightBatchingStats", "numGenRequests"))
        if took_ms is None or prompt_tokens is None or sequences is None:
            continue
        seen = True
        if prompt_tokens + sequences <= 0:
            continue
        iterations += 1
        generating += sequences
        if prompt_tokens > 0:
            context_s += took_ms / 1000
        else:
            generation_s += took_ms / 1000
    if not seen:
        return {}
    return {
        "0": {
            "context_iteration_s": context_s,
            "generation_iteration_s": generation_s,
            "iterations": iterations,
            "generating": generating,
        }
    }


def _model(labels: Mapping[str, str]) -> dict[str, Any]:
    """`model` is a name or a path; `quantization` is the algorithm, such as FP8."""
    path = text(labels.get("model"))
    return _only_told(
        model_path=path,
        dtype=_stated(labels.get("dtype")),
        quantization=_stated(labels.get("quantization")) or quantization(path),
        gpu=_stated(labels.get("gpu_type")),
    )


def _parallel(labels: Mapping[str, str]) -> dict[str, Any]:
    return _only_told(
        tensor_parallel=whole(labels.get("tensor_parallel_size")),
        pipeline_parallel=whole(labels.get("pipeline_parallel_size")),
        expert_parallel=whole(labels.get("expert_parallel_size")),
    )


def _kv_cache(labels: Mapping[str, str]) -> dict[str, Any]:
    return _only_told(kv_dtype=_stated(labels.get("cache_dtype")))


def _only_told(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _stated(value: str | None) -> str | None:
    """A label that says nothing is written as one of these words."""
    word = text(value)
    return None if word is None or word.lower() in {"auto", "none", "unknown", "undefined"} else word


def _version(answer: Any) -> dict[str, Any]:
    return {"engine_version": text(member(answer, "version"))}


ENGINE = EngineSpec(
    name="trtllm",
    title="TensorRT-LLM",
    tested_with=("1.3.0",),
    signatures=("trtllm_request_success_total", "trtllm_model_config_info"),
    model_label="model_name",
    page_path="/prometheus/metrics",
    readings={
        "prompt_tokens_total": _counter("prompt_tokens_total"),
        "prefill_tokens_total": _counter("prefill_batch_tokens_sum"),
        "cached_tokens_total": _counter("prompt_cached_tokens_total"),
        "generation_tokens_total": _counter("generation_tokens_total"),
        "prefills_total": _counter("time_to_first_token_seconds_count"),
        "requests_finished_total": _counter("request_success_total"),
        "ttft_s_total": _counter("time_to_first_token_seconds_sum"),
        "request_queue_s_total": _counter("request_queue_time_seconds_sum"),
        "request_prefill_s_total": _counter("request_prefill_time_seconds_sum"),
        "request_decode_s_total": _counter("request_decode_time_seconds_sum"),
    },
    extras=(
        Extra(
            "/metrics",
            ("context_iteration_s", "generation_iteration_s", "iterations", "generating"),
            _iterations,
            destructive=True,
        ),
    ),
    derives=(
        *("prefill_s_total", "decode_s_total", "steps_total", "decode_sequence_steps_total"),
        "prefill_tokens_total",
    ),
    derive=_derive,
    monotone=frozenset({"prefill_tokens_total"}),  # the page may count prompts before it counts iterations
    info=(
        InfoSeries("trtllm_model_config_info", _model),
        InfoSeries("trtllm_parallel_config_info", _parallel),
        InfoSeries("trtllm_kv_cache_config_info", _kv_cache),
    ),
    identity=(IdentityProbe("/version", _version),),
    mixed_steps=True,
    # Per iteration or per request, the page is written only when a request completes.
    at_request_end=frozenset(
        {
            *("prompt_tokens_total", "prefill_tokens_total", "cached_tokens_total", "generation_tokens_total"),
            *("prefills_total", "requests_finished_total", "ttft_s_total"),
            *("request_queue_s_total", "request_prefill_s_total", "request_decode_s_total"),
        }
    ),
    usual_ports=(8000,),
    not_told=frozenset({"weight_bytes", "max_context_tokens"}),
    evidence=(
        "measured: latency of every iteration, from the JSON /metrics; only with `exclusive: true` on the job",
        "modelled: GPU counters and finished requests; the page's gauges hold the last iteration and are not read",
    ),
    notes={
        **dict.fromkeys(("running_requests", "kv_usage_ratio"), _STALE),
        "prefill_s_total": _EXCLUSIVE,
        "decode_s_total": _EXCLUSIVE,
        "steps_total": _EXCLUSIVE,
        "decode_sequence_steps_total": _EXCLUSIVE,
        "generation_tokens_total": "not counted for requests that ask for several answers (n > 1)",
        "prefill_tokens_total": "wants enable_iter_perf_stats: true, or a page that counts cached prompt tokens",
    },
)
