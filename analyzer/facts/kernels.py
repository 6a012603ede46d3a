"""Matrix-product kernels: how much of their peak quantized ones reach beside 16-bit ones, by GPU, type and tokens.

Derived from the measured tables of aiconfigurator-core 0.12.0 (`systems/*/`, Apache-2.0): attention projections of
Llama-3.1-8B (6144 x 4096 and 4096 x 4096), up to 32,768 tokens, under vLLM 0.24.0, SGLang 0.5.6 and 0.5.14 and
TensorRT-LLM 1.3.0rc20. A figure is the median, over engines and over tokens within half an octave, of (share of the
quantized type's dense peak) / (share of the BF16 peak). FP8 is scaled per tensor; kernels for blocks are left out, as
vLLM's is not tuned for these cards. GB200, GB300 and H200 go with B200, B300 and H100.

What it does not say: below 1,024 tokens these small matrices measure launches and bandwidth, not arithmetic, so the
figure of 1,024 stands for all below. A larger matrix fills a GPU with fewer tokens, so tokens count in proportion to
the size of the matrix; that rule is ours. INT4 and INT8 are not in the tables but for one INT8 weight-only kernel.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import log
from types import MappingProxyType

from analyzer.facts.gpu_type import Gpu

TOKENS = (1024.0, 2048.0, 4096.0, 8192.0)
"""The tokens per step that the figures below stand at; log-linear between, constant outside."""
TABLE_WEIGHTS = 4096 * (6144 + 4096) / 2
"""Mean weights of the tables' matrices."""

BLACKWELL_RTX, BLACKWELL_ULTRA = "Blackwell RTX", "Blackwell Ultra"
_RELATIVE: Mapping[tuple[str, str], tuple[float, float, float, float]] = MappingProxyType(
    {
        ("Ada", "fp8"): (0.73, 0.73, 0.72, 0.74),
        ("Hopper", "fp8"): (0.57, 0.61, 0.65, 0.74),
        ("Blackwell", "fp8"): (0.45, 0.54, 0.62, 0.69),
        (BLACKWELL_ULTRA, "fp8"): (0.45, 0.53, 0.58, 0.65),
        (BLACKWELL_RTX, "fp8"): (0.77, 0.81, 0.85, 0.84),
        ("Blackwell", "fp4"): (0.35, 0.44, 0.48, 0.54),
        (BLACKWELL_ULTRA, "fp4"): (0.21, 0.27, 0.31, 0.35),
        (BLACKWELL_RTX, "fp4"): (0.67, 0.71, 0.75, 0.70),
    }
)
_ELSEWHERE: Mapping[str, float] = MappingProxyType({"bf16": 1.0, "fp8": 0.68, "int8": 0.90, "fp4": 0.50})
"""GPUs without a table. INT8: SmoothQuant's products run 1.8 to 2.0 times as fast as FP16 at every number of tokens
(A100, TensorRT-LLM 1.0.0, the same tables), twice being the peak ratio. FP8 and FP4: about the median of the groups."""

_ULTRA_FP4_RATIO = 5.0
"""Blackwell Ultra's FP4 peak is more than this many times its BF16 peak; plain Blackwell's is four times."""


def relative_arithmetic(gpu: Gpu | None, compute: str, tokens: float, matrix_weights: float) -> float:
    """Share of peak that `compute` ("bf16", "fp8", "int8", "fp4") reaches, over the share that BF16 reaches.

    `matrix_weights`: weights of one matrix on one GPU.
    """
    tokens *= matrix_weights / TABLE_WEIGHTS
    figures = None if gpu is None else _RELATIVE.get((group(gpu), compute))
    if figures is None:
        return _ELSEWHERE[compute]
    if tokens <= TOKENS[0]:
        return figures[0]
    for index in range(1, len(TOKENS)):
        low, high = TOKENS[index - 1], TOKENS[index]
        if tokens <= high:
            part = log(tokens / low) / log(high / low)
            return figures[index - 1] + part * (figures[index] - figures[index - 1])
    return figures[-1]


def group(gpu: Gpu) -> str:
    """GPUs whose kernels are alike: the architecture, Blackwell in three parts."""
    if gpu.architecture != "Blackwell":
        return gpu.architecture
    if gpu.compute_capability is not None and gpu.compute_capability >= (12, 0):
        return BLACKWELL_RTX
    fp4 = gpu.fp4_flops_per_s
    return BLACKWELL_ULTRA if fp4 is not None and fp4 > _ULTRA_FP4_RATIO * gpu.bf16_flops_per_s else "Blackwell"
