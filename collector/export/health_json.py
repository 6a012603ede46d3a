"""Every part's health as JSON-ready dicts, with the remedy of what failed."""

from __future__ import annotations

from typing import Any

from collector.export.snapshot import State
from collector.health import REMEDIES, Health, TargetHealth


def health_plain(state: State) -> dict[str, Any]:
    """What `/api/v1/health` answers."""
    health = state.health
    return {
        "version": state.version,
        "ready": state.ready,
        "started_s": health.started_s,
        "simulated": any(one.simulated for one in health.targets.values()),
        "notices": list(health.notices),
        "targets": [_target(one) for one in health.targets.values()],
        "gpu_source": _part(health.gpu),
        "gpus": {uuid: _part(one) for uuid, one in health.gpus.items()},
        "store": _part(health.store),
        "analysis": _part(health.analysis),
        "samples_written": health.samples_written,
        "samples_dropped": health.samples_dropped,
    }


def _part(one: Health) -> dict[str, Any]:
    return {
        "up": one.up,
        "reason": one.reason,
        "message": one.message,
        "attempts": one.attempts,
        "failures": dict(one.failures),
        "last_success_s": one.last_success_s,
        "last_duration_s": one.last_duration_s,
    }


def _target(one: TargetHealth) -> dict[str, Any]:
    return _part(one) | {
        "job": one.job,
        "url": one.url,
        "engine": one.engine,
        "simulated": one.simulated,
        "unreported": list(one.unreported),
        "gpu_uuids": list(one.gpu_uuids),
        "gpu_join": one.gpu_join,
        "remedy": None if one.reason is None else REMEDIES.get(one.reason),
    }
