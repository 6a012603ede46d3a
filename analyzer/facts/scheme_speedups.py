"""Published speed-ups of the memory-bound part, per scheme: batch-1 decode, where reading bytes sets the step's length.

How the figures were obtained from the project's compilation of published pairs (baseline and quantized figure of the
same setting; 1,337 pairs, `speedups_dev.csv`):

1. Core rows: every row flagged as not comparable is dropped, with all HF Transformers and bitsandbytes rows; 562 stay.
2. Base BF16 or FP16; phase `decode`; load `1` (one request); rows flagged `compute_bound_scheme_at_batch1` dropped.
3. P10, P50, P90 of the published speed-up, linearly interpolated.
4. Fewer than `MIN_ROWS` such rows: decode at any load takes their place, and the source says so.
5. Still fewer: the nearest scheme's figures are borrowed, and the source says so.

A batch-1 step also holds launch overhead, so these understate what the bytes alone would give. They are ratios to 16
bits; values below 1 are slow-downs and stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from analyzer.facts.scheme_table import find_scheme

MIN_ROWS = 5


@dataclass(frozen=True, slots=True)
class PublishedSpeedup:
    """Percentiles of published speed-ups over 16 bits, from `n` rows; `basis` is `batch_1`, `decode` or `borrowed`."""

    p10: float
    p50: float
    p90: float
    n: int
    basis: str
    source: str


_QWEN = "Qwen2 and Qwen2.5 speed benchmarks (vLLM, A100), torchao README"
_LLAMA_CPP = "GPU-Benchmarks-on-LLM-Inference (llama.cpp, 30 GPU configurations)"
_README = "github ggml-org/llama.cpp@311c2c9 tools/quantize/README.md"
_ACCELMARK = "AccelMark suite C (vLLM, Llama-3.1-8B)"
_INFERENCEMAX = "InferenceMAX points of aiconfigurator-core 0.12.0 (SGLang, B300, Qwen3.5-397B)"

_W4A16 = PublishedSpeedup(0.8595, 1.6370, 2.3543, 48, "batch_1", f"batch-1 decode of W4A16: {_QWEN}")
_NVFP4 = PublishedSpeedup(
    1.2279, 1.4633, 1.6045, 10, "decode", f"decode at 4 to 64 requests, none at batch 1: {_INFERENCEMAX}"
)
_Q4_K_M = PublishedSpeedup(2.1478, 2.5191, 2.9653, 40, "batch_1", f"batch-1 decode of Q4_K_M over F16: {_LLAMA_CPP}")


def _borrowed(figures: PublishedSpeedup, why: str) -> PublishedSpeedup:
    return PublishedSpeedup(figures.p10, figures.p50, figures.p90, figures.n, "borrowed", f"{why}; {figures.source}")


def _single(p50: float) -> PublishedSpeedup:
    """One published value: the spread of Q4_K_M around its median is carried over, since one row has none."""
    return PublishedSpeedup(
        round(p50 * _Q4_K_M.p10 / _Q4_K_M.p50, 4),
        p50,
        round(p50 * _Q4_K_M.p90 / _Q4_K_M.p50, 4),
        1,
        "borrowed",
        f"one value, tg128 of Llama-3.1-8B on a GPU not stated ({_README}), with the relative spread of Q4_K_M",
    )


_PUBLISHED: Mapping[str, PublishedSpeedup] = MappingProxyType(
    {
        "w4a16": _W4A16,
        "w8a16": PublishedSpeedup(
            0.8740, 1.4136, 1.6236, 26, "batch_1", f"batch-1 decode of W8A16, FP8 weight-only included: {_QWEN}"
        ),
        "fp8-w8a8": PublishedSpeedup(
            0.9587,
            1.2185,
            1.5427,
            5,
            "decode",
            f"decode at 1 and 8 requests, 2 rows at batch 1 being too few: torchao README (H100), {_ACCELMARK}",
        ),
        "int8-w8a8": PublishedSpeedup(
            1.1491, 1.3248, 1.4932, 6, "decode", f"decode at 8 requests, none usable at batch 1: {_ACCELMARK}"
        ),
        "w4a8": _borrowed(_W4A16, "as W4A16, which reads the same 4-bit weights (own rows: 1.67 and 1.76, torchao)"),
        "nvfp4": _NVFP4,
        "mxfp4": _borrowed(_NVFP4, "as NVFP4, since no MXFP4 pair is published"),
        "Q4_K_M": _Q4_K_M,
        "Q4_0": _borrowed(_Q4_K_M, "as Q4_K_M, the nearest type measured"),
        "Q4_1": _borrowed(_Q4_K_M, "as Q4_K_M, the nearest type measured"),
        "Q5_K_M": _single(2.3048),
        "Q6_K": _single(2.0113),
        "Q8_0": _single(1.7460),
    }
)

_KV_FP8 = PublishedSpeedup(
    1.3704,
    1.8519,
    1.8519,
    3,
    "batch_1",
    "inverse slope of inter-token latency over context, Llama-3.1-8B on H100 and B200, gpt-oss-20b on H100: "
    "vLLM blog 2026-04-22 on FP8 KV cache",
)


def memory_bound_speedup(scheme: str) -> PublishedSpeedup | None:
    """What is published for the memory-bound part under `scheme`, over 16 bits; evidence is `assumed`.

    None for the KV schemes: they speed up the KV read alone, whose share depends on the context, so no figure for the
    whole memory-bound part is published (see `kv_read_speedup`). Raises ValueError for an unknown scheme.
    """
    return _PUBLISHED.get(find_scheme(scheme).name)


def kv_read_speedup(scheme: str) -> PublishedSpeedup | None:
    """What is published for the KV read alone under a KV scheme; None for weight schemes and where nothing is."""
    return _KV_FP8 if find_scheme(scheme).name == "kv-fp8" else None
