"""Hugging Face text-generation-inference, v2 and v3: its own forward timers per phase."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from collector.scrape.buckets import HistogramReading
from collector.scrape.facts import PARALLEL
from collector.scrape.identity import member, text, whole
from collector.scrape.modelname import quantization
from collector.scrape.spec import Context, Derived, EngineSpec, IdentityProbe, InfoSeries, Reading


def _counter(name: str, **labels: str) -> Reading:
    return Reading(names=(f"tgi_{name}",), kind="counter", labels=labels)


def _gauge(name: str) -> Reading:
    return Reading(names=(f"tgi_{name}",), kind="gauge")


def _derive(values: Mapping[str, float | None], context: Context) -> Derived:
    """Live tokens from `skipped_tokens`: one observation per request and step, of the extra tokens it accepted.

    The first token of a request comes from a prefill pass and is no decode step.
    """
    fields: dict[str, float | None] = {}
    outputs, extra, prefills = values["sequence_outputs"], values["extra_tokens"], values["prefills_total"]
    if outputs is not None and extra is not None:
        fields["generation_tokens_total"] = outputs + extra
    if outputs is not None and prefills is not None:
        fields["decode_sequence_steps_total"] = max(0.0, outputs - prefills)
    return Derived(fields)


def _info(answer: Any) -> dict[str, Any]:
    """`/info` tells neither dtype nor chunking; before version 3 no pass mixes the phases."""
    model, version = text(member(answer, "model_id")), text(member(answer, "version"))
    major = None if version is None else re.match(r"[0-9]{1,4}(?=\.)", version)
    return {
        "engine_version": version,
        "model_path": model,
        "quantization": quantization(model),
        "max_context_tokens": whole(member(answer, "max_total_tokens")),
        "mixed_steps": False if major is not None and int(major.group()) < 3 else None,
    }


def _chunking(labels: Mapping[str, str]) -> dict[str, Any]:
    """The series appears when a prompt's chunk first joins a decode batch, and stays."""
    return {"mixed_steps": True} if labels.get("reason") == "chunking" else {}


ENGINE = EngineSpec(
    name="tgi",
    title="text-generation-inference",
    tested_with=("2.4", "3.3"),
    signatures=("tgi_batch_current_size", "tgi_queue_size"),
    # Counters have no `_total`. `tgi_batch_decode_duration` is the time to turn tokens into text, not the decode phase.
    readings={
        "prompt_tokens_total": _counter("request_input_length_sum"),
        "steps_total": _counter("batch_inference_count"),
        "prefills_total": _counter("batch_next_size_sum"),
        "prefill_s_total": _counter("batch_forward_duration_sum", method="prefill"),
        "decode_s_total": _counter("batch_forward_duration_sum", method="decode"),
        "busy_s_total": _counter("batch_forward_duration_sum"),
        "requests_finished_total": _counter("request_success"),
        "request_queue_s_total": _counter("request_queue_duration_sum"),
        "finished_generation_tokens_total": _counter("request_generated_tokens_sum"),
        "running_requests": _gauge("batch_current_size"),
        "waiting_requests": _gauge("queue_size"),
    },
    # 64 or 100 equal buckets up to what the server was started for; prompts count when they arrive.
    histograms={
        "prompt_lengths": HistogramReading(("tgi_request_input_length",)),
        "generation_lengths": HistogramReading(("tgi_request_generated_tokens",)),
    },
    inputs={
        "sequence_outputs": _counter("request_skipped_tokens_count"),
        "extra_tokens": _counter("request_skipped_tokens_sum"),
    },
    derives=("generation_tokens_total", "decode_sequence_steps_total"),
    derive=_derive,
    # A request joins its prefill batch before its first token is observed.
    monotone=frozenset({"decode_sequence_steps_total"}),
    info=(InfoSeries("tgi_batch_concat", _chunking),),
    identity=(IdentityProbe("/info", _info),),
    at_request_end=frozenset({"requests_finished_total", "request_queue_s_total", "finished_generation_tokens_total"}),
    usual_ports=(3000, 8080),
    not_told=PARALLEL | {"dtype", "kv_dtype", "weight_bytes"},
    evidence=(
        "measured: forward seconds of prefill and decode passes, apart from each other before version 3",
        "measured, exclusive: the same with version 3's chunking, whose prefill passes carry decode tokens too",
    ),
    notes={
        "prefill_s_total": "no prefill pass yet",
        "decode_s_total": "no decode pass yet",
        "busy_s_total": "no pass yet",
        "generation_tokens_total": "no token yet, or tgi_request_skipped_tokens is not on this build's page",
        "decode_sequence_steps_total": "no token yet, or tgi_request_skipped_tokens is not on this build's page",
        "prefill_tokens_total": "TGI does not count the prompt tokens that its prefix cache spared",
        "prompt_tokens_total": "counted when a request arrives, also for one that is refused later",
        "kv_usage_ratio": "TGI reports its token budget, not the KV cache that is used",
    },
)
