"""llama.cpp on a CPU: how fast it computes prompts in quantized types, over F16, by processor and instruction set.

Measured by its llama-bench (b11434, compiled by GCC 12): prompts of 256 and 512 tokens, models of 151 million to 1.1
billion parameters. Integer products take the place of 16-bit ones, so that nothing follows from a GPU's figures.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import geometric_mean

FEW_BITS = 7.0
"""Weights of fewer bits go with Q4_0, of more with Q8_0."""


@dataclass(frozen=True, slots=True)
class CpuKernels:
    """Rates of prompts in Q8_0 and in Q4_0 over that in F16."""

    processor: str
    instructions: str
    rate_8bit: float
    rate_4bit: float

    def rate(self, weight_bits: float) -> float:
        """Arithmetic per second over that of 16 bits."""
        return self.rate_8bit if weight_bits > FEW_BITS else self.rate_4bit


AVX2, AVX512 = "AVX2", "AVX-512"
CPU_KERNELS = (
    CpuKernels("Zen 3", AVX2, 0.74, 0.93),
    CpuKernels("Zen 5", AVX2, 1.00, 1.09),
    CpuKernels("Zen 5", AVX512, 0.81, 1.55),
    CpuKernels("Xeon with AMX", AVX2, 1.14, 1.20),
)
ANY_CPU = CpuKernels(
    "any",
    "any",
    geometric_mean(one.rate_8bit for one in CPU_KERNELS),
    geometric_mean(one.rate_4bit for one in CPU_KERNELS),
)
"""What is expected of a processor that was not measured."""


def cpu_kernels(processor: str, instructions: str) -> CpuKernels:
    """Those of a processor (`Zen 3`) for which llama.cpp was compiled so; of any where it was not measured."""
    found = [one for one in CPU_KERNELS if (one.processor, one.instructions) == (processor, instructions)]
    return found[0] if found else ANY_CPU
