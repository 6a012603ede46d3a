"""What the compilation calls schemes -> formats: `W4A16`, `FP8-W8A8+KV-FP8`, `GGUF-Q4_K_M`, and kernels by engine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from analyzer.evidence import Missing
from analyzer.facts.gpu_type import Gpu
from analyzer.facts.scheme_support import Level, support
from analyzer.facts.scheme_table import SCHEMES
from analyzer.predict.formats import Format, Kernel, format_of, unquantized
from analyzer.scoring.rows import Row

_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "FP8": "fp8-w8a8",
        "FP8-W8A8": "fp8-w8a8",
        "FP8-W8A16": "w8a16",
        "W8A16": "w8a16",
        "W4A16": "w4a16",
        "W4A16-NF4": "w4a16",
        "W4A16-SPARSE24": "w4a16",
        "INT8": "int8-w8a8",
        "W8A8-INT8": "int8-w8a8",
        "W4A8": "w4a8",
        "NVFP4": "nvfp4",
        "MXFP4": "mxfp4",
        "KV-FP8": "kv-fp8",
        "KV-INT8": "kv-int8",
    }
)
_UNQUANTIZED = MappingProxyType({"BF16": 16.0, "FP16": 16.0, "F16": 16.0, "FP32": 32.0, "F32": 32.0})
_GGUF_BITS: Mapping[str, float] = MappingProxyType(
    {
        "IQ1_S": 2.0042,
        "IQ2_XXS": 2.3824,
        "IQ2_M": 2.9294,
        "IQ3_XXS": 3.2548,
        "IQ3_S": 3.6606,
        "IQ3_M": 3.7628,
        "IQ4_XS": 4.4597,
        "IQ4_NL": 4.6818,
        "Q2_K_S": 2.9697,
        "Q2_K": 3.1593,
        "Q3_K_S": 3.6429,
        "Q3_K_L": 4.2979,
        "Q4_K_S": 4.6672,
        "Q5_K_S": 5.5704,
    }
)
"""Types that the product does not offer: mean bits of Llama-3.1-8B's file, llama.cpp tools/quantize/README.md."""

MARLIN_AWQ = (0, 5, 3)
"""The vLLM release that began to run AWQ checkpoints on the Marlin kernel."""
_SPARSE_24_READ = 0.75
"""2:4 sparsity keeps half the values and two bits of index for each kept one of 4 bits."""
_TORCHAO_GROUP_64_BITS = 4.5
_ODD_BITS = re.compile(r"W(\d+)A16")
_SCALE_BITS = 0.25
_INT32_BYTES, _BF16_BYTES = 4.0, 2.0


def before(row: Row, gpu: Gpu | None) -> Format | Missing:
    """The baseline's format."""
    bits = _UNQUANTIZED.get(row.base_precision)
    if bits is not None:
        return unquantized(weight_bits=bits)
    return _named(row.base_precision, row, gpu, unquantized())


def after(row: Row, gpu: Gpu | None, base: Format) -> Format | Missing:
    """The scheme's format, by the kernel that the engine runs it on."""
    asked = row.scheme.upper()
    form: Format | Missing = base
    for part in asked.split("+"):
        if isinstance(form, Missing):
            return form
        form = _named(part, row, gpu, form)
    return form if isinstance(form, Missing) else _kernel(row, form)


def _named(name: str, row: Row, gpu: Gpu | None, base: Format) -> Format | Missing:
    if name.startswith("GGUF-"):
        return _gguf(name.removeprefix("GGUF-"), base)
    scheme = _NAMES.get(name)
    if scheme is None:
        odd = _ODD_BITS.fullmatch(name)
        if odd is None:
            return Missing(f"the scheme {name} is not one that the product knows")
        return replace(base, weight_bits=int(odd[1]) + _SCALE_BITS, compute="bf16", kernel=Kernel.WEIGHT_ONLY)
    # What the engine's documentation allows is not asked: the row was measured. What the hardware can do is.
    allowed = support(scheme, gpu, None)
    if gpu is not None and allowed.level is Level.UNSUPPORTED:
        return Missing(allowed.reason)
    return format_of(scheme, base, weight_only=allowed.level is Level.WEIGHT_ONLY)


def _gguf(name: str, base: Format) -> Format | Missing:
    if name in SCHEMES:
        return format_of(name, base)
    bits = _GGUF_BITS.get(name)
    if bits is None:
        return Missing(f"the GGUF type {name} is not one that the product knows")
    return replace(format_of("Q4_K_M", base), weight_bits=bits)


def _kernel(row: Row, form: Format) -> Format:
    """Engines whose kernels for a scheme are known to be other than the usual fused ones."""
    if "no fused" in row.detail:
        return replace(form, kernel=Kernel.UNFUSED, expanded_bytes=2 * _BF16_BYTES)
    if row.engine == "torchao":
        return _torchao(row, form)
    version = row.engine_version
    if row.engine == "vllm" and "awq" in row.detail and version is not None and version < MARLIN_AWQ:
        return replace(form, kernel=Kernel.PLAIN_4BIT)
    return form


def _torchao(row: Row, form: Format) -> Format:
    if "int8dq" in row.detail and row.load == 1:
        # torch's INT8 product needs 17 rows or more; below, it is spelled out: widen, multiply and sum, each through
        # memory in 32 bits. Assumed, not measured: which passes fuse differs by version.
        return replace(form, kernel=Kernel.UNFUSED, expanded_bytes=4 * _INT32_BYTES)
    if form.weight_bits >= 7:
        return form
    bits = form.weight_bits
    if row.scheme.upper().startswith("W4") and "g128" not in row.detail:
        bits = _TORCHAO_GROUP_64_BITS
    if "sparse" in row.detail:
        bits *= _SPARSE_24_READ
    return replace(form, weight_bits=bits, kernel=Kernel.TORCH_4BIT)
