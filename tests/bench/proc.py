"""What a process and its children have used so far, from /proc."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """Processor time and bytes sent to the disk so far, resident memory now, of a process and all below it."""

    cpu_s: float
    written_bytes: float
    resident_bytes: float


def usage(process_id: int) -> Usage:
    """The usage now; a process that ended meanwhile counts with what its parent was told of it."""
    total = Usage(0.0, 0.0, 0.0)
    for one in (process_id, *_below(process_id)):
        try:
            stat = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            resident = resident_bytes(one)
            io = dict(_pairs(Path(f"/proc/{one}/io").read_text()))
        except (FileNotFoundError, ProcessLookupError):
            continue
        ticks = sum(map(int, stat[11:15]))  # utime, stime, and both of the children that were waited for
        total = Usage(
            total.cpu_s + ticks / _TICKS_PER_S,
            total.written_bytes + float(io["write_bytes"]),
            total.resident_bytes + resident,
        )
    return total


def resident_bytes(process_id: int) -> float:
    """Resident memory of one process alone. Raises FileNotFoundError or ProcessLookupError when it is gone."""
    status = dict(_pairs(Path(f"/proc/{process_id}/status").read_text()))
    if "VmRSS" not in status:
        raise ProcessLookupError(f"process {process_id} has ended")
    return 1024 * float(status["VmRSS"].split()[0])


def _below(process_id: int) -> list[int]:
    found: list[int] = []
    for tasks in Path(f"/proc/{process_id}/task").glob("*/children"):
        try:
            children = [int(one) for one in tasks.read_text().split()]
        except FileNotFoundError:
            continue
        for child in children:
            found += [child, *_below(child)]
    return found


def _pairs(text: str) -> list[tuple[str, str]]:
    return [(name, value.strip()) for name, _, value in (line.partition(":") for line in text.splitlines())]
