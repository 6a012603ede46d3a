"""Totals -> prefill and generation tokens per second, over covered time only."""

from __future__ import annotations

from analyzer.evidence import Estimate, Evidence, Figure, Missing
from analyzer.windows import Totals


def generation_tokens_per_s(totals: Totals, lumpy: bool) -> Figure:
    """Generated tokens per covered second, the first token of each request included.

    `lumpy` says that the engine adds a request's tokens when it ends; the interval then reaches to the live count of
    decode sequence-steps, where the engine has one.
    """
    rate = totals.rate("generation_tokens_total")
    if rate is None:
        return Missing("the engine does not report generated tokens throughout the span")
    if not lumpy:
        return Estimate.exact(rate, Evidence.MEASURED, "generation_counter")
    live = totals.rate("decode_sequence_steps_total")
    ends = (rate,) if live is None else (rate, live)
    return Estimate(rate, min(ends), max(ends), Evidence.MEASURED, "generation_counter_at_request_end")


def decode_tokens_per_s(totals: Totals) -> Figure:
    """Tokens from decode steps per covered second: generated tokens less the first of each request."""
    generated, prefills = totals.rate("generation_tokens_total"), totals.rate("prefills_total")
    if generated is None or prefills is None:
        return Missing("the engine does not report generated tokens and first tokens throughout the span")
    return Estimate.exact(max(0.0, generated - prefills), Evidence.MEASURED, "generation_less_first_tokens")


def prefill_tokens_per_s(totals: Totals) -> Figure:
    """Prompt tokens computed per covered second: prefix-cached ones cost nothing and are left out."""
    rate = totals.rate("prefill_tokens_total")
    if rate is not None:
        return Estimate.exact(rate, Evidence.MEASURED, "computed_prompt_tokens")
    whole = totals.rate("prompt_tokens_total")
    if whole is None:
        return Missing("the engine does not report prompt tokens throughout the span")
    return Estimate(whole, 0.0, whole, Evidence.MODELLED, "prompt_tokens_cache_unknown")


def prompt_tokens_per_s(totals: Totals) -> Figure:
    """Prompt tokens per covered second, prefix-cached ones included, as they are billed.

    Where the engine counts only the computed ones, these are the least there can have been.
    """
    whole = totals.rate("prompt_tokens_total")
    if whole is not None:
        return Estimate.exact(whole, Evidence.MEASURED, "prompt_tokens")
    computed = totals.rate("prefill_tokens_total")
    if computed is None:
        return Missing("the engine does not report prompt tokens throughout the span")
    return Estimate.exact(computed, Evidence.MODELLED, "computed_prompt_tokens")


def cached_prompt_ratio(totals: Totals) -> Figure:
    """Share of prompt tokens that came from a prefix cache."""
    cached, whole = totals.deltas["cached_tokens_total"], totals.deltas["prompt_tokens_total"]
    if cached is None or whole is None:
        return Missing("the engine does not report cached prompt tokens")
    if whole <= 0:
        return Missing("no prompt was counted in this span")
    return Estimate.exact(min(1.0, cached / whole), Evidence.MEASURED, "cached_per_prompt_token")
