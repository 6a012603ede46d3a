"""Every part's health as JSON-ready dicts, with the remedy of what failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from analyzer.report import as_plain
from collector.export.snapshot import State
from collector.health import REMEDIES, DiskHealth, Health, ReceiverHealth, SpoolHealth, TargetHealth


@dataclass(frozen=True, slots=True)
class PartShown:
    """One source: `up` is None before its first attempt."""

    up: bool | None
    reason: str | None
    message: str | None
    attempts: int
    failures: Mapping[str, int]
    last_success_s: float | None
    last_duration_s: float | None


@dataclass(frozen=True, slots=True)
class TargetShown(PartShown):
    """A polled target; `unreported` names wanted series that its last page lacked."""

    job: str
    url: str
    engine: str | None
    simulated: bool
    unreported: tuple[str, ...]
    gpu_uuids: tuple[str, ...]
    gpu_join: str | None
    remedy: str | None


@dataclass(frozen=True, slots=True)
class DiskShown:
    """The disk under a file of ours: free bytes, those below which samples stop, and whether they did."""

    free_bytes: int
    min_free_bytes: int
    stopped: bool


@dataclass(frozen=True, slots=True)
class SpoolShown(PartShown):
    """Samples on disk that wait for the database; `oldest_s` is when the oldest was taken, None when none waits."""

    waiting: int
    used_bytes: int
    max_bytes: int
    oldest_s: float | None
    spooled: int
    replayed: int
    disk: DiskShown | None


@dataclass(frozen=True, slots=True)
class ReceiverShown(PartShown):
    """A receiver of notifications; `waiting` changed verdicts are still to be told."""

    kind: str
    told: int
    waiting: int


@dataclass(frozen=True, slots=True)
class HealthShown:
    """How the daemon and all that it polls are doing now.

    `disk` is the one under a SQLite database; `used_bytes` and `max_bytes` are of what is stored, None where not known
    and without a limit.
    """

    version: str
    ready: bool
    started_s: float
    simulated: bool
    notices: tuple[str, ...]
    targets: tuple[TargetShown, ...]
    gpu_source: PartShown
    gpus: Mapping[str, PartShown]
    store: PartShown
    disk: DiskShown | None
    used_bytes: int | None
    max_bytes: int | None
    spool: SpoolShown | None
    analysis: PartShown
    receivers: Mapping[str, ReceiverShown]
    samples_written: int
    samples_duplicate: int
    samples_dropped: int
    analyses: bool | None
    analyser: str | None


def health_plain(state: State) -> dict[str, Any]:
    """What `/api/v1/health` answers."""
    health = state.health
    shown = HealthShown(
        version=state.version,
        ready=state.ready,
        started_s=health.started_s,
        simulated=any(one.simulated for one in health.targets.values()),
        notices=tuple(health.notices),
        targets=tuple(_target(one) for one in health.targets.values()),
        gpu_source=PartShown(**_part(health.gpu)),
        gpus={uuid: PartShown(**_part(one)) for uuid, one in health.gpus.items()},
        store=PartShown(**_part(health.store)),
        disk=_disk(health.disk),
        used_bytes=health.used_bytes,
        max_bytes=health.max_bytes,
        spool=None if health.spool is None else _spool(health.spool),
        analysis=PartShown(**_part(health.analysis)),
        receivers={name: _receiver(one) for name, one in health.receivers.items()},
        samples_written=health.samples_written,
        samples_duplicate=health.samples_duplicate,
        samples_dropped=health.samples_dropped.total(),
        analyses=None if state.analyses is None else state.analyses(),
        analyser=health.analyser,
    )
    plain: dict[str, Any] = as_plain(shown)
    return plain


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


def _disk(one: DiskHealth | None) -> DiskShown | None:
    return None if one is None else DiskShown(one.free_bytes, one.min_free_bytes, one.stopped)


def _spool(one: SpoolHealth) -> SpoolShown:
    return SpoolShown(
        **_part(one),
        waiting=one.waiting,
        used_bytes=one.used_bytes,
        max_bytes=one.max_bytes,
        oldest_s=one.oldest_s,
        spooled=one.spooled,
        replayed=one.replayed,
        disk=_disk(one.disk),
    )


def _receiver(one: ReceiverHealth) -> ReceiverShown:
    return ReceiverShown(**_part(one), kind=one.kind, told=one.told, waiting=one.waiting)


def _target(one: TargetHealth) -> TargetShown:
    return TargetShown(
        **_part(one),
        job=one.job,
        url=one.url,
        engine=one.engine,
        simulated=one.simulated,
        unreported=tuple(one.unreported),
        gpu_uuids=tuple(one.gpu_uuids),
        gpu_join=one.gpu_join,
        remedy=None if one.reason is None else REMEDIES.get(one.reason),
    )
