"""vLLM's series as readings: for vLLM, and for servers that pass them on under another prefix or other labels."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from collector.scrape.buckets import HistogramReading
from collector.scrape.spec import Derived, Reading

_COUNTERS: Mapping[str, tuple[str, ...]] = {
    "prompt_tokens_total": ("prompt_tokens_total",),
    "prefill_tokens_total": ("prompt_tokens_by_source_total",),
    "cached_tokens_total": ("prompt_tokens_cached_total",),
    "generation_tokens_total": ("generation_tokens_total",),
    "steps_total": ("iteration_tokens_total_count",),
    "step_tokens_total": ("iteration_tokens_total_sum",),
    "decode_sequence_steps_total": ("inter_token_latency_seconds_count", "time_per_output_token_seconds_count"),
    "prefills_total": ("time_to_first_token_seconds_count",),
    "requests_finished_total": ("request_success_total", "e2e_request_latency_seconds_count"),
    "preemptions_total": ("num_preemptions_total",),
    "ttft_s_total": ("time_to_first_token_seconds_sum",),
    "inter_token_s_total": ("inter_token_latency_seconds_sum", "time_per_output_token_seconds_sum"),
    "request_queue_s_total": ("request_queue_time_seconds_sum",),
    "request_prefill_s_total": ("request_prefill_time_seconds_sum",),
    "request_decode_s_total": ("request_decode_time_seconds_sum",),
    "finished_prompt_tokens_total": ("request_prompt_tokens_sum",),
    "finished_generation_tokens_total": ("request_generation_tokens_sum",),
    "draft_steps_total": ("spec_decode_num_drafts_total",),
    "draft_tokens_total": ("spec_decode_num_draft_tokens_total",),
    "accepted_tokens_total": ("spec_decode_num_accepted_tokens_total",),
}
_GAUGES: Mapping[str, tuple[str, ...]] = {
    "running_requests": ("num_requests_running",),
    "waiting_requests": ("num_requests_waiting",),
    "kv_usage_ratio": ("kv_cache_usage_perc", "gpu_cache_usage_perc"),
}
_HISTOGRAMS: Mapping[str, tuple[str, str, str | None]] = {
    "step_tokens": ("iteration_tokens_total", "_count", "steps_total"),
    "prompt_lengths": ("request_prompt_tokens", "_sum", None),
    "generation_lengths": ("request_generation_tokens", "_sum", None),
}
"""Name, the part of it that is read as a counter, and the field that says how much it holds."""
_INPUT_COUNTERS: Mapping[str, tuple[str, ...]] = {
    "prefix_cache_hits": ("prefix_cache_hits_total", "gpu_prefix_cache_hits_total"),
    "external_prefix_cache_hits": ("external_prefix_cache_hits_total",),
}
_INPUT_GAUGES: Mapping[str, tuple[str, ...]] = {"prefix_cache_hit_rate": ("gpu_prefix_cache_hit_rate",)}
_LABELS: Mapping[str, Mapping[str, str]] = {"prefill_tokens_total": {"source": "local_compute"}}
_RATIOS = frozenset({"kv_usage_ratio", "prefix_cache_hit_rate"})
ALL_NAMES = frozenset(
    name for table in (_COUNTERS, _GAUGES, _INPUT_COUNTERS, _INPUT_GAUGES) for names in table.values() for name in names
)
"""Every sample name that is read from vLLM, without its prefix."""

AT_REQUEST_END = frozenset(
    {
        *("requests_finished_total", "finished_prompt_tokens_total", "finished_generation_tokens_total"),
        *("request_queue_s_total", "request_prefill_s_total", "request_decode_s_total"),
    }
)
"""The counters that vLLM moves only when a request ends."""
CACHE_DERIVES = ("cached_tokens_total", "prefill_tokens_total")
"""What `cached_and_computed` may set."""


def vllm_readings(prefixes: Mapping[str, Collection[str]]) -> dict[str, Reading]:
    """Fields of `ReplicaSample` from vLLM's series.

    `prefixes` says what a server writes in place of `vllm:`, newest first, and for each which of vLLM's sample names
    (without prefix) it has. Raises ValueError for a name that is not read from vLLM.
    """
    unknown = frozenset[str]().union(*prefixes.values()) - ALL_NAMES
    if unknown:
        raise ValueError(f"not read from vLLM: {', '.join(sorted(unknown))}")
    return {**_built(_COUNTERS, prefixes, gauge=False), **_built(_GAUGES, prefixes, gauge=True)}


def vllm_histograms(prefixes: Mapping[str, Collection[str]]) -> dict[str, HistogramReading]:
    """The histograms whose `_count` or `_sum` is among the names that `prefixes` says a server has."""
    built = {}
    for field, (name, part, counted_by) in _HISTOGRAMS.items():
        names = tuple(prefix + name for prefix, known in prefixes.items() if name + part in known)
        if names:
            built[field] = HistogramReading(names, counted_by=counted_by)
    return built


def vllm_inputs(prefixes: Mapping[str, Collection[str]]) -> dict[str, Reading]:
    """What `cached_and_computed` needs beside the fields, from the same `prefixes`."""
    return {**_built(_INPUT_COUNTERS, prefixes, gauge=False), **_built(_INPUT_GAUGES, prefixes, gauge=True)}


def _built(
    table: Mapping[str, tuple[str, ...]], prefixes: Mapping[str, Collection[str]], *, gauge: bool
) -> dict[str, Reading]:
    """A figure of which no prefix has a name is left out."""
    built = {}
    for field, series in table.items():
        names = tuple(prefix + name for prefix, known in prefixes.items() for name in series if name in known)
        if names:
            built[field] = Reading(
                names=names,
                kind="gauge" if gauge else "counter",
                labels=_LABELS.get(field, {}),
                aggregate="single" if field in _RATIOS else "sum",
            )
    return built


def cached_and_computed(
    values: Mapping[str, float | None], unknown: str, *, rate_always_shown: bool = False
) -> Derived:
    """Cached and computed prompt tokens where the page does not count them apart.

    Prompt tokens less cache hits; of the V0 engine, which counts no hits, only while its hit rate is not positive:
    `unknown` is the note for when it is. `rate_always_shown`: a page without the rate is of an engine without a
    cache, where else the rate may only have been left out.
    """
    fields: dict[str, float | None] = {}
    notes: dict[str, str] = {}
    cached = values["cached_tokens_total"]
    if cached is None:
        hits = [values[name] for name in _INPUT_COUNTERS]
        counted = [hit for hit in hits if hit is not None]
        cached = sum(counted) if counted else None
        fields["cached_tokens_total"] = cached
    prompt, hit_rate = values["prompt_tokens_total"], values["prefix_cache_hit_rate"]
    if values["prefill_tokens_total"] is None and prompt is not None:
        if cached is not None:
            fields["prefill_tokens_total"] = max(0.0, prompt - cached)
        elif rate_always_shown if hit_rate is None else hit_rate <= 0:  # -1 is off, 0 is no hit yet
            fields["prefill_tokens_total"] = prompt
        else:
            notes["prefill_tokens_total"] = unknown
    return Derived(fields, notes)
