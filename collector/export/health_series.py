"""Health and GPU readings as series: what is up, since when, how often it failed and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from analyzer.facts.compiled import COMPILED_S
from collector.export.notification_series import receiver_series
from collector.export.snapshot import State
from collector.health import Lost, SpoolHealth, TargetHealth, Work

Series = tuple[str, Mapping[str, str], float]


def health_series(state: State) -> Iterator[Series]:
    """The daemon's own series and those of its targets."""
    health = state.health
    yield "breakeven_build_info", {"version": state.version}, 1.0
    for facts, compiled_s in COMPILED_S.items():
        yield "breakeven_facts_timestamp_seconds", {"facts": facts}, compiled_s
    yield "breakeven_simulated", {}, float(any(one.simulated for one in health.targets.values()))
    yield "breakeven_start_timestamp_seconds", {}, health.started_s
    if state.analyses is not None:
        yield "breakeven_analyser", {"holder": text(health.analyser)}, float(state.analyses())
    yield "breakeven_analysis_runs_total", {}, float(health.analysis.attempts)
    for reason, number in health.analysis.failures.items():
        yield "breakeven_analysis_failures_total", {"reason": reason}, float(number)
    if health.analysis.last_success_s is not None:
        yield "breakeven_analysis_last_success_timestamp_seconds", {}, health.analysis.last_success_s
    if health.analysis.last_duration_s is not None:
        yield "breakeven_analysis_duration_seconds", {}, health.analysis.last_duration_s
    for work in Work:
        yield "breakeven_turns_skipped_total", {"work": work}, float(health.turns_skipped[work])
    if health.store.up is not None:
        yield "breakeven_store_up", {"reason": text(health.store.reason)}, float(health.store.up)
    yield "breakeven_store_samples_written_total", {}, float(health.samples_written)
    yield "breakeven_store_samples_duplicate_total", {}, float(health.samples_duplicate)
    for why in Lost:
        yield "breakeven_store_samples_dropped_total", {"reason": why}, float(health.samples_dropped[why])
    if health.used_bytes is not None:
        yield "breakeven_store_bytes", {}, float(health.used_bytes)
    if health.max_bytes is not None:
        yield "breakeven_store_max_bytes", {}, float(health.max_bytes)
    for file, disk in (("database", health.disk), ("spool", None if health.spool is None else health.spool.disk)):
        if disk is not None:
            yield "breakeven_disk_free_bytes", {"file": file}, float(disk.free_bytes)
            yield "breakeven_disk_min_free_bytes", {"file": file}, float(disk.min_free_bytes)
            yield "breakeven_disk_nearly_full", {"file": file}, float(disk.stopped)
    if health.spool is not None:
        yield from _spool(health.spool)
    yield "breakeven_store_recovered_total", {}, float(health.storage_recovered)
    for table, blocks in health.damaged_blocks.items():
        yield "breakeven_store_damaged_blocks_total", {"table": table}, float(blocks)
    yield "breakeven_clock_steps_total", {}, float(health.clock_steps)
    if health.config.up is not None:
        yield "breakeven_config_last_reload_successful", {}, float(health.config.up)
    if health.config.last_success_s is not None:
        yield "breakeven_config_last_reload_success_timestamp_seconds", {}, health.config.last_success_s
    for (job, mechanism), one in health.discovery.items():
        labels = {"job": job, "mechanism": mechanism}
        yield "breakeven_discovery_failures_total", labels, float(sum(one.failures.values()))
    yield "breakeven_web_connections", {}, float(state.connections.open)
    yield "breakeven_web_connections_refused_total", {}, float(state.connections.refused)
    yield "breakeven_web_accept_failures_total", {}, float(state.connections.accept_failures)
    for name, receiver in health.receivers.items():
        yield from receiver_series(name, receiver)
    for target in health.targets.values():
        yield from _target(target)


def _spool(one: SpoolHealth) -> Iterator[Series]:
    if one.up is not None:
        yield "breakeven_spool_up", {"reason": text(one.reason)}, float(one.up)
    yield "breakeven_spool_samples", {}, float(one.waiting)
    yield "breakeven_spool_bytes", {}, float(one.used_bytes)
    yield "breakeven_spool_max_bytes", {}, float(one.max_bytes)
    if one.oldest_s is not None:
        yield "breakeven_spool_oldest_timestamp_seconds", {}, one.oldest_s
    yield "breakeven_spool_samples_spooled_total", {}, float(one.spooled)
    yield "breakeven_spool_samples_replayed_total", {}, float(one.replayed)


def _target(one: TargetHealth) -> Iterator[Series]:
    labels = {"job": one.job, "target": one.url}
    if one.up is not None:
        with_reason = {
            **labels,
            "engine": text(one.engine),
            "simulated": "true" if one.simulated else "false",
            "reason": text(one.reason),
        }
        yield "breakeven_target_up", with_reason, float(one.up)
    yield "breakeven_target_polls_total", labels, float(one.attempts)
    for reason, number in one.failures.items():
        yield "breakeven_target_failures_total", {**labels, "reason": reason}, float(number)
    if one.last_success_s is not None:
        yield "breakeven_target_last_success_timestamp_seconds", labels, one.last_success_s
    if one.last_duration_s is not None:
        yield "breakeven_target_poll_duration_seconds", labels, one.last_duration_s
    if one.samples is not None:
        yield "breakeven_target_samples", labels, float(one.samples)
    if one.body_bytes is not None:
        yield "breakeven_target_page_bytes", labels, float(one.body_bytes)
    yield "breakeven_target_anomalies_total", labels, float(one.anomalies)
    for series in one.unreported:
        yield "breakeven_target_unreported_info", {**labels, "series": series}, 1.0


def gpu_series(state: State) -> Iterator[Series]:
    """The GPUs' last good readings; a GPU that failed shows only that it did."""
    health = state.health
    if health.gpu.up is not None:
        yield "breakeven_gpu_source_up", {"reason": text(health.gpu.reason)}, float(health.gpu.up)
    if health.gpu.process_bytes is not None:
        yield "breakeven_gpu_process_resident_memory_bytes", {}, float(health.gpu.process_bytes)
    if health.gpu.processes_started > 0:
        yield "breakeven_gpu_process_starts_total", {}, float(health.gpu.processes_started)
    for uuid, one in health.gpus.items():
        sample = state.gpus.get(uuid)
        labels = {"gpu_uuid": uuid, "gpu": text(None if sample is None else sample.name), "reason": text(one.reason)}
        if one.up is not None:
            yield "breakeven_gpu_up", labels, float(one.up)
    for uuid, sample in state.gpus.items():
        just = {"gpu_uuid": uuid}
        for name, value in (
            ("breakeven_gpu_utilization_ratio", sample.utilization_ratio),
            ("breakeven_gpu_memory_used_bytes", sample.memory_used_bytes),
            ("breakeven_gpu_memory_total_bytes", sample.memory_total_bytes),
            ("breakeven_gpu_energy_joules_total", sample.energy_j_total),
            ("breakeven_gpu_power_watts", sample.power_w if sample.energy_j_total is None else None),
            ("breakeven_gpu_temperature_celsius", sample.temperature_celsius),
            ("breakeven_gpu_throttled", sample.throttled_ratio),
            ("breakeven_gpu_ecc_errors_total", sample.ecc_errors_total),
            ("breakeven_gpu_sm_active_ratio", sample.sm_active_ratio),
            ("breakeven_gpu_sm_occupancy_ratio", sample.sm_occupancy_ratio),
            ("breakeven_gpu_tensor_active_ratio", sample.tensor_active_ratio),
            ("breakeven_gpu_dram_active_ratio", sample.dram_active_ratio),
        ):
            if value is not None:
                yield name, just, value
        for figure, reason in state.gpu_absent.get(uuid, {}).items():
            yield "breakeven_gpu_unreported_info", {**just, "series": figure, "reason": reason}, 1.0


def text(value: object) -> str:
    """A label's value: empty for what is not known."""
    return "" if value is None else str(value)
