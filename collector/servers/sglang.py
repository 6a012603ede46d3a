"""SGLang's /metrics page, 0.4.5 to 0.5.23: device timer, step and token counters, and the moments of /v1/loads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from collector.scrape.buckets import HistogramReading
from collector.scrape.identity import amount, member, text, whole
from collector.scrape.modelname import quantization
from collector.scrape.spec import Context, Derived, EngineSpec, Extra, IdentityProbe, Reading

_TIMER = "forward_execution_seconds_total"  # 0.5.12 on
_OLD_TIMER = "gpu_execution_seconds_total"  # 0.5.7 to 0.5.10
_NOT_DECODING = ("extend", "split_prefill", "idle")
"""Categories of the device timer; all others are decoding (which has many, with drafts)."""
_NO_TIMES = (
    "set SGLANG_ENABLE_METRICS_DEVICE_TIMER=1 (SGLang 0.5.12 or newer); "
    "from 0.5.19 on /v1/loads also does, where it answers"
)
_SPECULATIVE = "with speculative decoding a step gives several tokens per sequence, and their number is not counted"
_OLD = "counted live from SGLang 0.5.7 on"


def _counter(*names: str, whole_server: bool = False, **labels: str) -> Reading:
    full = tuple(f"sglang:{name}" for name in names)
    return Reading(names=full, kind="counter", labels=labels, whole_server=whole_server)


def _gauge(name: str, aggregate: Literal["sum", "single"] = "sum") -> Reading:
    return Reading(names=(f"sglang:{name}",), kind="gauge", aggregate=aggregate)


def _timer(prefix: str, name: str, category_prefix: str) -> dict[str, Reading]:
    categories = {f"{prefix}_{one}": _counter(name, category=f"{category_prefix}{one}") for one in _NOT_DECODING}
    return {prefix: _counter(name), **categories}


def _derive(values: Mapping[str, float | None], context: Context) -> Derived:
    """Live token counts where there are any, else those of finished requests; times from the best source there is."""
    steps = _total(values["passes_graph"], values["passes_plain"])
    fields: dict[str, float | None] = {"steps_total": steps, **_times(values, steps)}
    notes: dict[str, str] = {}
    computed, cached = values["realtime_computed"], values["realtime_cached"]
    live = set()
    if computed is None and cached is None:
        prompt, hits = values["finished_prompt_tokens_total"], values["finished_cached"]
        fields["prompt_tokens_total"], fields["cached_tokens_total"] = prompt, hits
        if prompt is not None and hits is not None:
            fields["prefill_tokens_total"] = max(0.0, prompt - hits)
    else:
        fields["prompt_tokens_total"] = _total(computed, cached)
        fields["prefill_tokens_total"], fields["cached_tokens_total"] = computed, cached
        live |= {"prompt_tokens_total", "prefill_tokens_total", "cached_tokens_total"}
    decoded = values["realtime_decoded"]
    if decoded is None:
        fields["generation_tokens_total"] = values["finished_generation_tokens_total"]
    else:
        # The first token is not a decoded one, but the overlap scheduler computes a finished row once more.
        fields["generation_tokens_total"] = decoded
        live.add("generation_tokens_total")
        accepted = values["accept_length"]
        if accepted is not None and accepted > 0:
            notes["decode_sequence_steps_total"] = _SPECULATIVE
        else:
            fields["decode_sequence_steps_total"] = decoded
    return Derived(fields, notes, frozenset(live))


def _times(values: Mapping[str, float | None], steps: float | None) -> dict[str, float | None]:
    """Seconds of both phases: by the device timer, which knows them, else by the scheduler's moments."""
    for prefix in ("timed", "old_timed"):
        whole_s = values[prefix]
        if whole_s is None:
            continue
        # A category that is not on the page has had no batch yet.
        extend_s, split_s, idle_s = (values[f"{prefix}_{one}"] for one in _NOT_DECODING)
        prefill_s = _total(_total(extend_s, split_s), 0.0)
        decode_s = whole_s - sum(one_s for one_s in (extend_s, split_s, idle_s) if one_s is not None)
        return {"prefill_s_total": prefill_s, "decode_s_total": max(0.0, decode_s)}
    return {
        "prefill_s_total": _scaled(values["prefill_busy_s"], values["realtime_computed"], values["prefill_tokens"]),
        "decode_s_total": _scaled(values["decode_step_s"], steps, values["decode_steps"]),
    }


def _scaled(seconds: float | None, done: float | None, timed: float | None) -> float | None:
    """Seconds of all that was done, from the seconds of that part of it which was timed (batches at the border of
    two phases are not). As a counter it errs only by the product of two deviations from their means over the
    process' life: of the timed share and of the time per step.
    """
    if seconds is None or done is None or timed is None or timed <= 0:
        return None
    return seconds * done / timed


def _total(first: float | None, second: float | None) -> float | None:
    """The sum of what has appeared: a series is on the page from its first event on."""
    if first is None:
        return second
    return first if second is None else first + second


def _loads(answer: Any) -> dict[str, dict[str, float | None]]:
    """`/v1/loads`: decode_moments are [steps, sum of batch, sum of microseconds, ...] of the timed decode steps."""
    loads = member(answer, "loads")
    found: dict[str, dict[str, float | None]] = {}
    for load in loads if isinstance(loads, list) else ():
        rank = member(load, "dp_rank")
        if isinstance(rank, bool) or not isinstance(rank, int):
            continue
        found[str(rank)] = {
            "prefill_busy_s": _seconds(amount(member(load, "total_prefill_busy_us"))),
            "prefill_tokens": amount(member(load, "total_prefill_uncached_tokens")),
            "decode_steps": amount(member(load, "decode_moments", 0)),
            "decode_step_s": _seconds(amount(member(load, "decode_moments", 2))),
        }
    return found


def _seconds(microseconds: float | None) -> float | None:
    return None if microseconds is None else microseconds / 1e6


def _server_info(answer: Any) -> dict[str, Any]:
    """`auto` is the model's own dtype, which this does not tell."""
    path = text(member(answer, "model_path"))
    mixed = member(answer, "enable_mixed_chunk")
    return {
        "engine_version": text(member(answer, "version")),
        "model_path": path,
        "dtype": _stated(member(answer, "dtype")),
        "quantization": _stated(member(answer, "quantization")) or quantization(path),
        "kv_dtype": _stated(member(answer, "kv_cache_dtype")),
        "tensor_parallel": whole(member(answer, "tp_size")),
        "pipeline_parallel": whole(member(answer, "pp_size")),
        "expert_parallel": whole(member(answer, "ep_size")),
        "max_context_tokens": whole(member(answer, "context_length")),
        "kv_capacity_tokens": whole(member(answer, "max_total_num_tokens")),
        "mixed_steps": mixed if isinstance(mixed, bool) else None,
    }


def _stated(value: Any) -> str | None:
    word = text(value)
    return None if word == "auto" else word


def _model_info(answer: Any) -> dict[str, Any]:
    path = text(member(answer, "model_path"))
    return {"model_path": path, "quantization": quantization(path)}


ENGINE = EngineSpec(
    name="sglang",
    title="SGLang",
    tested_with=("0.4.5", "0.5.6", "0.5.9", "0.5.23"),
    signatures=("sglang:num_running_reqs",),
    model_label="model_name",
    rank_label="dp_rank",
    worker_labels=("pp_rank", "tp_rank", "moe_ep_rank"),
    readings={
        "prefills_total": _counter("time_to_first_token_seconds_count", whole_server=True),
        "ttft_s_total": _counter("time_to_first_token_seconds_sum", whole_server=True),
        "inter_token_s_total": _counter("inter_token_latency_seconds_sum", whole_server=True),
        "requests_finished_total": _counter("num_requests_total", whole_server=True),
        "finished_prompt_tokens_total": _counter("prompt_tokens_total", whole_server=True),
        "finished_generation_tokens_total": _counter("generation_tokens_total", whole_server=True),
        "request_queue_s_total": _counter("queue_time_seconds_sum"),
        "running_requests": _gauge("num_running_reqs"),
        "waiting_requests": _gauge("num_queue_reqs"),
        "kv_usage_ratio": _gauge("token_usage", "single"),
    },
    # Only with --collect-tokens-histogram; beyond 40,000 prompt and 10,000 generated tokens its buckets tell no more.
    histograms={
        "prompt_lengths": HistogramReading(("sglang:prompt_tokens_histogram",), whole_server=True),
        "generation_lengths": HistogramReading(("sglang:generation_tokens_histogram",), whole_server=True),
    },
    inputs={
        "realtime_computed": _counter("realtime_tokens_total", mode="prefill_compute"),
        "realtime_cached": _counter("realtime_tokens_total", mode="prefill_cache"),
        "realtime_decoded": _counter("realtime_tokens_total", mode="decode"),
        "finished_cached": _counter("cached_tokens_total", whole_server=True),
        "passes_graph": _counter("cuda_graph_passes_total", mode="decode_cuda_graph"),
        "passes_plain": _counter("cuda_graph_passes_total", mode="decode_none"),
        "accept_length": _gauge("spec_accept_length", "single"),
        **_timer("timed", _TIMER, ""),
        **_timer("old_timed", _OLD_TIMER, "forward_"),
    },
    extras=(Extra("/v1/loads", ("prefill_busy_s", "prefill_tokens", "decode_steps", "decode_step_s"), _loads),),
    derives=(
        *("prompt_tokens_total", "prefill_tokens_total", "cached_tokens_total", "generation_tokens_total"),
        *("steps_total", "decode_sequence_steps_total", "prefill_s_total", "decode_s_total"),
    ),
    derive=_derive,
    # Differences of counters, and products of two sources that are not read at one instant.
    monotone=frozenset({"prefill_tokens_total", "prefill_s_total", "decode_s_total"}),
    identity=(
        IdentityProbe("/server_info", _server_info),
        IdentityProbe("/get_server_info", _server_info),
        IdentityProbe("/model_info", _model_info),
    ),
    mixed_steps=False,
    at_request_end=frozenset(
        {
            *("prompt_tokens_total", "prefill_tokens_total", "cached_tokens_total", "generation_tokens_total"),
            *("requests_finished_total", "finished_prompt_tokens_total", "finished_generation_tokens_total"),
        }
    ),
    usual_ports=(30000,),
    not_told=frozenset({"weight_bytes"}),
    evidence=(
        "measured: GPU seconds per phase, with SGLANG_ENABLE_METRICS_DEVICE_TIMER=1 (0.5.12 on)",
        "measured: GPU seconds per phase of SGLang 0.5.7 to 0.5.10",
        "measured: the scheduler's time per prefill and decode step from /v1/loads (0.5.19 on)",
        "modelled: roofline from steps and tokens, live from 0.5.7 on",
    ),
    notes={
        "prefill_s_total": _NO_TIMES,
        "decode_s_total": _NO_TIMES,
        "steps_total": _OLD,
        "decode_sequence_steps_total": _OLD,
        "prefill_tokens_total": _OLD,
        "request_queue_s_total": "counted from SGLang 0.5.5 on",
        **dict.fromkeys(
            ("prefills_total", "ttft_s_total", "inter_token_s_total", "requests_finished_total"),
            "no request yet, or several data-parallel ranks, for which SGLang counts it together",
        ),
        **dict.fromkeys(
            ("finished_prompt_tokens_total", "finished_generation_tokens_total"),
            "no request finished yet, or several data-parallel ranks, for which SGLang counts it together",
        ),
    },
)
