"""What one poll of the GPUs gives: readings keyed by UUID and the state of their source; who can be asked for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from analyzer.samples import GpuSample, counter_names, gauge_names

FIELD_NAMES = frozenset(counter_names(GpuSample) + gauge_names(GpuSample))


class GpuState(StrEnum):
    """How the GPU source as a whole is doing; anything but `ok` is a failed collection."""

    OK = "ok"
    ABSENT = "absent"
    DRIVER_MISMATCH = "driver_mismatch"
    NO_PERMISSION = "no_permission"
    UNKNOWN_ERROR = "unknown_error"
    NO_GPUS = "no_gpus"
    TIMEOUT = "timeout"
    STUCK = "stuck"
    CRASHED = "crashed"


@dataclass(frozen=True, slots=True)
class GpuStatus:
    """The source's state in words for the operator; `remedy` is "" when there is nothing to do."""

    state: GpuState
    message: str = ""
    remedy: str = ""
    retry_in_s: float | None = None
    """Seconds until the source is tried again; None = the next poll tries, or nothing can be tried (`stuck`)."""
    driver_version: str | None = None
    cuda_version: str | None = None
    """The newest CUDA that the driver serves, as "13.0"."""
    child_rss_bytes: int | None = None
    children_started: int = 0
    """Child processes started so far: it grows with recycling and with restarts."""

    @property
    def up(self) -> bool:
        """Whether this poll gave data."""
        return self.state is GpuState.OK


@dataclass(frozen=True, slots=True, order=True)
class GpuOwner:
    """The container that a GPU is given to, as Kubernetes names it; "" where the source does not tell."""

    namespace: str
    pod: str
    container: str


@dataclass(frozen=True, slots=True)
class GpuReading:
    """One GPU at one poll. With a `reason` it gave nothing and `fields` is empty."""

    uuid: str
    name: str | None = None
    fields: Mapping[str, float | None] = field(default_factory=dict)
    """`GpuSample` fields in its units; None = not reported."""
    reason: str | None = None
    """Why the GPU gave nothing: NVML's symbol (`gpu_is_lost`), `missing`, or the state of the source."""
    absent: Mapping[str, str] = field(default_factory=dict)
    """Why a single fact is None, by its name: NVML's symbol (`not_supported`) or `mig`."""
    compute_capability: tuple[int, int] | None = None
    mig_enabled: bool | None = None
    process_ids: tuple[int, ...] | None = None
    """Compute processes on the GPU, as the driver numbers them (the host's PID namespace)."""
    host: str | None = None
    """The machine of the GPU, where the source tells it."""
    owners: tuple[GpuOwner, ...] = ()
    """The containers that the GPU is given to; several share it."""

    def sample(self, at_s: float, interval_s: float) -> GpuSample | None:
        """The reading as a sample at unix time `at_s`, `interval_s` before the next; None when the GPU gave nothing."""
        if self.reason is not None:
            return None
        return GpuSample(uuid=self.uuid, at_s=at_s, interval_s=interval_s, name=self.name, **self.fields)


@dataclass(frozen=True, slots=True)
class GpuPoll:
    """One poll: every GPU that is there or was there before, by UUID, and the state of the source."""

    gpus: tuple[GpuReading, ...]
    status: GpuStatus


class GpuReader(Protocol):
    """A source of GPU readings. Neither call raises for what a driver does, and both end within a bound."""

    async def read(self) -> GpuPoll:
        """All GPUs now."""

    def release(self, uuids: Iterable[str]) -> None:
        """Expect these no longer, unless this source has shown them itself: another one does."""

    async def close(self) -> None:
        """Gives up what the reader holds."""


def gpu_reading(facts: Mapping[str, Any]) -> GpuReading:
    """One GPU from its JSON form, as the child and the simulator write it.

    `{"uuid", "reason"}` for a GPU that gave nothing, else `{"uuid", "name", "compute_capability": [9, 0],
    "mig_enabled", "process_ids": [..], "fields": {"power_w": 350.2, "utilization_ratio": null, ..},
    "absent": {"utilization_ratio": "mig"}}`; all but `uuid` and `fields` may be missing.
    Raises ValueError when it is not that, a field that no `GpuSample` has included.
    """
    try:
        if facts.get("reason") is not None:
            return GpuReading(uuid=str(facts["uuid"]), reason=str(facts["reason"]))
        fields = {str(name): None if value is None else float(value) for name, value in facts["fields"].items()}
        capability, process_ids = facts.get("compute_capability"), facts.get("process_ids")
        reading = GpuReading(
            uuid=str(facts["uuid"]),
            name=facts.get("name"),
            fields=fields,
            absent={str(name): str(reason) for name, reason in facts.get("absent", {}).items()},
            compute_capability=None if capability is None else (int(capability[0]), int(capability[1])),
            mig_enabled=facts.get("mig_enabled"),
            process_ids=None if process_ids is None else tuple(int(process_id) for process_id in process_ids),
        )
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(f"not a GPU reading: {error!r}") from error
    unknown = fields.keys() - FIELD_NAMES
    if unknown:
        raise ValueError(f"not fields of a GPU sample: {', '.join(sorted(unknown))}")
    return reading
