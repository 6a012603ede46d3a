"""The exported metrics of capacity: what replicas, deployments and schemes carry within the latency objectives."""

from __future__ import annotations

from collector.export.metric import ESTIMATE, REPLICA, Metric

CAPACITY: tuple[Metric, ...] = (
    # A replica and a deployment as they are, then a deployment under a scheme; all over the decision span.
    Metric(
        "breakeven_load_requests_per_second",
        "gauge",
        REPLICA,
        "Mean requests per second of the decision span, as old as the capacity.",
    ),
    Metric(
        "breakeven_capacity_requests_per_second",
        "gauge",
        (*REPLICA, *ESTIMATE),
        "Largest load within the latency objectives, in requests of the live mix. "
        "Computed about hourly, over a long history every 4 % of its length, at most 6 hours apart.",
    ),
    Metric(
        "breakeven_kv_limited", "gauge", REPLICA, "1 when queueing or preemption shows that KV memory limits the batch."
    ),
    Metric(
        "breakeven_deployment_load_requests_per_second",
        "gauge",
        ("deployment",),
        "Mean requests per second, all replicas together.",
    ),
    Metric(
        "breakeven_deployment_peak_requests_per_second",
        "gauge",
        ("deployment",),
        "99th percentile over time of the requests per second, all replicas together.",
    ),
    Metric(
        "breakeven_deployment_load_imbalance_ratio",
        "gauge",
        ("deployment",),
        "How much more loaded than the mean the most loaded replica is; 1 is evenly balanced.",
    ),
    Metric(
        "breakeven_deployment_capacity_requests_per_second",
        "gauge",
        ("deployment", *ESTIMATE),
        "Largest load of one replica as it is within the latency objectives, in requests of the live mix.",
    ),
    Metric(
        "breakeven_deployment_load_ratio",
        "gauge",
        ("deployment", *ESTIMATE),
        "Peak load over what the running replicas carry, balanced as they are; 1 is full.",
    ),
    Metric(
        "breakeven_deployment_latency_seconds",
        "gauge",
        ("deployment", "latency", "statistic", *ESTIMATE),
        "Latency of the busiest replica at today's load by the capacity model: what the schemes' are compared with.",
    ),
    Metric(
        "breakeven_deployment_capacity_bound_info",
        "info",
        ("deployment", "limit"),
        "What sets the capacity as it is: `first_token`, `token_gap`, `utilisation` or `unreachable`.",
    ),
    Metric(
        "breakeven_deployment_concurrent_sequences",
        "gauge",
        ("deployment",),
        "Sequences of the live context that a replica's KV memory holds at once.",
    ),
    Metric(
        "breakeven_deployment_kv_tokens",
        "gauge",
        ("deployment",),
        "Tokens that a replica's KV memory holds: the longest context that memory allows.",
    ),
    Metric(
        "breakeven_scheme_capacity_requests_per_second",
        "gauge",
        ("deployment", "scheme", *ESTIMATE),
        "Largest load of one replica under the scheme within the latency objectives, in requests of the live mix.",
    ),
    Metric(
        "breakeven_scheme_capacity_ratio",
        "gauge",
        ("deployment", "scheme", *ESTIMATE),
        "Capacity under the scheme over capacity as it is.",
    ),
    Metric(
        "breakeven_scheme_latency_seconds",
        "gauge",
        ("deployment", "scheme", "latency", "statistic", *ESTIMATE),
        "Latency of the busiest replica under the scheme, at the load that it has today.",
    ),
    Metric(
        "breakeven_scheme_capacity_bound_info",
        "info",
        ("deployment", "scheme", "limit"),
        "What sets the capacity under the scheme: `first_token`, `token_gap`, `utilisation` or `unreachable`.",
    ),
    Metric(
        "breakeven_scheme_kv_credited",
        "gauge",
        ("deployment", "scheme"),
        "1 when KV memory that the scheme frees raises the capacity, which takes a sign that it limits today.",
    ),
    Metric(
        "breakeven_scheme_concurrent_sequences",
        "gauge",
        ("deployment", "scheme"),
        "Sequences of the live context that a replica's KV memory holds at once under the scheme.",
    ),
    Metric(
        "breakeven_scheme_kv_tokens",
        "gauge",
        ("deployment", "scheme"),
        "Tokens that a replica's KV memory holds under the scheme: the longest context that memory allows.",
    ),
)
