"""Figures that the compilation behind the GPU table lacks, from other sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from analyzer.facts.gpu_type import Gpu

_BANDWIDTH: Mapping[str, tuple[float, str]] = MappingProxyType(
    {
        "H100 NVL 94GB": (3938e9, "NVIDIA H100 NVL product brief PB-11773: HBM3 at 3,938 GB/s"),
        "RTX 4090 D": (1008e9, "hmc-tech.com gpu/nvidia-geforce-rtx-4090-d: GDDR6X, 384 bits at 21 GT/s"),
    }
)


def supplemented(gpu: Gpu) -> Gpu:
    """The GPU with what the table lacks and another source states, that source added; itself where nothing does."""
    found = _BANDWIDTH.get(gpu.name)
    if found is None or gpu.bandwidth_bytes_per_s is not None:
        return gpu
    bandwidth, source = found
    return replace(gpu, bandwidth_bytes_per_s=bandwidth, sources=(*gpu.sources, source))
