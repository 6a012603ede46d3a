"""The GPU table and its look-up by the driver's name (NVML) or an operator's short name: an exact GPU or None."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from analyzer.facts.gpu_supplement import supplemented
from analyzer.facts.gpu_type import (
    REFERENCE_PRICE_DATE,
    REFERENCE_PRICE_EVIDENCE,
    REFERENCE_PRICE_SOURCE,
    Gpu,
)
from analyzer.facts.gpus_ada import ADA
from analyzer.facts.gpus_amd_intel import AMD_INTEL
from analyzer.facts.gpus_blackwell import BLACKWELL
from analyzer.facts.gpus_data_sheets import DATA_SHEETS
from analyzer.facts.gpus_hopper import HOPPER
from analyzer.facts.gpus_pre_ada import PRE_ADA

COMPILED: tuple[Gpu, ...] = (*PRE_ADA, *ADA, *HOPPER, *BLACKWELL, *AMD_INTEL)
"""The compilation as published; what it lacks comes from elsewhere."""
GPUS: tuple[Gpu, ...] = (*(supplemented(gpu) for gpu in COMPILED), *DATA_SHEETS)

DECORATION = frozenset(
    {
        "amd",
        "corporation",
        "geforce",
        "generation",
        "gpu",
        "graphics",
        "instinct",
        "intel",
        "nvidia",
        "r",
        "rtx",
        "series",
        "simulated",
        "tesla",
        "tm",
    }
)
"""Words that never tell two GPUs apart. Every other word must be one the table knows, or there is no match."""

_MEMORY = re.compile(r"\b(\d+)\s*g(?:i?b)?\b")
_GLUED_BRAND = re.compile(r"\brtx(?=a?\d)")
_GLUED_SUFFIX = re.compile(r"\b(\d{4})(d|ti)\b")
_SEPARATORS = re.compile(r"[^a-z0-9]+")

MATMUL_SOURCE = "stas00/ml-engineering@744d01e compute/accelerator/README.md (maximum achievable matmul FLOPS)"
_MATMUL_FLOPS_PER_S: Mapping[tuple[str, str], float] = MappingProxyType(
    {
        ("A100 SXM4 80GB", "bf16"): 271.2e12,
        ("A100 SXM4 40GB", "bf16"): 271.2e12,
        ("A100 PCIe 80GB", "bf16"): 252.9e12,
        ("GH200", "bf16"): 828.6e12,
        ("H100 SXM 80GB", "bf16"): 794.5e12,
        ("B300 SXM", "bf16"): 1769.0e12,
        ("B200 SXM", "bf16"): 1745.0e12,
        ("GB200", "bf16"): 1822.0e12,
        ("MI355X", "bf16"): 1565.0e12,
        ("MI325X", "bf16"): 784.9e12,
        ("MI300X", "bf16"): 668.4e12,
        ("GH200", "fp8"): 1535.0e12,
        ("B200 SXM", "fp8"): 3432.5e12,
        ("B300 SXM", "fp8"): 3353.3e12,
        ("H200 SXM", "fp8"): 1453.4e12,
        ("GB200", "fp8"): 3615.6e12,
        ("H100 SXM 80GB", "fp8"): 1402.6e12,
    }
)


def _identity(name: str) -> frozenset[str]:
    """The words of a name that tell GPUs apart, however it is separated, cased or branded."""
    text = _GLUED_BRAND.sub("rtx ", _SEPARATORS.sub(" ", name.lower()))
    text = _GLUED_SUFFIX.sub(r"\1 \2", _MEMORY.sub(r"\1gb", text))
    return frozenset(text.split()) - DECORATION


def _index() -> Mapping[frozenset[str], Gpu]:
    found: dict[frozenset[str], Gpu] = {}
    for gpu in GPUS:
        for name in (gpu.name, *gpu.names):
            if found.setdefault(_identity(name), gpu) is not gpu:
                raise ValueError(f"{name!r} names two GPUs: {found[_identity(name)].name} and {gpu.name}")
    return MappingProxyType(found)


_BY_IDENTITY = _index()


@lru_cache(maxsize=64)
def find_gpu(name: str) -> Gpu | None:
    """The GPU of that name, or None: a word that no entry has (`Ti`, `Laptop`, `MIG 3g.40gb`) is never ignored.

    A short name that several forms share means the SXM form: `H100`, `H100 80GB`, `A100 80GB`, `A100 40GB`, `H200`.
    `A100` alone is None, since 40 and 80 GB differ: `gpu_candidates` lists all of them.
    """
    return _BY_IDENTITY.get(_identity(name))


def gpu_candidates(name: str) -> tuple[Gpu, ...]:
    """Every GPU that the words of `name` leave possible, in the table's order; none for an unknown word."""
    words = _identity(name)
    if not words:
        return ()
    possible = {gpu.name for identity, gpu in _BY_IDENTITY.items() if words <= identity}
    return tuple(gpu for gpu in GPUS if gpu.name in possible)


def measured_matmul_efficiency(gpu: Gpu, dtype: str) -> float | None:
    """Best measured matrix-multiply rate over this table's dense peak, 0..1, for `dtype` "bf16" or "fp8".

    None where nobody measured it: it is never borrowed from a similar GPU, except A100 SXM 40 and 80 GB, whose source
    does not tell them apart. The source's own ratio differs where it divides by another peak (MI355X 2300 TFLOPS).
    """
    peaks = {"bf16": gpu.bf16_flops_per_s, "fp8": gpu.fp8_flops_per_s}
    if dtype not in peaks:
        raise ValueError(f"matmul efficiency is known for {' and '.join(peaks)}, not for {dtype!r}")
    achieved, peak = _MATMUL_FLOPS_PER_S.get((gpu.name, dtype)), peaks[dtype]
    return None if achieved is None or peak is None else achieved / peak


__all__ = [
    "COMPILED",
    "GPUS",
    "MATMUL_SOURCE",
    "REFERENCE_PRICE_DATE",
    "REFERENCE_PRICE_EVIDENCE",
    "REFERENCE_PRICE_SOURCE",
    "Gpu",
    "find_gpu",
    "gpu_candidates",
    "measured_matmul_efficiency",
]
