"""Every exported metric, once: name, type, labels, help. METRICS.md, dashboards and rules are tested against it."""

from __future__ import annotations

from collector.export.article_series import ARTICLE
from collector.export.capacity_catalogue import CAPACITY
from collector.export.metric import ESTIMATE, REPLICA, Metric
from collector.export.notification_series import NOTIFICATIONS
from collector.export.replica_catalogue import REPLICAS
from collector.export.source_catalogue import SOURCES
from collector.export.storage_catalogue import STORAGE

__all__ = ["CATALOGUE", "ESTIMATE", "REPLICA", "Metric", "by_name"]

CATALOGUE: tuple[Metric, ...] = (
    # What was decided, per deployment and scheme.
    Metric("breakeven_verdict", "gauge", ("deployment", "scheme", "verdict"), "1 for the verdict that stands."),
    Metric(
        "breakeven_verdict_since_timestamp_seconds",
        "gauge",
        ("deployment", "scheme"),
        "Unix time since when the verdict stands.",
    ),
    Metric(
        "breakeven_scheme_already_served",
        "gauge",
        ("deployment", "scheme"),
        "1 when every replica of the deployment serves the scheme already.",
    ),
    Metric(
        "breakeven_scheme_speedup_ratio",
        "gauge",
        ("deployment", "scheme", "rule", *ESTIMATE),
        "Step speed-up of the scheme: `adopted` is the verdict's; `amdahl`, `article`: rules over published figures.",
    ),
    Metric(
        "breakeven_scheme_break_even_tokens",
        "gauge",
        ("deployment", "scheme"),
        "Tokens per step from which the scheme makes steps slower; +Inf when it helps at any size, 0 when at none.",
    ),
    Metric(
        "breakeven_scheme_gpus_released",
        "gauge",
        ("deployment", "scheme", *ESTIMATE),
        "Whole GPUs that could be given back at today's load.",
    ),
    Metric(
        "breakeven_scheme_gpus_avoided",
        "gauge",
        ("deployment", "scheme", *ESTIMATE),
        "Whole GPUs that need not be bought by the end of a year of the stated growth.",
    ),
    Metric(
        "breakeven_scheme_replicas_needed",
        "gauge",
        ("deployment", "scheme", *ESTIMATE),
        "Whole replicas that carry the observed peak under the scheme.",
    ),
    Metric(
        "breakeven_scheme_saving_info",
        "info",
        ("deployment", "scheme", "mode"),
        "How the scheme saves: `released` or `avoided` GPUs, `latency_only` (no money) or `none`.",
    ),
    Metric(
        "breakeven_scheme_saving_usd_per_month",
        "gauge",
        ("deployment", "scheme", *ESTIMATE),
        "Money saved per month by whole GPUs given back, in US dollars.",
    ),
    Metric(
        "breakeven_scheme_avoided_usd_per_month",
        "gauge",
        ("deployment", "scheme", *ESTIMATE),
        "Money per month of GPUs that need not be bought, mean of the first year, in US dollars.",
    ),
    Metric(
        "breakeven_scheme_year_1_net_usd",
        "gauge",
        ("deployment", "scheme", *ESTIMATE),
        "First year's saving less the stated work, in US dollars.",
    ),
    Metric(
        "breakeven_scheme_break_even_ratio",
        "gauge",
        ("deployment", "scheme", *ESTIMATE),
        "Speed-up in capacity from which the first year pays; +Inf when none does.",
    ),
    Metric(
        "breakeven_scheme_payback_months",
        "gauge",
        ("deployment", "scheme", *ESTIMATE),
        "Months until the stated work is paid back; +Inf when it never is.",
    ),
    Metric(
        "breakeven_scheme_quality_loss_ratio",
        "gauge",
        ("deployment", "scheme", "source"),
        "Relative quality loss, entered by the operator or published (median).",
    ),
    Metric(
        "breakeven_scheme_quality_timestamp_seconds",
        "gauge",
        ("deployment", "scheme"),
        "Unix time of the quality evaluation that the operator entered.",
    ),
    Metric(
        "breakeven_prediction_realised_ratio",
        "gauge",
        ("deployment", "scheme", *ESTIMATE),
        "Realised over predicted step speed-up, of a scheme that a replica serves beside one that is not quantized. "
        "The bounds are those of what was realised.",
    ),
    # A deployment as a whole, over the decision span.
    Metric("breakeven_deployment_replicas", "gauge", ("deployment",), "Replicas of the deployment."),
    Metric("breakeven_deployment_fresh_replicas", "gauge", ("deployment",), "Replicas whose last poll is recent."),
    Metric(
        "breakeven_deployment_info",
        "info",
        ("deployment", "model_name", "gpu", "bottleneck", "simulated"),
        "What the deployment serves on what; `simulated` is true when its figures are invented by the simulator.",
    ),
    Metric(
        "breakeven_deployment_memory_bound_ratio",
        "gauge",
        ("deployment", *ESTIMATE),
        "Share of busy time whose length is set by bytes moved, over the decision span.",
    ),
    Metric(
        "breakeven_deployment_cost_usd_per_hour", "gauge", ("deployment",), "GPU-hours' price, all replicas together."
    ),
    Metric(
        "breakeven_deployment_cost_usd_per_million_tokens",
        "gauge",
        ("deployment", "basis", *ESTIMATE),
        "US dollars per million generated tokens, on the basis named.",
    ),
    Metric("breakeven_deployment_price_timestamp_seconds", "gauge", ("deployment",), "Unix time of the price used."),
    Metric(
        "breakeven_deployment_token_cost_usd_per_million_tokens",
        "gauge",
        ("deployment", "basis", "kind", *ESTIMATE),
        "US dollars per million `blended`, `input`, `output` (apart by GPU time) or `generated` tokens (all time over "
        "them); basis `allocation` pays idle GPU-hours, `usage` busy ones only.",
    ),
    Metric(
        "breakeven_deployment_price_info",
        "info",
        ("deployment", "source", "shipped"),
        "Where the price used is from; `shipped` is true where a reference price stands in for yours.",
    ),
    Metric(
        "breakeven_deployment_replicas_needed",
        "gauge",
        ("deployment", *ESTIMATE),
        "Whole replicas that carry the observed peak as they are, within the latency objectives.",
    ),
    Metric(
        "breakeven_deployment_price_stale",
        "gauge",
        ("deployment",),
        "1 when the price used is older than 90 days.",
    ),
    *REPLICAS,
    *CAPACITY,
    *ARTICLE,
    *SOURCES,
    # The daemon itself.
    Metric("breakeven_build_info", "info", ("version",), "The release that runs."),
    Metric(
        "breakeven_facts_timestamp_seconds",
        "gauge",
        ("facts",),
        "Unix time when the published figures that this release ships were compiled, by kind.",
    ),
    Metric("breakeven_simulated", "gauge", (), "1 when any target is the bundled simulator: figures are invented."),
    Metric("breakeven_start_timestamp_seconds", "gauge", (), "Unix time when the daemon started."),
    Metric(
        "breakeven_analyser",
        "gauge",
        ("holder",),
        "1 when this daemon makes the reports, of several on one database; `holder` names the one that does, if known.",
    ),
    Metric("breakeven_analysis_runs_total", "counter", (), "Recomputations of the report."),
    Metric("breakeven_analysis_failures_total", "counter", ("reason",), "Failed recomputations."),
    Metric(
        "breakeven_analysis_last_success_timestamp_seconds", "gauge", (), "Unix time of the last good recomputation."
    ),
    Metric("breakeven_analysis_duration_seconds", "gauge", (), "Duration of the last recomputation."),
    Metric(
        "breakeven_turns_skipped_total",
        "counter",
        ("work",),
        "Turns left out since the one before still ran: a target's `poll`, `gpus`, `recompute`, `tidy`, making `room`.",
    ),
    *STORAGE,
    *NOTIFICATIONS,
    Metric("breakeven_clock_steps_total", "counter", (), "Steps of the wall clock that were detected."),
    Metric(
        "breakeven_config_last_reload_successful",
        "gauge",
        (),
        "1 when the configuration was usable at the last start or reload; 0 leaves the former one in force.",
    ),
    Metric(
        "breakeven_config_last_reload_success_timestamp_seconds",
        "gauge",
        (),
        "Unix time when the configuration in force was read.",
    ),
    Metric(
        "breakeven_discovery_failures_total",
        "counter",
        ("job", "mechanism"),
        "Times that a source of targets could not be read; its last targets stayed.",
    ),
    Metric("breakeven_web_connections", "gauge", (), "Open connections to the daemon's own port."),
    Metric(
        "breakeven_web_connections_refused_total",
        "counter",
        (),
        "Connections turned away, or silent or answered ones ended, since web.max_connections were open.",
    ),
    Metric(
        "breakeven_web_accept_failures_total",
        "counter",
        (),
        "Times that no file descriptor was left for a connection.",
    ),
)


def by_name() -> dict[str, Metric]:
    """The catalogue by metric name."""
    return {metric.name: metric for metric in CATALOGUE}
