"""A dcgm-exporter page -> one reading per GPU or MIG instance, in the units of `analyzer.samples.GpuSample`.

Names, units and labels: https://docs.nvidia.com/datacenter/dcgm/latest/dcgm-api/dcgm-api-field-ids.html and
https://github.com/NVIDIA/dcgm-exporter (`etc/default-counters.csv`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet

from collector.errors import Kind, SourceError
from collector.gpu.profiling import INCONSISTENT, take_back_zeros
from collector.gpu.readings import GpuOwner, GpuReading
from collector.scrape.page import Page

ENGINE = "dcgm"
"""What a scrape job states as its engine when its targets are dcgm-exporters."""
TITLE = "dcgm-exporter"
USUAL_PORT = 9400
_PREFIX = "DCGM_FI_"
_MIB = 1024.0**2

_GPU_UTIL = "DCGM_FI_DEV_GPU_UTIL"
_GR_ENGINE = "DCGM_FI_PROF_GR_ENGINE_ACTIVE"
_FB_TOTAL, _FB_USED = "DCGM_FI_DEV_FB_TOTAL", "DCGM_FI_DEV_FB_USED"
_FB_FREE, _FB_RESERVED = "DCGM_FI_DEV_FB_FREE", "DCGM_FI_DEV_FB_RESERVED"
_REASONS = ("DCGM_FI_DEV_CLOCKS_EVENT_REASONS", "DCGM_FI_DEV_CLOCK_THROTTLE_REASONS")

_WHOLE: Mapping[str, tuple[str, float]] = {
    "power_w": ("DCGM_FI_DEV_POWER_USAGE", 1.0),
    "energy_j_total": ("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", 1e-3),
    "ecc_errors_total": ("DCGM_FI_DEV_ECC_DBE_VOL_TOTAL", 1.0),
    "sm_clock_hz": ("DCGM_FI_DEV_SM_CLOCK", 1e6),
    "memory_clock_hz": ("DCGM_FI_DEV_MEM_CLOCK", 1e6),
    "temperature_celsius": ("DCGM_FI_DEV_GPU_TEMP", 1.0),
}
"""Field -> series and scale (W, mJ, count, MHz, Celsius): true of the whole GPU, whatever instance repeats it."""
_PROFILED: Mapping[str, str] = {
    "sm_active_ratio": "DCGM_FI_PROF_SM_ACTIVE",
    "sm_occupancy_ratio": "DCGM_FI_PROF_SM_OCCUPANCY",
    "tensor_active_ratio": "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE",
    "dram_active_ratio": "DCGM_FI_PROF_DRAM_ACTIVE",
}
READS: Mapping[str, tuple[str, ...]] = {
    "utilization_ratio": (_GR_ENGINE, _GPU_UTIL),
    "memory_used_bytes": (_FB_USED,),
    "memory_total_bytes": (_FB_TOTAL, _FB_USED, _FB_FREE, _FB_RESERVED),
    **{field: (name,) for field, (name, _) in _WHOLE.items()},
    "throttled_ratio": _REASONS,
    **{field: (name,) for field, name in _PROFILED.items()},
}
"""Every field that a page can give, with the series it is read from."""
WANTED = frozenset(name for names in READS.values() for name in names)
NOTES: Mapping[str, str] = {
    "throttled_ratio": "not in dcgm-exporter's default counters: add DCGM_FI_DEV_CLOCKS_EVENT_REASONS to its CSV file",
    "ecc_errors_total": "not in dcgm-exporter's default counters: add DCGM_FI_DEV_ECC_DBE_VOL_TOTAL to its CSV file",
    "sm_active_ratio": "not in dcgm-exporter's default counters: add DCGM_FI_PROF_SM_ACTIVE to its CSV file",
    "sm_occupancy_ratio": "not in dcgm-exporter's default counters: add DCGM_FI_PROF_SM_OCCUPANCY to its CSV file",
    "tensor_active_ratio": "needs a data-center GPU and the exporter's right to profile (SYS_ADMIN)",
    "dram_active_ratio": "needs a data-center GPU and the exporter's right to profile (SYS_ADMIN)",
}

# DCGM's blank values (dcgm_structs.h): a base for each type, plus 0 to 15 that tell why.
_BLANK_BASES = (float(0x7FFFFFF0), 2.0**47)
_BLANK_INT64 = float(0x7FFFFFFFFFFFFFF0)
"""As a double it is 2^63, and the reason after it is lost; the page prints it in full."""
_BLANK_REASONS = {1: "not_found", 2: "not_supported", 3: "no_permission"}

_SLOWDOWNS = 0x4 | 0x8 | 0x20 | 0x40 | 0x80
"""Power cap, slowdown, both thermal ones and power brake; idle, application clocks and sync boost are no limits."""
_OWNER_LABELS = (("namespace", "pod_namespace"), ("pod", "pod_name"), ("container", "container_name"))
"""As dcgm-exporter writes them now, and as it wrote them under its old namespace option."""


class _Entity:
    """A GPU or a MIG instance while its series are gathered."""

    def __init__(self, labels: Mapping[str, str]) -> None:
        self.labels = labels
        self.values: dict[str, float] = {}
        self.owners: set[GpuOwner] = set()

    def add(self, name: str, labels: Mapping[str, str], value: float) -> None:
        """One series; a repetition under other labels (a GPU shared by pods) adds only its owner."""
        self.values.setdefault(name, value)
        told = [next((labels[key] for key in keys if labels.get(key)), "") for keys in _OWNER_LABELS]
        owner = GpuOwner(*told)
        if owner.pod:
            self.owners.add(owner)


def shows_gpus(names: AbstractSet[str]) -> bool:
    """Whether a page with these sample names is a dcgm-exporter's."""
    return any(name.startswith(_PREFIX) for name in names)


def read_gpus(page: Page) -> tuple[GpuReading, ...]:
    """The GPUs of a page by UUID, MIG instances (`<UUID>/GI-<id>`) after theirs; absent values carry their reason.

    Raises SourceError WRONG_ENGINE for a page without DCGM's series, BAD_PAGE where no series tells a UUID.
    """
    if not shows_gpus(page.names):
        raise SourceError(Kind.WRONG_ENGINE, f"not a page of {TITLE}: it has no series that begins with {_PREFIX}")
    gpus: dict[str, dict[str, _Entity]] = {}
    for name, labels, value in page.samples:
        known = {key.lower(): text for key, text in labels.items()}
        uuid = known.get("uuid", "")
        if uuid:
            entities = gpus.setdefault(uuid, {})
            entities.setdefault(known.get("gpu_i_id", ""), _Entity(known)).add(name, known, value)
    if not gpus:
        raise SourceError(Kind.BAD_PAGE, f"no series of this {TITLE} page has a label UUID: GPUs are told by it")
    return tuple(reading for uuid, entities in sorted(gpus.items()) for reading in _readings(uuid, entities))


def _readings(uuid: str, entities: Mapping[str, _Entity]) -> Iterable[GpuReading]:
    whole = entities.get("")
    instances = sorted((key, one) for key, one in entities.items() if key)
    if not instances:
        assert whole is not None
        yield _reading(uuid, whole, whole.values, None)
        return
    values = {} if whole is None else dict(whole.values)
    for _, one in instances:
        for name in (*(name for name, _ in _WHOLE.values()), *_REASONS):
            if name in one.values:
                values.setdefault(name, one.values[name])
    yield _reading(uuid, whole or instances[0][1], values, "")
    for key, one in instances:
        yield _reading(f"{uuid}/GI-{key}", one, one.values, key)


def _reading(key: str, entity: _Entity, values: Mapping[str, float], instance: str | None) -> GpuReading:
    """One GPU (`instance` None), a GPU divided into instances (""), or one of these (its id)."""
    absent: dict[str, str] = {}
    fields: dict[str, float | None] = {}

    def take(field: str, name: str, scale: float = 1.0, limit: float = float("inf")) -> None:
        value, reason = _believed(values.get(name), scale, limit)
        fields[field] = value
        absent.pop(field, None)
        if value is None:
            absent[field] = reason

    for field, (name, scale) in _WHOLE.items():
        take(field, name, scale)
    _memory(values, fields, absent)
    reasons = next((name for name in _REASONS if name in values), _REASONS[0])
    take("throttled_ratio", reasons)
    mask = fields["throttled_ratio"]
    fields["throttled_ratio"] = None if mask is None else float(bool(int(mask) & _SLOWDOWNS))
    for field, name in _PROFILED.items():
        take(field, name, limit=1.0)
    take("utilization_ratio", _GPU_UTIL, 0.01, 1.0)
    stopped = take_back_zeros(fields, absent, fields["utilization_ratio"])
    engine, _ = _believed(values.get(_GR_ENGINE), 1.0, 1.0)
    # The mean over the exporter's interval goes before the driver's sample of a fraction of a second.
    if engine is not None and not stopped:
        fields["utilization_ratio"] = engine
        absent.pop("utilization_ratio", None)
    _withhold(fields, absent, instance)
    model = entity.labels.get("modelname")
    if instance:
        model = f"{model or 'GPU'} MIG {entity.labels.get('gpu_i_profile') or 'instance'}"
    return GpuReading(
        uuid=key,
        name=model,
        fields=fields,
        absent=absent,
        mig_enabled=None if instance is None else True,
        host=entity.labels.get("hostname"),
        owners=tuple(sorted(entity.owners)) if instance != "" else (),
    )


def _withhold(fields: dict[str, float | None], absent: dict[str, str], instance: str | None) -> None:
    """With MIG, what belongs to the instances is not said of the GPU, nor the GPU's of an instance."""
    if instance is None:
        return
    whole = {*_WHOLE, "throttled_ratio"}
    for field in fields:
        if (field in whole) == bool(instance):
            fields[field], absent[field] = None, "mig"


def _memory(values: Mapping[str, float], fields: dict[str, float | None], absent: dict[str, str]) -> None:
    """Used, and the total: stated, or the sum of its parts."""
    parts = {name: _believed(values.get(name), _MIB) for name in (_FB_TOTAL, _FB_USED, _FB_FREE, _FB_RESERVED)}
    used, free = parts[_FB_USED][0], parts[_FB_FREE][0]
    total, reserved = parts[_FB_TOTAL][0], parts[_FB_RESERVED][0]
    if total is None and used is not None and free is not None:
        total = used + free + (0.0 if reserved is None else reserved)
    fields.update(memory_used_bytes=used, memory_total_bytes=total)
    if used is None:
        absent["memory_used_bytes"] = parts[_FB_USED][1]
    if total is None:
        absent["memory_total_bytes"] = parts[_FB_USED if used is None else _FB_FREE][1]


def _believed(value: float | None, scale: float, limit: float = float("inf")) -> tuple[float | None, str]:
    """The scaled value, or None and why: not there, one of DCGM's blanks, or no possible value."""
    if value is None:
        return None, "not_on_page"
    if value >= _BLANK_INT64:
        return None, "blank"
    for base in _BLANK_BASES:
        if base <= value < base + 16:
            return None, _BLANK_REASONS.get(int(value - base), "blank")
    scaled = value * scale
    return (scaled, "") if 0 <= scaled <= limit else (None, "out_of_range")


__all__ = ["ENGINE", "INCONSISTENT", "NOTES", "READS", "TITLE", "USUAL_PORT", "WANTED", "read_gpus", "shows_gpus"]
