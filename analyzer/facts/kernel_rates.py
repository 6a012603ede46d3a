"""Shares of a GPU's peaks that kernels reach: bandwidth by GPU, engine and bits a weight, and 16-bit arithmetic by GPU.

Derived from the measured tables of aiconfigurator-core 0.12.0 (`systems/*/gemm`, Apache-2.0; vLLM 0.14 to 0.26,
SGLang 0.5.6 to 0.5.14, TensorRT-LLM 1.0 and 1.3). A matrix product of at most 64 tokens takes a fixed time and its
weights' bytes at a share of the peak. That line was fitted robustly to every shape of 8 MB (Ada and RTX, whose caches
hold more: 60 MB) to 1.3 GB, once per GPU, engine and number of tokens (1, 8, 16, 32, 64); it misses shapes by 4 % in
the median on Hopper. A figure is the median share of those lines, its spread their standard deviation over it with
1.5 % for the fit (in quadrature). The fixed time (4 us a product in 16 bits, 6 to 13 in 8) is overhead of a step.
Decode attention over much context reaches about the same share (`systems/*/attention`: 0.82 to 0.88 on Hopper, 0.79
to 0.86 on B200 and B300, 0.74 to 0.76 under vLLM on A100, 0.80 on L40S, 0.92 to 0.94 on RTX PRO 6000); over little
context less.

Arithmetic: 16-bit products of 512 to 8,192 tokens reach 0.70 to 0.82 of the peak on Hopper, 0.68 to 0.85 on A100, 0.55
to 0.69 on B200, 0.52 to 0.66 on L40S, 0.63 to 0.79 on RTX PRO 6000 (medians over shapes from 2,048 to 30,000 wide, the
same tables). In whole steps with prompts attention and small kernels take their part: 0.65 to 0.72 of an H200's peak
were measured (tests/captures/h200-steps), 0.88 of what its products reach.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from analyzer.facts.gpu_type import Gpu
from analyzer.facts.kernels import BLACKWELL_RTX, BLACKWELL_ULTRA, group


@dataclass(frozen=True, slots=True)
class Share:
    """Share of the data sheet's peak (0..1), and the standard deviation of its logarithm."""

    share: float
    sd: float


_A100 = "A100"
_VLLM, _SGLANG, _TRTLLM = "vllm", "sglang", "trtllm"
_BY_ENGINE: Mapping[tuple[str, int, str], Share] = MappingProxyType(
    {
        (_A100, 16, _VLLM): Share(0.73, 0.024),
        (_A100, 16, _SGLANG): Share(0.74, 0.027),
        (_A100, 16, _TRTLLM): Share(0.78, 0.039),
        ("Hopper", 16, _VLLM): Share(0.865, 0.029),
        ("Hopper", 16, _SGLANG): Share(0.83, 0.034),
        ("Hopper", 16, _TRTLLM): Share(0.84, 0.025),
        ("Hopper", 8, _VLLM): Share(0.79, 0.072),
        ("Hopper", 8, _SGLANG): Share(0.80, 0.044),
        ("Hopper", 8, _TRTLLM): Share(0.815, 0.034),
        ("Blackwell", 16, _VLLM): Share(0.815, 0.042),
        ("Blackwell", 16, _SGLANG): Share(0.815, 0.038),
        ("Blackwell", 16, _TRTLLM): Share(0.745, 0.032),
        ("Blackwell", 8, _VLLM): Share(0.70, 0.050),
        ("Blackwell", 8, _SGLANG): Share(0.745, 0.048),
        ("Blackwell", 8, _TRTLLM): Share(0.73, 0.059),
        ("Blackwell", 4, _VLLM): Share(0.73, 0.030),
        ("Blackwell", 4, _SGLANG): Share(0.72, 0.073),
        ("Blackwell", 4, _TRTLLM): Share(0.60, 0.057),
        ("Ada", 16, _VLLM): Share(0.83, 0.058),
        ("Ada", 16, _SGLANG): Share(0.83, 0.053),
        ("Ada", 16, _TRTLLM): Share(0.83, 0.076),
        ("Ada", 8, _VLLM): Share(0.71, 0.026),
        ("Ada", 8, _SGLANG): Share(0.73, 0.018),
        ("Ada", 8, _TRTLLM): Share(0.75, 0.089),
        (BLACKWELL_RTX, 16, _VLLM): Share(0.92, 0.023),
        (BLACKWELL_RTX, 16, _SGLANG): Share(0.93, 0.023),
        (BLACKWELL_RTX, 16, _TRTLLM): Share(0.92, 0.037),
        (BLACKWELL_RTX, 8, _VLLM): Share(0.91, 0.024),
        (BLACKWELL_RTX, 8, _SGLANG): Share(0.79, 0.086),
        (BLACKWELL_RTX, 8, _TRTLLM): Share(0.92, 0.027),
        (BLACKWELL_RTX, 4, _VLLM): Share(0.62, 0.061),
        (BLACKWELL_RTX, 4, _SGLANG): Share(0.77, 0.094),
        (BLACKWELL_RTX, 4, _TRTLLM): Share(0.71, 0.132),
        ("Xe2", 16, _VLLM): Share(0.97, 0.060),
        ("Xe2", 8, _VLLM): Share(0.94, 0.057),
    }
)
_BY_GPU: Mapping[tuple[str, int], Share] = MappingProxyType(
    {
        (_A100, 16): Share(0.74, 0.041),
        ("Hopper", 16): Share(0.85, 0.034),
        ("Hopper", 8): Share(0.80, 0.052),
        ("Blackwell", 16): Share(0.78, 0.052),
        ("Blackwell", 8): Share(0.73, 0.055),
        ("Blackwell", 4): Share(0.70, 0.090),
        ("Ada", 16): Share(0.83, 0.063),
        ("Ada", 8): Share(0.73, 0.071),
        (BLACKWELL_RTX, 16): Share(0.92, 0.029),
        (BLACKWELL_RTX, 8): Share(0.90, 0.082),
        (BLACKWELL_RTX, 4): Share(0.69, 0.137),
    }
)
"""Engines without tables: all lines of the GPU."""
_ELSEWHERE: Mapping[int, Share] = MappingProxyType({16: Share(0.83, 0.11), 8: Share(0.80, 0.12), 4: Share(0.70, 0.14)})
"""GPUs without a table: about the middle of the others, and the spread between them."""
_ARITHMETIC: Mapping[str, Share] = MappingProxyType(
    {
        _A100: Share(0.68, 0.12),
        "Hopper": Share(0.63, 0.12),
        "Blackwell": Share(0.56, 0.15),
        "Ada": Share(0.50, 0.15),
        BLACKWELL_RTX: Share(0.63, 0.15),
    }
)
"""Of whole steps: what products reach between 256 and 8,192 tokens, times 0.88."""
_ARITHMETIC_ELSEWHERE = Share(0.62, 0.20)
_HBM_BYTES_PER_S = 1.2e12
"""Ampere cards with HBM have more bandwidth than this; the others are of another kind than the A100 measured."""


def read_share(gpu: Gpu, weight_bits: float, engine: str) -> Share:
    """What `engine`'s kernels reach on `gpu` with weights of `weight_bits`, or the nearest bits measured (4, 8, 16)."""
    bits = min((4, 8, 16), key=lambda measured: abs(measured - weight_bits))
    kind = _kind(gpu)
    known = _BY_ENGINE.get((kind, bits, engine))
    return known if known is not None else _BY_GPU.get((kind, bits), _ELSEWHERE[bits])


def arithmetic_share(gpu: Gpu) -> Share:
    """What whole steps with prompts reach of `gpu`'s 16-bit peak."""
    return _ARITHMETIC.get(_kind(gpu), _ARITHMETIC_ELSEWHERE)


def _kind(gpu: Gpu) -> str:
    """GPUs whose 16-bit kernels and reads are alike."""
    kind = group(gpu)
    large = gpu.bandwidth_bytes_per_s is not None and gpu.bandwidth_bytes_per_s > _HBM_BYTES_PER_S
    if kind == "Ampere" and large:
        return _A100
    return "Blackwell" if kind == BLACKWELL_ULTRA else kind
