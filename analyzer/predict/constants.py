"""The predictor's constants: each with where it is from, and what it was before published rows moved it.

Shares are of data-sheet peaks. `prior` values come from kernel tables, other publications and arithmetic; they were set
by someone who had seen the development rows, so only held-out scores (ACCURACY.md) tell how good they are. Those with
an `sd` above 0 (of the logarithm) are then fitted by penalised least squares (`analyzer.scoring.fitting`); the
defaults of `Constants` are that fit over all core development rows. Those with sd 0 stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Prior:
    """A constant before fitting: its value, the standard deviation of its logarithm, and its source."""

    value: float
    sd: float
    source: str


@dataclass(frozen=True, slots=True)
class Constants:
    """Every number of the predictor. Ratios are to the 16-bit kernel on the same GPU; `_s` are seconds."""

    bandwidth: float = 0.80
    kv_bandwidth: float = 0.65
    arithmetic: float = 0.6497
    attention: float = 0.45
    read_8bit: float = 0.9775
    read_4bit: float = 0.8564
    read_fp8: float = 0.9484
    read_int8: float = 0.9264
    read_fp4: float = 0.7705
    read_gguf: float = 0.9461
    read_plain_4bit: float = 0.4595
    read_torch_4bit: float = 0.7452
    arithmetic_fp8: float = 1.0
    arithmetic_int8: float = 1.0
    arithmetic_fp4: float = 1.0
    dequantize: float = 1.12
    dequantize_gguf: float = 1.250
    launch_weight_only_s: float = 3.712e-6
    launch_scaled_s: float = 6.007e-6
    launch_fp4_s: float = 2.401e-6
    launch_gguf_s: float = 8.348e-6
    layer_s: float = 55.53e-6
    request_s: float = 9.963e-3
    collective_s: float = 10e-6
    link_bytes_per_s: float = 400e9
    scaling_share: float = 0.2043
    scaling_share_first_token: float = 0.8236


SHIPPED = Constants()
"""What the product predicts with."""

_KERNELS = "analyzer/facts/kernels.py"
_MARLIN = "INT4 weight-only products 3.4 times as fast as FP16 at one token (A100, TensorRT-LLM 1.0.0 tables): 0.90"
_GPT_FAST = (
    "github pytorch-labs/gpt-fast README: Llama-2-70B on 8 A100 reads 1098 GB/s in 4 bits, 1323 in 8 bits, 1482 in 16"
)

PRIORS: Mapping[str, Prior] = MappingProxyType(
    {
        "bandwidth": Prior(0.80, 0.0, "decode kernels reach 0.65 to 0.92 of the data sheet's bandwidth"),
        "kv_bandwidth": Prior(0.65, 0.0, "decode attention reads less evenly than weights; set by hand"),
        "arithmetic": Prior(0.65, 0.06, "bare matrix products reach 0.73 to 0.87 (ml-engineering), whole layers less"),
        "attention": Prior(0.45, 0.0, "FlashAttention-2 reaches 0.4 to 0.6 of the peak on causal prefill"),
        "read_8bit": Prior(0.95, 0.10, _GPT_FAST),
        "read_4bit": Prior(0.85, 0.08, _MARLIN),
        "read_fp8": Prior(0.95, 0.08, "as 8-bit weight-only kernels"),
        "read_int8": Prior(0.95, 0.10, "as 8-bit weight-only kernels"),
        "read_fp4": Prior(0.77, 0.08, "between 4-bit weight-only kernels and RTX PRO 6000's 0.68 in the tables"),
        "read_gguf": Prior(0.95, 0.06, "K-quants unpack in registers while they stream"),
        "read_plain_4bit": Prior(0.50, 0.25, "vLLM's documentation until 0.5.2 calls its AWQ kernel under-optimized"),
        "read_torch_4bit": Prior(0.75, 0.10, _GPT_FAST),
        "arithmetic_fp8": Prior(1.0, 0.0, _KERNELS + ", as it stands"),
        "arithmetic_int8": Prior(1.0, 0.0, _KERNELS + ", as it stands"),
        "arithmetic_fp4": Prior(1.0, 0.0, _KERNELS + ", as it stands"),
        "dequantize": Prior(1.12, 0.0, "weight-only products in prefill run at 0.88 to 0.95 of FP16 (A100 tables)"),
        "dequantize_gguf": Prior(1.22, 0.06, "llama.cpp unpacks to 16 bits per micro-batch: 2.6 bytes more per weight"),
        "launch_weight_only_s": Prior(3e-6, 0.35, "a second pass over scales per matrix product; set by hand"),
        "launch_scaled_s": Prior(6e-6, 0.35, "kernel tables: 2 to 4 us per product over BF16; activation scaling more"),
        "launch_fp4_s": Prior(2.5e-6, 0.40, "beyond `launch_scaled_s`: FP4 scales are two-level and swizzled"),
        "launch_gguf_s": Prior(8e-6, 0.30, "an activation kernel and a product per matrix, no CUDA graph"),
        "layer_s": Prior(60e-6, 0.40, "norms, attention launch, sampling: 50 to 110 us per layer seen"),
        "request_s": Prior(10e-3, 0.40, "HTTP, tokenizing and scheduling before the first token; set by hand"),
        "collective_s": Prior(10e-6, 0.0, "one small all-reduce over NVLink, two a layer"),
        "link_bytes_per_s": Prior(400e9, 0.0, "large all-reduces over NVLink 4 and 5 reach 300 to 700 GB/s a GPU"),
        "scaling_share": Prior(0.20, 0.40, "how much of the unexplained time shrinks along; the rest stays"),
        "scaling_share_first_token": Prior(0.80, 0.15, "time to first token is mostly waiting for others' prefills"),
    }
)
"""Before fitting; the keys are the fields of `Constants`."""
