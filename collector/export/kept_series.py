"""A stored report's series: what /metrics showed of it then, as far as rules can be asked about the past."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

from analyzer.facts.compiled import COMPILED_S
from analyzer.verdict import Verdict
from collector.export.health_series import Series, text

Plain = Mapping[str, Any]
_ESTIMATES = {"breakeven_busy_ratio": "busy", "breakeven_memory_bound_ratio": "memory_bound"}
"""Of a replica's phase account."""
_REPLICA_ESTIMATES = {
    "breakeven_decode_batch_size": "decode_batch",
    "breakeven_generation_tokens_per_second": "generation_tokens_per_s",
    "breakeven_prefill_tokens_per_second": "prefill_tokens_per_s",
}
_REPLICA_VALUES = {
    "breakeven_cached_prompt_ratio": "cached_prompt",
    "breakeven_running_requests": "running_requests",
    "breakeven_waiting_requests": "waiting_requests",
    "breakeven_kv_usage_ratio": "kv_usage",
    "breakeven_preemptions_per_request": "preemptions_per_request",
    "breakeven_time_to_first_token_seconds": "time_to_first_token_s",
    "breakeven_inter_token_seconds": "inter_token_s",
}
_MONEY = {
    "breakeven_scheme_gpus_released": "gpus_released",
    "breakeven_scheme_gpus_avoided": "gpus_avoided",
    "breakeven_scheme_saving_usd_per_month": "saving_usd_per_month",
    "breakeven_scheme_avoided_usd_per_month": "avoided_usd_per_month",
}
KEPT = frozenset(
    {
        *_ESTIMATES,
        *_REPLICA_ESTIMATES,
        *_REPLICA_VALUES,
        *_MONEY,
        "breakeven_phase_share_ratio",
        "breakeven_last_sample_timestamp_seconds",
        "breakeven_step_held_out_error_ratio",
        "breakeven_calibration_timestamp_seconds",
        "breakeven_deployment_replicas",
        "breakeven_deployment_fresh_replicas",
        "breakeven_deployment_info",
        "breakeven_deployment_memory_bound_ratio",
        "breakeven_deployment_price_timestamp_seconds",
        "breakeven_deployment_price_stale",
        "breakeven_verdict",
        "breakeven_verdict_since_timestamp_seconds",
        "breakeven_scheme_already_served",
        "breakeven_scheme_speedup_ratio",
        "breakeven_prediction_realised_ratio",
        "breakeven_scheme_quality_timestamp_seconds",
        "breakeven_facts_timestamp_seconds",
    }
)
"""The metrics that a stored report tells in full; rules that look at any other one cannot be replayed."""


def kept_series(body: Plain) -> Iterator[Series]:
    """The series of `KEPT` that a report had, given as it is stored. One that an older release did not keep is absent.

    Raises KeyError or TypeError for what is no report.
    """
    for facts, compiled_s in COMPILED_S.items():
        yield "breakeven_facts_timestamp_seconds", {"facts": facts}, compiled_s
    for replica in body["replicas"]:
        yield from _replica(replica)
    for deployment in body["deployments"]:
        yield from _deployment(deployment)


def _replica(one: Plain) -> Iterator[Series]:
    key = one["replica"]
    labels = {
        "deployment": one["deployment"],
        "target": key["target"],
        "model_name": key["model"],
        "rank": key["rank"],
    }
    yield from _number("breakeven_last_sample_timestamp_seconds", labels, one.get("last_sample_s"))
    if not one["fresh"]:
        return
    account = one["phases"]
    for accounting in ("marginal", "exclusive"):
        prefill = account.get(f"prefill_{accounting}")
        for phase, figure in (("prefill", prefill), ("decode", _complement(prefill))):
            with_phase = {**labels, "phase": phase, "accounting": accounting}
            yield from _bounds("breakeven_phase_share_ratio", with_phase, figure)
    for source, names in ((account, _ESTIMATES), (one, _REPLICA_ESTIMATES)):
        for name, field in names.items():
            yield from _bounds(name, labels, source.get(field))
    for name, field in _REPLICA_VALUES.items():
        figure = one.get(field)
        if _is_estimate(figure):
            yield name, labels, _float(figure["value"])
    step_time = one.get("step_time") or {}
    yield from _number("breakeven_step_held_out_error_ratio", labels, step_time.get("held_out_error"))
    yield from _number("breakeven_calibration_timestamp_seconds", labels, one.get("calibrated_to_s"))


def _deployment(one: Plain) -> Iterator[Series]:
    labels = {"deployment": one["name"]}
    yield "breakeven_deployment_replicas", labels, float(one["replicas"])
    yield "breakeven_deployment_fresh_replicas", labels, float(one["fresh_replicas"])
    bottleneck = one.get("bottleneck")
    yield (
        "breakeven_deployment_info",
        {
            **labels,
            "model_name": text(one["model"]),
            "gpu": text(one["gpu"]),
            "bottleneck": bottleneck if isinstance(bottleneck, str) else "",
            "simulated": "true" if one["simulated"] else "false",
        },
        1.0,
    )
    yield from _bounds("breakeven_deployment_memory_bound_ratio", labels, one.get("memory_bound"))
    yield from _number("breakeven_deployment_price_timestamp_seconds", labels, one.get("price_as_of_s"))
    yield from _number("breakeven_deployment_price_stale", labels, one.get("price_stale"))
    for scheme in one["schemes"]:
        yield from _scheme(scheme, {**labels, "scheme": scheme["scheme"]})


def _scheme(one: Plain, labels: Mapping[str, str]) -> Iterator[Series]:
    state = one["state"]
    for verdict in Verdict:
        yield "breakeven_verdict", {**labels, "verdict": verdict.value}, float(state["verdict"] == verdict.value)
    yield "breakeven_verdict_since_timestamp_seconds", labels, state["since_s"]
    yield from _number("breakeven_scheme_already_served", labels, one.get("already_served"))
    for rule, field in (("adopted", "speedup"), ("amdahl", "amdahl_speedup"), ("article", "article_speedup")):
        yield from _bounds("breakeven_scheme_speedup_ratio", {**labels, "rule": rule}, one.get(field))
    canary = one.get("canary") or {}
    yield from _bounds("breakeven_prediction_realised_ratio", labels, canary.get("ratio"))
    money = one.get("money") or {}
    for name, field in _MONEY.items():
        yield from _bounds(name, labels, money.get(field))
    quality = one.get("quality") or {}
    yield from _number("breakeven_scheme_quality_timestamp_seconds", labels, quality.get("as_of_s"))


def _is_estimate(figure: Any) -> TypeGuard[Plain]:
    return isinstance(figure, Mapping) and "value" in figure


def _bounds(name: str, labels: Mapping[str, str], figure: Any) -> Iterator[Series]:
    if _is_estimate(figure):
        for bound, field in (("p10", "low"), ("p50", "value"), ("p90", "high")):
            yield name, {**labels, "bound": bound, "evidence": figure["evidence"]}, _float(figure[field])


def _number(name: str, labels: Mapping[str, str], value: Any) -> Iterator[Series]:
    if value is not None:
        yield name, labels, float(value)


def _complement(figure: Any) -> Any:
    """A share's other part: its low end is the other's high end."""
    if not _is_estimate(figure):
        return None
    value, low, high = 1 - figure["value"], 1 - figure["high"], 1 - figure["low"]
    return {**figure, "low": low, "value": min(max(value, low), high), "high": high}


def _float(value: Any) -> float:
    """A number as a plain report has it, where infinity is a word."""
    return float(value.replace("infinite", "inf")) if isinstance(value, str) else float(value)
