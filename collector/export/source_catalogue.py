"""The exported metrics of where the data come from: targets, and GPUs."""

from __future__ import annotations

from collector.export.metric import Metric

SOURCES: tuple[Metric, ...] = (
    # Targets.
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
)
