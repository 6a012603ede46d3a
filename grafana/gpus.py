"""The bottom of the drill-down: the GPUs, from the driver and from dcgm-exporters."""

from __future__ import annotations

from panels import Panel, Query, row, timeseries
from query import DAEMON, series
from tables import Column, table

_NO_GPU = "no GPU is read: no driver here, or gpu.nvml is off"
_NOT_GIVEN = "not given by these GPUs"
_UP = {"1": ("up", "green"), "0": ("down", "red")}


def gpu_row() -> list[Panel]:
    """The row `GPUs`."""
    energy = f"rate({series('breakeven_gpu_energy_joules_total', DAEMON)}[$__rate_interval])"
    power = series("breakeven_gpu_power_watts", DAEMON)
    throttled = series("breakeven_gpu_throttled", DAEMON)
    memory = (
        f"{series('breakeven_gpu_memory_used_bytes', DAEMON)} "
        f"/ on (job, instance, gpu_uuid) {series('breakeven_gpu_memory_total_bytes', DAEMON)}"
    )
    up = series("breakeven_gpu_up", DAEMON)
    unreported = series("breakeven_gpu_unreported_info", DAEMON)
    return [
        row("GPUs"),
        timeseries(
            "GPU utilization",
            "Share of time with a kernel running. A busy GPU is not a well-used one. Absent where the driver does not "
            "report it, as under MIG.",
            "percentunit",
            [Query(series("breakeven_gpu_utilization_ratio", DAEMON), "{{gpu_uuid}}")],
            low=0,
            high=1,
            width=8,
            absent=_NOT_GIVEN,
        ),
        timeseries(
            "GPU memory in use",
            "Share of each GPU's memory in use.",
            "percentunit",
            [Query(memory, "{{gpu_uuid}}")],
            low=0,
            high=1,
            width=8,
            absent=_NOT_GIVEN,
        ),
        timeseries(
            "GPU power",
            "From the energy counter, or as the driver states it where there is no such counter.",
            "watt",
            [Query(f"{energy} or on (job, instance, gpu_uuid) {power}", "{{gpu_uuid}}")],
            low=0,
            width=8,
            absent=_NOT_GIVEN,
        ),
        timeseries(
            "GPU temperature",
            "As the driver states it.",
            "celsius",
            [Query(series("breakeven_gpu_temperature_celsius", DAEMON), "{{gpu_uuid}}")],
            width=8,
            absent=_NOT_GIVEN,
        ),
        timeseries(
            "GPU throttled",
            "1 while the driver names a slowdown or a power cap: figures of that time are of a slower GPU.",
            "none",
            [Query(throttled, "{{gpu_uuid}}")],
            low=0,
            high=1,
            width=8,
            absent=_NOT_GIVEN,
        ),
        table(
            "GPU health",
            "Whether the last reading of the driver and of each GPU succeeded, else the reason.",
            [
                Query(f"max by (instance, gpu_uuid, gpu, reason) ({up})"),
                Query(f"max by (instance, reason) ({series('breakeven_gpu_source_up', DAEMON)})"),
            ],
            [
                Column("Time"),
                Column("gpu", "GPU"),
                Column("gpu_uuid", "UUID"),
                Column("Value #A", "GPU answers", words=_UP),
                Column("Value #B", "Driver answers", words=_UP),
                Column("reason", "Reason"),
                Column("instance", "Daemon"),
            ],
            width=8,
            absent=_NO_GPU,
        ),
        timeseries(
            "GPU profile",
            "Share of time with data moving to or from memory, with the tensor cores at work and with a warp on an SM, "
            "and of the most warps that fit. A cross-check of the phase mix; needs dcgm-exporter, or gpu.gpm on Hopper "
            "and newer.",
            "percentunit",
            [
                Query(series("breakeven_gpu_dram_active_ratio", DAEMON), "{{gpu_uuid}} memory"),
                Query(series("breakeven_gpu_tensor_active_ratio", DAEMON), "{{gpu_uuid}} tensor"),
                Query(series("breakeven_gpu_sm_active_ratio", DAEMON), "{{gpu_uuid}} SM"),
                Query(series("breakeven_gpu_sm_occupancy_ratio", DAEMON), "{{gpu_uuid}} occupancy"),
            ],
            low=0,
            high=1,
            width=8,
            absent=_NOT_GIVEN,
        ),
        timeseries(
            "GPU memory errors",
            "Uncorrected ones, over the dashboard's interval.",
            "none",
            [Query(f"increase({series('breakeven_gpu_ecc_errors_total', DAEMON)}[$__rate_interval])", "{{gpu_uuid}}")],
            low=0,
            width=8,
            absent=_NOT_GIVEN,
        ),
        table(
            "Figures that a GPU does not give",
            "What is missing of each GPU, and why; `inconsistent` are zeros that stood beside a busy GPU.",
            [Query(f"max by (gpu_uuid, series, reason) ({unreported})")],
            [
                Column("Time"),
                Column("Value"),
                Column("gpu_uuid", "UUID"),
                Column("series", "Not reported"),
                Column("reason", "Reason"),
            ],
            width=8,
            absent="no GPU lacks a figure",
        ),
    ]
