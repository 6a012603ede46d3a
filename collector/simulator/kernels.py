"""How good a simulated server's kernels are: drawn from what was measured of real ones, for no prior may know them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

BANDWIDTH: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"vllm": (0.83, 0.91), "sglang": (0.79, 0.88), "trtllm": (0.81, 0.86)}
)
ANY_BANDWIDTH = (0.79, 0.91)
"""Share of an H100's or H200's peak at which an engine's 16-bit products read weights, from the poorest to the best of
the lines that `analyzer.facts.kernel_rates` describes; other engines': of all lines."""
ARITHMETIC = (0.50, 0.74)
"""Share of an H100's peak in whole steps with prompts: from what 256 tokens leave of a product's peak to what an H200
reached on 2,048, both as `analyzer.facts.kernel_rates` has them."""
LAYER_LAUNCH_S = (10e-6, 65e-6)
"""Launches and host time per layer and step: a third to twice of 31 us, which an H200 took without a host."""
SEQUENCE_S = (5e-6, 20e-6)
"""Host time per sequence and step: an assumption."""


@dataclass(frozen=True, slots=True)
class Kernels:
    """Shares of the data sheet's peaks (0..1), and seconds per step and per sequence of a step."""

    bandwidth_efficiency: float
    flops_efficiency: float
    launch_s: float
    per_sequence_s: float


def draw(rng: np.random.Generator, layers: int, engine: str) -> Kernels:
    """Kernels of `engine` for a model of `layers` layers."""
    return Kernels(
        bandwidth_efficiency=rng.uniform(*BANDWIDTH.get(engine, ANY_BANDWIDTH)),
        flops_efficiency=rng.uniform(*ARITHMETIC),
        launch_s=layers * rng.uniform(*LAYER_LAUNCH_S),
        per_sequence_s=rng.uniform(*SEQUENCE_S),
    )
