"""State -> series, made anew from what is known: one that nothing reports any more is gone at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from math import inf, isinf

from analyzer.canary import Canary
from analyzer.deployments import DeploymentReport
from analyzer.evidence import Estimate, Evidence
from analyzer.money import Mode, TokenCosts
from analyzer.predict import Prediction
from analyzer.replicas import ReplicaReport
from analyzer.report import Report
from analyzer.scheme_report import SchemeReport
from analyzer.stepsizes import StepSizes
from analyzer.steptime.account import StepTime
from analyzer.verdict import Verdict
from collector.clock import Clock
from collector.export.article_series import answer_series, beside_series
from collector.export.capacity_series import bounds, fleet_series, plain, replica_series, scheme_series
from collector.export.health_series import Series, gpu_series, health_series, text
from collector.export.snapshot import State

REPORT_STALE_INTERVALS = 5
"""A report older than this many recomputations is not shown: its figures would be yesterday's."""


def live_series(state: State) -> Iterator[Series]:
    """What changes with every poll: health, targets and GPUs."""
    yield from health_series(state)
    yield from gpu_series(state)


def report_series(report: Report) -> Iterator[Series]:
    """What a report says, the same until the next one."""
    for replica in report.replicas:
        yield from _replica(replica)
    for deployment in report.deployments:
        yield from _deployment(deployment)


def is_stale(report: Report, clock: Clock, evaluation_interval_s: float) -> bool:
    """Whether a report is too old to be shown as today's."""
    return clock.wall_s() - report.made_at_s > REPORT_STALE_INTERVALS * evaluation_interval_s


def _replica(one: ReplicaReport) -> Iterator[Series]:
    labels = {
        "deployment": one.deployment,
        "target": one.replica.target,
        "model_name": one.replica.model,
        "rank": one.replica.rank,
    }
    if one.last_sample_s is not None:
        yield "breakeven_last_sample_timestamp_seconds", labels, one.last_sample_s
    yield "breakeven_history_covered_seconds", labels, one.history_covered_s
    if one.epoch_started_s is not None:
        yield "breakeven_epoch_start_timestamp_seconds", labels, one.epoch_started_s
    if not one.fresh:
        return
    identity = one.identity
    yield (
        "breakeven_replica_info",
        {
            **labels,
            "job": one.job,
            "engine": identity.engine,
            "engine_version": text(identity.engine_version),
            "dtype": text(identity.dtype),
            "quantization": text(identity.quantization),
            "gpu": text(identity.gpu),
            "simulated": _bool(one.simulated),
        },
        1.0,
    )
    yield from _phases(one, labels)
    yield from bounds("breakeven_decode_batch_size", labels, one.decode_batch)
    yield from bounds("breakeven_generation_tokens_per_second", labels, one.generation_tokens_per_s)
    yield from bounds("breakeven_prefill_tokens_per_second", labels, one.prefill_tokens_per_s)
    yield from plain("breakeven_cached_prompt_ratio", labels, one.cached_prompt)
    yield from plain("breakeven_running_requests", labels, one.running_requests)
    yield from plain("breakeven_waiting_requests", labels, one.waiting_requests)
    yield from plain("breakeven_kv_usage_ratio", labels, one.kv_usage)
    yield from plain("breakeven_preemptions_per_request", labels, one.preemptions_per_request)
    yield from plain("breakeven_time_to_first_token_seconds", labels, one.time_to_first_token_s)
    yield from plain("breakeven_inter_token_seconds", labels, one.inter_token_s)
    yield from replica_series(one.capacity, labels)
    yield from _steps(one, labels)


def _phases(one: ReplicaReport, labels: Mapping[str, str]) -> Iterator[Series]:
    account = one.phases
    for accounting, prefill in (("marginal", account.prefill_marginal), ("exclusive", account.prefill_exclusive)):
        if isinstance(prefill, Estimate):
            decode = prefill.map(lambda share: 1 - share)
            for phase, figure in (("prefill", prefill), ("decode", decode)):
                with_phase = {**labels, "phase": phase, "accounting": accounting}
                yield from bounds("breakeven_phase_share_ratio", with_phase, figure)
    if isinstance(account.components, Mapping):
        for component, share in account.components.items():
            with_component = {**labels, "component": component, "evidence": share.evidence.value}
            yield "breakeven_time_share_ratio", with_component, share.value
    yield from bounds("breakeven_busy_ratio", labels, account.busy)
    yield from bounds("breakeven_memory_bound_ratio", labels, account.memory_bound)
    yield from plain("breakeven_request_seconds_prefill_ratio", labels, account.request_seconds_prefill)


def _steps(one: ReplicaReport, labels: Mapping[str, str]) -> Iterator[Series]:
    """What a step costs, by the model of the current epoch, and the live span's steps by size."""
    model = one.step_time
    if isinstance(model, StepTime):
        for name, known in model.coefficients.items():
            with_name = {**labels, "coefficient": name}
            yield from bounds("breakeven_step_coefficient_seconds", with_name, known.estimate)
            yield "breakeven_step_coefficient_identified", with_name, float(known.identified)
        if model.held_out_error is not None:
            yield "breakeven_step_held_out_error_ratio", labels, model.held_out_error
        yield "breakeven_step_overlapped_weight_ratio", labels, model.overlapped
    if one.calibrated_to_s is not None:
        yield "breakeven_calibration_timestamp_seconds", labels, one.calibrated_to_s
    if isinstance(one.step_sizes, StepSizes):
        for size in one.step_sizes.sizes:
            tokens = "+Inf" if isinf(size.up_to_tokens) else f"{size.up_to_tokens:.0f}"
            yield "breakeven_step_size_steps_ratio", {**labels, "tokens": tokens}, size.steps
            if size.busy is not None and isinstance(one.step_sizes.evidence, Evidence):
                with_evidence = {**labels, "tokens": tokens, "evidence": one.step_sizes.evidence.value}
                yield "breakeven_step_size_time_ratio", with_evidence, size.busy


def _deployment(one: DeploymentReport) -> Iterator[Series]:
    labels = {"deployment": one.name}
    yield "breakeven_deployment_replicas", labels, float(one.replicas)
    yield "breakeven_deployment_fresh_replicas", labels, float(one.fresh_replicas)
    yield (
        "breakeven_deployment_info",
        {
            **labels,
            "model_name": text(one.model),
            "gpu": text(one.gpu),
            "bottleneck": one.bottleneck if isinstance(one.bottleneck, str) else "",
            "simulated": _bool(one.simulated),
        },
        1.0,
    )
    yield from bounds("breakeven_deployment_memory_bound_ratio", labels, one.memory_bound)
    if one.usd_per_hour is not None:
        yield "breakeven_deployment_cost_usd_per_hour", labels, one.usd_per_hour
    if one.price_as_of_s is not None:
        yield "breakeven_deployment_price_timestamp_seconds", labels, one.price_as_of_s
    if one.price_stale is not None:
        yield "breakeven_deployment_price_stale", labels, float(one.price_stale)
    with_basis = {**labels, "basis": "allocation"}
    yield from bounds("breakeven_deployment_cost_usd_per_million_tokens", with_basis, one.usd_per_million_tokens)
    for basis in ("allocation", "usage"):
        costs: TokenCosts = getattr(one.token_costs, basis)
        for kind in fields(costs):
            with_kind = {**labels, "basis": basis, "kind": kind.name}
            name = "breakeven_deployment_token_cost_usd_per_million_tokens"
            yield from bounds(name, with_kind, getattr(costs, kind.name))
    if one.price_source is not None:
        shipped = _bool(bool(one.price_shipped))
        yield "breakeven_deployment_price_info", {**labels, "source": one.price_source, "shipped": shipped}, 1.0
    if one.schemes:
        yield from bounds("breakeven_deployment_replicas_needed", labels, one.schemes[0].money.replicas_needed)
    yield from fleet_series(one.capacity, labels)
    yield from answer_series(one.article, labels)
    for scheme in one.schemes:
        yield from _scheme(scheme, {**labels, "scheme": scheme.scheme})


def _scheme(one: SchemeReport, labels: Mapping[str, str]) -> Iterator[Series]:
    for verdict in Verdict:
        yield "breakeven_verdict", {**labels, "verdict": verdict.value}, float(one.verdict is verdict)
    yield "breakeven_verdict_since_timestamp_seconds", labels, one.state.since_s
    yield "breakeven_scheme_already_served", labels, float(one.already_served)
    yield from bounds("breakeven_scheme_speedup_ratio", {**labels, "rule": "adopted"}, one.speedup)
    yield from bounds("breakeven_scheme_speedup_ratio", {**labels, "rule": "amdahl"}, one.amdahl_speedup)
    yield from bounds("breakeven_scheme_speedup_ratio", {**labels, "rule": "article"}, one.article_speedup)
    if isinstance(one.prediction, Prediction):
        tokens = one.prediction.break_even_tokens
        yield "breakeven_scheme_break_even_tokens", labels, inf if tokens is None else tokens
    if isinstance(one.canary, Canary):
        yield from bounds("breakeven_prediction_realised_ratio", labels, one.canary.ratio)
    yield from scheme_series(one.capacity, labels)
    yield from beside_series(one.article, labels)
    money = one.money
    if isinstance(money.mode, Mode):
        yield "breakeven_scheme_saving_info", {**labels, "mode": money.mode.value}, 1.0
    for name, figure in (
        ("gpus_released", money.gpus_released),
        ("gpus_avoided", money.gpus_avoided),
        ("replicas_needed", money.replicas_after),
        ("saving_usd_per_month", money.saving_usd_per_month),
        ("avoided_usd_per_month", money.avoided_usd_per_month),
        ("payback_months", money.payback_months),
        ("year_1_net_usd", money.year_1_net_usd),
        ("break_even_ratio", money.break_even_ratio),
    ):
        yield from bounds(f"breakeven_scheme_{name}", labels, figure)
    if one.quality is not None:
        yield "breakeven_scheme_quality_timestamp_seconds", labels, one.quality.as_of_s
    if one.quality is not None and one.quality.relative_loss is not None:
        yield "breakeven_scheme_quality_loss_ratio", {**labels, "source": "operator"}, one.quality.relative_loss
    if one.prior is not None:
        yield "breakeven_scheme_quality_loss_ratio", {**labels, "source": "published"}, one.prior.median


def _bool(value: bool) -> str:
    return "true" if value else "false"
