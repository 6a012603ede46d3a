"""Whether a GPU's profiling figures can be believed: a module that stopped reports zeros while the GPU works."""

from __future__ import annotations

from collections.abc import MutableMapping

PROFILING = ("sm_active_ratio", "sm_occupancy_ratio", "tensor_active_ratio", "dram_active_ratio")
"""The fields of `GpuSample` that come from profiling counters."""
WORKING_RATIO = 0.9
"""From this duty cycle on, no SM and no memory traffic at all is not possible. Seen after Xid 31, for example:
https://github.com/NVIDIA/DCGM/issues/303"""
INCONSISTENT = "inconsistent"
_ALWAYS_AT_WORK = frozenset({"sm_active_ratio", "dram_active_ratio"})
"""What any kernel uses; tensor cores alone may well rest."""


def take_back_zeros(
    fields: MutableMapping[str, float | None], absent: MutableMapping[str, str], duty_ratio: float | None
) -> bool:
    """Whether the profiling figures are all zero beside the driver's duty cycle `duty_ratio` (0..1); if so, none stays.

    Without a duty cycle, or with tensor activity as the only figure, nothing can be said against them.
    """
    told = {name: fields[name] for name in PROFILING if fields.get(name) is not None}
    if duty_ratio is None or duty_ratio < WORKING_RATIO or not told.keys() & _ALWAYS_AT_WORK or any(told.values()):
        return False
    for name in told:
        fields[name], absent[name] = None, INCONSISTENT
    return True
