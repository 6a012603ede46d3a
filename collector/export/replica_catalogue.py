"""The exported metrics of a replica, over the live span."""

from __future__ import annotations

from collector.export.metric import ESTIMATE, REPLICA, Metric

REPLICAS: tuple[Metric, ...] = (
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
        "Unix time when the replica's epoch began: its process, model, precision, GPU or clock was another before.",
    ),
)
