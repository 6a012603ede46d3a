"""LMDeploy's api_server: live token counters, gauges of every 10 s, and no step counter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from collector.scrape.facts import PARALLEL
from collector.scrape.identity import member, text
from collector.scrape.modelname import quantization
from collector.scrape.spec import Context, Derived, EngineSpec, IdentityProbe, Reading

_NO_TIMES = "LMDeploy times neither phase, and nothing switches that on; GPUs joined to it show its busy time"


def _counter(name: str) -> Reading:
    return Reading(names=(f"lmdeploy:{name}",), kind="counter")


def _gauge(name: str, *, ratio: bool = False) -> Reading:
    return Reading(names=(f"lmdeploy:{name}",), kind="gauge", aggregate="single" if ratio else "sum")


def _derive(values: Mapping[str, float | None], context: Context) -> Derived:
    """Prompts count at their first token, their cached part when they end: exact over several request lengths."""
    prompt, cached = values["prompt_tokens_total"], values["cached_tokens_total"]
    if prompt is None or cached is None:
        return Derived({})
    return Derived({"prefill_tokens_total": max(0.0, prompt - cached)})


def _models(answer: Any) -> dict[str, Any]:
    """`/v1/models` names the model, by default by its path, and nothing else; several tell nothing."""
    entries = member(answer, "data")
    if not isinstance(entries, list) or len(entries) != 1:
        return {}
    name = text(member(entries[0], "id"))
    return {"model_path": name, "quantization": quantization(name)}


ENGINE = EngineSpec(
    name="lmdeploy",
    title="LMDeploy",
    tested_with=("0.16.0",),
    signatures=("lmdeploy:num_requests_running",),
    model_label="model_name",
    rank_label="engine",
    # `lmdeploy:iteration_tokens_total` is one sample per request and output, whatever its help text says: its count
    # is sequence-steps, first tokens included, and never steps. `iter_token_latency` leaves first tokens out.
    readings={
        "prompt_tokens_total": _counter("prompt_tokens_total"),
        "cached_tokens_total": _counter("cached_tokens_total"),
        "generation_tokens_total": _counter("generation_tokens_total"),
        "decode_sequence_steps_total": _counter("iter_token_latency_count"),
        "inter_token_s_total": _counter("iter_token_latency_sum"),
        "prefills_total": _counter("time_to_first_token_seconds_count"),
        "ttft_s_total": _counter("time_to_first_token_seconds_sum"),
        "requests_finished_total": _counter("e2e_request_latency_seconds_count"),
        "request_queue_s_total": _counter("request_queue_time_seconds_sum"),
        "request_prefill_s_total": _counter("request_prefill_time_seconds_sum"),
        "request_decode_s_total": _counter("request_decode_time_seconds_sum"),
        "running_requests": _gauge("num_requests_running"),
        "waiting_requests": _gauge("num_requests_waiting"),
        "kv_usage_ratio": _gauge("gpu_cache_usage_perc", ratio=True),
    },
    derives=("prefill_tokens_total",),
    derive=_derive,
    monotone=frozenset({"prefill_tokens_total"}),  # a request's cached tokens are taken off when it ends
    identity=(IdentityProbe("/v1/models", _models),),
    at_request_end=frozenset(
        {
            *("cached_tokens_total", "prefill_tokens_total", "requests_finished_total"),
            *("request_queue_s_total", "request_prefill_s_total", "request_decode_s_total"),
        }
    ),
    usual_ports=(23333,),
    not_told=PARALLEL | {"dtype", "kv_dtype", "weight_bytes", "max_context_tokens"},
    evidence=(
        "nothing towards the phase mix: LMDeploy counts neither steps nor phase times",
        "tokens and latencies are live, the batch is a gauge refreshed every 10 s",
    ),
    notes={
        **dict.fromkeys(("prefill_s_total", "decode_s_total"), _NO_TIMES),
        "steps_total": "LMDeploy has no step counter: its iteration_tokens_total counts one per request and output",
        "cached_tokens_total": "not on this build's page; LMDeploy 0.16 has it",
        "prefill_tokens_total": "needs lmdeploy:cached_tokens_total, which LMDeploy 0.16 has",
        "running_requests": "refreshed every 10 s: poll for minutes before believing its mean",
    },
)
