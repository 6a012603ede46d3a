"""What the exports show: the last report, every part's health, the GPUs' last readings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from analyzer.report import Report
from analyzer.samples import GpuSample
from collector.export.listen import Counts
from collector.health import DaemonHealth


@dataclass(slots=True)
class State:
    """The one place where jobs leave what the exports read; `ready` turns true once the store was opened."""

    version: str
    health: DaemonHealth
    report: Report | None = None
    gpus: Mapping[str, GpuSample] = field(default_factory=dict)
    gpu_absent: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Why a GPU does not report a figure, by UUID and figure."""
    analyses: Callable[[], bool] | None = None
    """Whether this daemon is the one that analyses now; None before it was asked for."""
    ready: bool = False
    urls: tuple[str, ...] = ()
    connections: Counts = field(default_factory=Counts)
