"""llama.cpp's llama-server: its counters before and after PR 26920 (August 2026), which changed their meaning."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from collector.scrape.facts import PARALLEL
from collector.scrape.identity import amount, member, text, whole
from collector.scrape.modelname import quantization
from collector.scrape.spec import Context, Derived, EngineSpec, Extra, IdentityProbe, Reading

_NEW_BUILD = "llamacpp:prompt_tokens_cached_total"
"""On the page since the PR that counts prompt seconds once instead of once per slot."""
_USABLE_DECODES = 1e7
"""Values are printed with 6 significant digits, so mean times count is off by at most 5 in a million. Its increases
telescope: at this many decodes of 8 slots, 5 minutes at 100 decodes a second are off by 0.2 %.
"""
_SLOTS_UNKNOWN = "the number of slots is not known: /props tells it, and has not answered (or wants the API key)"
_ONLY_ONE_SLOT = "llama.cpp adds up its slots' overlapping generation times; exact only with --parallel 1"
_OLD_BUILD = "this build counts prompt time once per slot; use a build of August 2026 or later, or --parallel 1"
_ROUNDED = "after 10,000,000 decodes llama.cpp prints its mean batch too coarsely; counted again after a restart"
_FLOAT_TYPES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}
_SIZES = {"Small": "S", "Medium": "M", "Large": "L"}


def _counter(name: str) -> Reading:
    return Reading(names=(f"llamacpp:{name}",), kind="counter")


def _gauge(name: str) -> Reading:
    return Reading(names=(f"llamacpp:{name}",), kind="gauge")


def _derive(values: Mapping[str, float | None], context: Context) -> Derived:
    """Times where they are wall time, and slot-steps while they are exact."""
    fields, notes = _times(values, context)
    prefill, cached = values["prefill_tokens_total"], values["cached_tokens_total"]
    if prefill is not None and cached is not None:
        fields["prompt_tokens_total"] = prefill + cached
    decodes, mean_batch = values["steps_total"], values["mean_busy_slots"]
    if decodes is not None and mean_batch is not None:
        if decodes < _USABLE_DECODES:
            fields["decode_sequence_steps_total"] = float(round(mean_batch * decodes))
        else:
            notes["decode_sequence_steps_total"] = _ROUNDED
    finished, under_way = values["generation_tokens_total"], values["tokens_under_way"]
    if finished is None or under_way is None:
        return Derived(fields, notes)
    fields["generation_tokens_total"] = finished + under_way
    return Derived(fields, notes, frozenset({"generation_tokens_total"}))


def _times(values: Mapping[str, float | None], context: Context) -> tuple[dict[str, float | None], dict[str, str]]:
    """One slot: both phases exact. More slots: only the new build's prompt time is wall time (exclusive)."""
    slots = context.identity.get("slots")
    if slots is None:
        return {}, dict.fromkeys(("prefill_s_total", "decode_s_total"), _SLOTS_UNKNOWN)
    if slots == 1:
        return {"prefill_s_total": values["prompt_s"], "decode_s_total": values["predicted_s"]}, {}
    if _NEW_BUILD in context.names:
        return {"prefill_s_total": values["prompt_s"]}, {"decode_s_total": _ONLY_ONE_SLOT}
    return {}, {"prefill_s_total": _OLD_BUILD, "decode_s_total": _ONLY_ONE_SLOT}


def _slots(answer: Any) -> dict[str, dict[str, float | None]]:
    """`/slots`: the tokens of requests under way, which enter the page's counter when their request ends.

    Nothing where a busy slot does not tell its tokens: a part of them would be a wrong count.
    """
    if not isinstance(answer, list) or not answer:
        return {}
    tokens = 0.0
    for slot in answer:
        busy = member(slot, "is_processing")
        if not isinstance(busy, bool):
            return {}
        if busy:
            decoded = amount(member(slot, "next_token", 0, "n_decoded"))
            if decoded is None:  # builds of before late 2025 have no list here
                decoded = amount(member(slot, "next_token", "n_decoded"))
            if decoded is None:
                return {}
            tokens += decoded
    return {"0": {"tokens_under_way": tokens}}


def _props(answer: Any) -> dict[str, Any]:
    slots = whole(member(answer, "total_slots"))
    path, ftype = text(member(answer, "model_path")), text(member(answer, "model_ftype"))
    return {
        "engine_version": text(member(answer, "build_info")),
        "model_path": path,
        "max_context_tokens": whole(member(answer, "default_generation_settings", "n_ctx")),
        "slots": slots,
        "mixed_steps": None if slots is None else slots > 1,
        **(_file_type(ftype) or {"quantization": quantization(path)}),  # builds of before 2026 leave the type out
    }


def _models(answer: Any) -> dict[str, Any]:
    meta = member(answer, "data", 0, "meta")
    return {
        "parameters": whole(member(meta, "n_params")),
        "weight_bytes": whole(member(meta, "size")),
        **_file_type(text(member(meta, "ftype"))),
    }


def _file_type(ftype: str | None) -> dict[str, Any]:
    """`Q4_K - Medium` is the type Q4_K_M; `all F32`, `F16` and `BF16` are no quantization but a dtype."""
    if ftype is None:
        return {}
    match = re.match(r"(?:\(guessed\) )?(?:all |mostly )?([A-Z0-9_]+)(?: - (Small|Medium|Large))?", ftype)
    if match is None:
        return {}
    name, size = match.groups()
    if name in _FLOAT_TYPES:
        return {"dtype": _FLOAT_TYPES[name]}
    return {"quantization": name if size is None else f"{name}_{_SIZES[size]}"}


ENGINE = EngineSpec(
    name="llamacpp",
    title="llama.cpp",
    tested_with=("b4700", "b6100", "b11434", "b11549"),
    signatures=("llamacpp:prompt_tokens_total", "llamacpp:tokens_predicted_total"),
    readings={
        "prefill_tokens_total": _counter("prompt_tokens_total"),
        "cached_tokens_total": _counter("prompt_tokens_cached_total"),
        "generation_tokens_total": _counter("tokens_predicted_total"),
        "steps_total": _counter("n_decode_total"),
        "draft_steps_total": _counter("spec_decode_num_drafts_total"),
        "draft_tokens_total": _counter("spec_decode_num_draft_tokens_total"),
        "accepted_tokens_total": _counter("spec_decode_num_accepted_tokens_total"),
        "running_requests": _gauge("requests_processing"),
        "waiting_requests": _gauge("requests_deferred"),
        "kv_usage_ratio": _gauge("kv_cache_usage_ratio"),
    },
    inputs={
        "prompt_s": _counter("prompt_seconds_total"),
        "predicted_s": _counter("tokens_predicted_seconds_total"),
        "mean_busy_slots": Reading(
            names=("llamacpp:n_busy_slots_per_decode",), kind="gauge", accept_types=("counter",)
        ),
    },
    extras=(Extra("/slots", ("tokens_under_way",), _slots),),
    derives=(
        *("prompt_tokens_total", "generation_tokens_total", "decode_sequence_steps_total"),
        *("prefill_s_total", "decode_s_total"),
    ),
    derive=_derive,
    # A product of rounded numbers can dip; so can a sum of two pages when a request ends between them.
    monotone=frozenset({"decode_sequence_steps_total", "generation_tokens_total"}),
    identity=(IdentityProbe("/props", _props), IdentityProbe("/v1/models", _models)),
    process_start_header="Process-Start-Time-Unix",
    at_request_end=frozenset({"generation_tokens_total", "decode_s_total"}),
    usual_ports=(8080,),
    not_told=PARALLEL | {"kv_dtype"},
    evidence=(
        "measured: prompt and generation seconds, exact with one slot (--parallel 1)",
        "measured: prompt seconds of batches that held prompt tokens, from builds of August 2026 on (exclusive)",
        "modelled: roofline from token counts and /v1/models, for older builds with several slots",
    ),
    notes={
        "prompt_tokens_total": "cached prompt tokens are counted from builds of August 2026 on",
        "cached_tokens_total": "counted from builds of August 2026 on",
        "decode_sequence_steps_total": "not on the page of this build; it includes slots that process prompts",
        "prefill_s_total": _SLOTS_UNKNOWN,
        "decode_s_total": _SLOTS_UNKNOWN,
        "draft_steps_total": "counted from builds of August 2026 on",
        "draft_tokens_total": "counted from builds of August 2026 on",
        "accepted_tokens_total": "counted from builds of August 2026 on",
        "kv_usage_ratio": "not on the page of builds after May 2025",
        "generation_tokens_total": "live where /slots answers, and else only when a request ends",
    },
)
