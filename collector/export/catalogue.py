"""Every exported metric, once: name, type, labels, help. METRICS.md, dashboards and rules are tested against it."""

from __future__ import annotations

from collector.export.article_series import ARTICLE
from collector.export.capacity_catalogue import CAPACITY
from collector.export.metric import ESTIMATE, REPLICA, Metric
from collector.export.notification_series import NOTIFICATIONS
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
        "Realised over predicted step speed-up, of a scheme that was tried on a canary.",
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
    # A replica, over the live span.
    Metric(
        "breakeven_replica_info",
        "info",
        (*REPLICA, "job", "engine", "engine_version", "dtype", "quantization", "gpu", "simulated"),
        "What the replica is; an empty label was not reported.",
    ),
    Metric(
        "breakeven_phase_share_ratio",
        "gauge",
        (*REPLICA, "phase", "accounting", *ESTIMATE),
        "Phase mix: share of busy time in prefill and decode, by marginal and by exclusive accounting.",
    ),
    Metric(
        "breakeven_time_share_ratio",
        "gauge",
        (*REPLICA, "component", "evidence"),
        "Share of wall time by what it went to; the components of a replica sum to 1.",
    ),
    Metric("breakeven_busy_ratio", "gauge", (*REPLICA, *ESTIMATE), "Share of time executing forward passes."),
    Metric(
        "breakeven_memory_bound_ratio",
        "gauge",
        (*REPLICA, *ESTIMATE),
        "Share of busy time whose length is set by bytes moved.",
    ),
    Metric(
        "breakeven_request_seconds_prefill_ratio",
        "gauge",
        REPLICA,
        "Prefill's share of request-seconds. No phase mix: a batched decode counts once per sequence. A contrast only.",
    ),
    Metric("breakeven_decode_batch_size", "gauge", (*REPLICA, *ESTIMATE), "Sequences decoded per step."),
    Metric("breakeven_generation_tokens_per_second", "gauge", (*REPLICA, *ESTIMATE), "Tokens generated per second."),
    Metric(
        "breakeven_prefill_tokens_per_second",
        "gauge",
        (*REPLICA, *ESTIMATE),
        "Prompt tokens computed per second, cached ones excluded.",
    ),
    Metric("breakeven_cached_prompt_ratio", "gauge", REPLICA, "Share of prompt tokens from a prefix cache."),
    Metric("breakeven_running_requests", "gauge", REPLICA, "Mean requests in the batch, prefilling ones included."),
    Metric("breakeven_waiting_requests", "gauge", REPLICA, "Mean requests waiting."),
    Metric("breakeven_kv_usage_ratio", "gauge", REPLICA, "Mean share of KV memory in use."),
    Metric(
        "breakeven_preemptions_per_request",
        "gauge",
        REPLICA,
        "Preemptions per prefilled request: sequences thrown out of KV memory and computed again.",
    ),
    Metric("breakeven_time_to_first_token_seconds", "gauge", REPLICA, "Mean time to first token."),
    Metric("breakeven_inter_token_seconds", "gauge", REPLICA, "Mean gap between a sequence's decode steps."),
    Metric(
        "breakeven_step_coefficient_seconds",
        "gauge",
        (*REPLICA, "coefficient", *ESTIMATE),
        "What a step costs, by the step-time model: per step, per sequence, per KV token read, per prompt token.",
    ),
    Metric(
        "breakeven_step_coefficient_identified",
        "gauge",
        (*REPLICA, "coefficient"),
        "1 when live data decide the coefficient, 0 when it still rests on the prior that the fit began from.",
    ),
    Metric(
        "breakeven_step_held_out_error_ratio",
        "gauge",
        REPLICA,
        "Median relative error of the step-time model on stretches of the history that it was not fitted to.",
    ),
    Metric(
        "breakeven_calibration_timestamp_seconds",
        "gauge",
        REPLICA,
        "Unix time up to which the step-time model has seen traffic.",
    ),
    Metric(
        "breakeven_step_overlapped_weight_ratio",
        "gauge",
        REPLICA,
        "How likely it is that arithmetic hides behind bytes moved, rather than adding to them.",
    ),
    Metric(
        "breakeven_step_size_steps_ratio",
        "gauge",
        (*REPLICA, "tokens"),
        "Share of steps by the tokens they processed; not cumulative: the sizes of a replica sum to 1.",
    ),
    Metric(
        "breakeven_step_size_time_ratio",
        "gauge",
        (*REPLICA, "tokens", "evidence"),
        "Share of busy time by the tokens of the step, by modelled step lengths; the sizes of a replica sum to 1.",
    ),
    Metric(
        "breakeven_history_covered_seconds",
        "gauge",
        REPLICA,
        "Seconds of the decision span that usable windows cover, in the current epoch.",
    ),
    Metric("breakeven_last_sample_timestamp_seconds", "gauge", REPLICA, "Unix time of the replica's last sample."),
    Metric(
        "breakeven_epoch_start_timestamp_seconds",
        "gauge",
        REPLICA,
        "Unix time when the replica's current epoch began: its process, model, precision or GPU was another before.",
    ),
    *CAPACITY,
    *ARTICLE,
    # Where the data come from.
    Metric(
        "breakeven_target_up",
        "gauge",
        ("job", "target", "engine", "simulated", "reason"),
        "1 when the last poll of the target succeeded; else 0 with the reason.",
    ),
    Metric("breakeven_target_polls_total", "counter", ("job", "target"), "Polls of the target."),
    Metric("breakeven_target_failures_total", "counter", ("job", "target", "reason"), "Failed polls by reason."),
    Metric(
        "breakeven_target_last_success_timestamp_seconds",
        "gauge",
        ("job", "target"),
        "Unix time of the last successful poll.",
    ),
    Metric("breakeven_target_poll_duration_seconds", "gauge", ("job", "target"), "Duration of the last poll."),
    Metric("breakeven_target_samples", "gauge", ("job", "target"), "Samples on the target's last page."),
    Metric("breakeven_target_page_bytes", "gauge", ("job", "target"), "Size of the target's last page."),
    Metric(
        "breakeven_target_anomalies_total",
        "counter",
        ("job", "target"),
        "Counters that fell without a new process start; their interval was dropped.",
    ),
    Metric(
        "breakeven_target_unreported_info",
        "info",
        ("job", "target", "series"),
        "A wanted figure that the target's page does not report.",
    ),
    # GPUs.
    Metric("breakeven_gpu_source_up", "gauge", ("reason",), "1 when the last reading of the GPU driver succeeded."),
    Metric(
        "breakeven_gpu_process_resident_memory_bytes",
        "gauge",
        (),
        "Memory of the process that talks to the driver; it is replaced when it grows or is old.",
    ),
    Metric("breakeven_gpu_process_starts_total", "counter", (), "Processes started to talk to the driver."),
    Metric("breakeven_gpu_up", "gauge", ("gpu_uuid", "gpu", "reason"), "1 when the GPU's last reading succeeded."),
    Metric("breakeven_gpu_utilization_ratio", "gauge", ("gpu_uuid",), "Share of time with a kernel running."),
    Metric("breakeven_gpu_memory_used_bytes", "gauge", ("gpu_uuid",), "GPU memory in use."),
    Metric("breakeven_gpu_memory_total_bytes", "gauge", ("gpu_uuid",), "GPU memory."),
    Metric("breakeven_gpu_energy_joules_total", "counter", ("gpu_uuid",), "Energy since the driver was loaded."),
    Metric("breakeven_gpu_power_watts", "gauge", ("gpu_uuid",), "Power, where the GPU has no energy counter."),
    Metric("breakeven_gpu_temperature_celsius", "gauge", ("gpu_uuid",), "GPU temperature."),
    Metric("breakeven_gpu_throttled", "gauge", ("gpu_uuid",), "1 while the driver names a slowdown or a power cap."),
    Metric("breakeven_gpu_ecc_errors_total", "counter", ("gpu_uuid",), "Uncorrected memory errors of the GPU."),
    Metric(
        "breakeven_gpu_sm_active_ratio", "gauge", ("gpu_uuid",), "Share of time with a warp on an SM, over all SMs."
    ),
    Metric("breakeven_gpu_sm_occupancy_ratio", "gauge", ("gpu_uuid",), "Share of the most warps that fit on the SMs."),
    Metric("breakeven_gpu_tensor_active_ratio", "gauge", ("gpu_uuid",), "Share of time with the tensor cores at work."),
    Metric(
        "breakeven_gpu_dram_active_ratio",
        "gauge",
        ("gpu_uuid",),
        "Share of time with data moving to or from GPU memory.",
    ),
    Metric(
        "breakeven_gpu_unreported_info",
        "info",
        ("gpu_uuid", "series", "reason"),
        "A figure that the GPU does not report, and why: `inconsistent` where zeros stood beside a busy GPU.",
    ),
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
        "1 when this daemon makes the reports, of several on one database; `holder` names the one that does.",
    ),
    Metric("breakeven_analysis_runs_total", "counter", (), "Recomputations of the report."),
    Metric("breakeven_analysis_failures_total", "counter", ("reason",), "Failed recomputations."),
    Metric(
        "breakeven_analysis_last_success_timestamp_seconds", "gauge", (), "Unix time of the last good recomputation."
    ),
    Metric("breakeven_analysis_duration_seconds", "gauge", (), "Duration of the last recomputation."),
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
        "Connections turned away, or silent ones ended, since web.max_connections were open.",
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
