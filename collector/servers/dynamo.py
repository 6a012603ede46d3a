"""NVIDIA Dynamo's frontend: tokens and queues of a whole deployment; its workers' pages are their engines' own."""

from __future__ import annotations

from collections.abc import Mapping

from collector.scrape.facts import FACTS
from collector.scrape.spec import Context, Derived, EngineSpec, Reading

_WORKERS = (
    "a frontend sees no forward pass: poll the workers' system ports (DYN_SYSTEM_PORT), "
    "where their vLLM, SGLang or TensorRT-LLM series are passed through"
)


def _counter(name: str) -> Reading:
    return Reading(names=(f"dynamo_frontend_{name}",), kind="counter")


def _gauge(name: str) -> Reading:
    return Reading(names=(f"dynamo_frontend_{name}",), kind="gauge")


def _derive(values: Mapping[str, float | None], context: Context) -> Derived:
    """A request is in flight from its arrival and queued until its first token: the rest is being generated."""
    inflight, queued = values["inflight"], values["waiting_requests"]
    if inflight is None or queued is None:
        return Derived({})
    return Derived({"running_requests": max(0.0, inflight - queued)})


ENGINE = EngineSpec(
    name="dynamo",
    title="NVIDIA Dynamo frontend",
    tested_with=("1.6.1",),
    # Nothing of dynamo_component_*: a worker's page belongs to the engine whose series it passes through.
    signatures=("dynamo_frontend_inflight_requests", "dynamo_frontend_output_tokens_total"),
    model_label="model",
    readings={
        "prompt_tokens_total": _counter("input_sequence_tokens_sum"),
        "generation_tokens_total": _counter("output_tokens_total"),
        "prefills_total": _counter("time_to_first_token_seconds_count"),
        "ttft_s_total": _counter("time_to_first_token_seconds_sum"),
        "finished_generation_tokens_total": _counter("output_sequence_tokens_sum"),
        "requests_finished_total": _counter("output_sequence_tokens_count"),
        "waiting_requests": _gauge("queued_requests"),
    },
    inputs={"inflight": _gauge("inflight_requests")},
    derives=("running_requests",),
    derive=_derive,
    at_request_end=frozenset({"finished_generation_tokens_total", "requests_finished_total"}),
    usual_ports=(8000,),
    not_told=FACTS,
    evidence=(
        "nothing towards the phase mix: a frontend sees no forward pass, and its requests are those of all workers",
        "poll the workers' system ports instead: they are read as vLLM, SGLang or TensorRT-LLM",
    ),
    notes={
        "generation_tokens_total": "counted from Dynamo releases that have dynamo_frontend_output_tokens_total",
        "running_requests": "needs dynamo_frontend_inflight_requests and dynamo_frontend_queued_requests",
        "steps_total": _WORKERS,
        "decode_sequence_steps_total": _WORKERS,
        "kv_usage_ratio": _WORKERS,
        "prefill_tokens_total": _WORKERS,
        "prefill_s_total": _WORKERS,
        "decode_s_total": _WORKERS,
    },
)
