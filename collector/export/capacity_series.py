"""What replicas, deployments and schemes carry within the latency objectives, as series."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from analyzer.capacity import Latency, Objective, Objectives, Side
from analyzer.capacity.answer import USUAL
from analyzer.capacity.fleet import FleetCapacity, SchemeCapacity
from analyzer.capacity.live import ReplicaCapacity
from analyzer.evidence import Estimate, Figure, Missing
from collector.export.health_series import Series

Labels = Mapping[str, str]


def bounds(name: str, labels: Labels, figure: Figure) -> Iterator[Series]:
    """A figure's three bounds; nothing at all for a missing one."""
    if isinstance(figure, Estimate):
        for bound, value in (("p10", figure.low), ("p50", figure.value), ("p90", figure.high)):
            yield name, {**labels, "bound": bound, "evidence": figure.evidence.value}, value


def plain(name: str, labels: Labels, figure: Figure) -> Iterator[Series]:
    """The value alone; nothing for a missing one."""
    if isinstance(figure, Estimate):
        yield name, labels, figure.value


def replica_series(one: ReplicaCapacity, labels: Labels) -> Iterator[Series]:
    """One replica as it is."""
    yield from plain("breakeven_load_requests_per_second", labels, one.rate_per_s)
    if not isinstance(one.now, Missing):
        yield from bounds("breakeven_capacity_requests_per_second", labels, one.now.capacity_per_s)
    if one.kv.limits is not None:
        yield "breakeven_kv_limited", labels, float(one.kv.limits)


def fleet_series(one: FleetCapacity, labels: Labels) -> Iterator[Series]:
    """One deployment as it is."""
    yield from plain("breakeven_deployment_load_requests_per_second", labels, one.mean_per_s)
    yield from plain("breakeven_deployment_peak_requests_per_second", labels, one.peak_per_s)
    yield from plain("breakeven_deployment_load_imbalance_ratio", labels, one.imbalance)
    yield from bounds("breakeven_deployment_capacity_requests_per_second", labels, one.capacity_per_s)
    yield from bounds("breakeven_deployment_load_ratio", labels, one.load)
    if not isinstance(one.replica, Missing):
        yield from _side("breakeven_deployment", one.replica, one.objectives, labels)


def scheme_series(one: SchemeCapacity, labels: Labels) -> Iterator[Series]:
    """One deployment under a scheme."""
    yield from bounds("breakeven_scheme_capacity_requests_per_second", labels, one.capacity_per_s)
    yield from bounds("breakeven_scheme_capacity_ratio", labels, one.ratio)
    if not isinstance(one.replica, Missing):
        yield from _side("breakeven_scheme", one.replica.after, one.replica.objectives, labels)
        yield "breakeven_scheme_kv_credited", labels, float(one.replica.kv_credited)


def _side(prefix: str, one: Side, objectives: Objectives, labels: Labels) -> Iterator[Series]:
    yield f"{prefix}_capacity_bound_info", {**labels, "limit": one.bound}, 1.0
    if one.concurrency is not None:
        yield f"{prefix}_concurrent_sequences", labels, one.concurrency
    if one.longest_context is not None:
        yield f"{prefix}_kv_tokens", labels, one.longest_context
    for latency, statistic, figure in latencies(one.today, objectives):
        with_latency = {**labels, "latency": latency, "statistic": statistic}
        yield from bounds(f"{prefix}_latency_seconds", with_latency, figure)


def latencies(today: Latency, objectives: Objectives) -> Iterator[tuple[str, str, Figure]]:
    """(latency, statistic, figure) at today's load: means, and the percentiles that the objectives name."""
    yield "first_token", "mean", today.first_token_mean_s
    yield "first_token", percentile(objectives.first_token), today.first_token_s
    yield "token_gap", "mean", today.token_gap_mean_s
    yield "token_gap", percentile(objectives.token_gap), today.token_gap_s


def percentile(objective: Objective | None) -> str:
    """`p95` of an objective at 0.95."""
    return f"p{100 * (USUAL if objective is None else objective.share):g}"
