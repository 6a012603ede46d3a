"""Whether a GPU and an engine can run a quantization scheme, and how: the legality behind every what-if.

Hardware gates are compute capabilities (NVIDIA) or the table's rates (AMD, Intel); engine gates are what the engine's
documentation or kernels say, read in these versions: vLLM docs 0.15 to 0.32 (features/quantization) and kernels
marlin_utils_fp4 and CutlassW4A8; SGLang docs 2026 (advanced_features/quantization, quantized_kv_cache); TensorRT-LLM
docs (features/quantization, hardware support matrix); TGI docs (conceptual/quantization); LMDeploy docs (quantization).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from analyzer.facts.gpu_type import Gpu
from analyzer.facts.scheme_table import Scheme, find_scheme

Capability = tuple[int, int]


class Level(StrEnum):
    """How a scheme runs, best first."""

    NATIVE = "native"
    """As the scheme is meant to run."""
    WEIGHT_ONLY = "weight_only"
    """It loads, but only bytes shrink: the arithmetic is no faster than at 16 bits."""
    UNSUPPORTED = "unsupported"
    """It does not load, or is far slower than 16 bits."""
    UNKNOWN = "unknown"
    """The GPU is not in the table."""


@dataclass(frozen=True, slots=True)
class Support:
    """How a scheme runs somewhere, and why; the reason is for the operator."""

    level: Level
    reason: str


@dataclass(frozen=True, slots=True)
class Gate:
    """Compute capabilities, first to last inclusive, with native support and with the weight-only fallback."""

    native: tuple[Capability, Capability] | None
    weight_only: tuple[Capability, Capability] | None
    why: str


_TURING, _AMPERE, _ADA, _HOPPER, _BLACKWELL, _NEWEST = (7, 5), (8, 0), (8, 9), (9, 0), (10, 0), (99, 0)

_HARDWARE: Mapping[str, Gate] = MappingProxyType(
    {
        "int8-w8a8": Gate((_TURING, _NEWEST), None, "INT8 tensor cores came with Turing"),
        "fp8-w8a8": Gate((_ADA, _NEWEST), (_TURING, (8, 8)), "FP8 tensor cores came with Ada and Hopper"),
        "w8a16": Gate((_TURING, _NEWEST), None, "weight-only kernels need Turing or newer"),
        "w4a16": Gate((_TURING, _NEWEST), None, "weight-only kernels need Turing or newer"),
        "w4a8": Gate((_AMPERE, _NEWEST), None, "W4A8 kernels need Ampere or newer"),
        "nvfp4": Gate((_BLACKWELL, _NEWEST), (_TURING, _HOPPER), "FP4 tensor cores came with Blackwell"),
        "mxfp4": Gate((_BLACKWELL, _NEWEST), (_TURING, _HOPPER), "FP4 tensor cores came with Blackwell"),
        "kv-fp8": Gate((_ADA, _NEWEST), (_AMPERE, (8, 8)), "FP8 conversion came with Ada and Hopper"),
        "kv-int8": Gate(((7, 0), _NEWEST), None, "INT8 KV kernels need Volta or newer"),
    }
)

_ENGINE: Mapping[tuple[str, str], Gate] = MappingProxyType(
    {
        ("vllm", "int8-w8a8"): Gate((_TURING, _HOPPER), None, "vLLM has no INT8 W8A8 from Blackwell on: use FP8"),
        ("vllm", "w4a8"): Gate((_HOPPER, _HOPPER), None, "vLLM's W4A8 kernel is for Hopper only"),
        ("vllm", "kv-int8"): Gate((_TURING, _NEWEST), None, "vLLM reads INT8 KV by its Triton attention backend"),
        ("sglang", "fp8-w8a8"): Gate((_ADA, _NEWEST), (_AMPERE, (8, 8)), "FP8 tensor cores came with Ada and Hopper"),
        ("sglang", "kv-int8"): Gate((_AMPERE, _NEWEST), None, "SGLang reads INT8 KV by its Triton backend, no MLA"),
        ("sglang", "nvfp4"): Gate((_BLACKWELL, _NEWEST), (_AMPERE, _HOPPER), "SGLang's FP4 kernels are for Blackwell"),
        ("trtllm", "int8-w8a8"): Gate(None, None, "TensorRT-LLM's recipes hold no INT8 W8A8"),
        ("trtllm", "w8a16"): Gate(None, None, "TensorRT-LLM's recipes hold no 8-bit weight-only"),
        ("trtllm", "kv-int8"): Gate(None, None, "TensorRT-LLM's recipes hold no INT8 KV cache"),
        ("trtllm", "fp8-w8a8"): Gate((_ADA, _NEWEST), None, "TensorRT-LLM's FP8 needs Ada or newer"),
        ("trtllm", "w4a16"): Gate((_AMPERE, _HOPPER), None, "TensorRT-LLM lists W4A16 for Ampere, Ada and Hopper"),
        ("trtllm", "w4a8"): Gate((_ADA, _HOPPER), None, "TensorRT-LLM lists W4A8 for Ada and Hopper"),
        ("trtllm", "nvfp4"): Gate((_BLACKWELL, _NEWEST), None, "TensorRT-LLM's NVFP4 needs Blackwell"),
        ("trtllm", "mxfp4"): Gate((_BLACKWELL, _NEWEST), None, "TensorRT-LLM lists MXFP4 for Blackwell"),
        ("trtllm", "kv-fp8"): Gate((_AMPERE, _NEWEST), None, "TensorRT-LLM's FP8 KV cache needs Ampere or newer"),
        ("tgi", "fp8-w8a8"): Gate((_ADA, _NEWEST), (_AMPERE, (8, 8)), "FP8 tensor cores came with Ada and Hopper"),
        ("tgi", "w4a8"): Gate(None, None, "TGI has no W4A8"),
        ("tgi", "nvfp4"): Gate(None, None, "TGI has no NVFP4"),
        ("tgi", "mxfp4"): Gate(None, None, "TGI has no MXFP4"),
        ("tgi", "kv-int8"): Gate(None, None, "TGI's KV cache has FP8 types only"),
        ("lmdeploy", "nvfp4"): Gate(None, None, "LMDeploy has no NVFP4"),
    }
)

_NO_AMD: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("vllm", "int8-w8a8"): "vLLM lists INT8 W8A8 for NVIDIA GPUs and CPUs only",
        ("vllm", "w8a16"): "vLLM lists its weight-only kernels for NVIDIA and Intel GPUs only",
        ("vllm", "w4a16"): "vLLM lists AWQ and GPTQ for NVIDIA and Intel GPUs only",
    }
)


def support(scheme: str, gpu: Gpu | None, engine: str | None) -> Support:
    """How `engine` runs `scheme` on `gpu`; None for an engine not known asks the hardware alone.

    Raises ValueError for a scheme that is not in the table.
    """
    known = find_scheme(scheme)
    if engine == "llamacpp":
        return _llama_cpp(known)
    if known.gguf:
        if engine is None:
            return Support(Level.NATIVE, f"{known.name} runs wherever llama.cpp does")
        return Support(
            Level.UNSUPPORTED, f"{known.name} is a llama.cpp file type; {engine} serves it experimentally at best"
        )
    if gpu is None:
        return Support(Level.UNKNOWN, "the GPU is not in the fact table: set deployments[].gpu to one that is")
    if gpu.compute_capability is None:
        return _by_rates(known, gpu, engine)
    gate = _HARDWARE[scheme] if engine is None else _ENGINE.get((engine, scheme), _HARDWARE[scheme])
    return _by_capability(known, gpu, gpu.compute_capability, gate)


def _llama_cpp(scheme: Scheme) -> Support:
    if scheme.gguf:
        return Support(Level.NATIVE, f"llama.cpp serves {scheme.name} on any GPU or CPU")
    if scheme.name == "kv-int8":
        return Support(Level.NATIVE, "llama.cpp's KV cache type q8_0")
    if scheme.name == "mxfp4":
        return Support(Level.WEIGHT_ONLY, "llama.cpp reads MXFP4 blocks of MoE files and computes at higher precision")
    return Support(Level.UNSUPPORTED, f"llama.cpp serves GGUF types, not {scheme.name}")


def _by_capability(scheme: Scheme, gpu: Gpu, capability: Capability, gate: Gate) -> Support:
    if _within(capability, gate.native):
        if scheme.compute == "int8" and gpu.int8_ops_per_s is not None and gpu.int8_ops_per_s < gpu.bf16_flops_per_s:
            return Support(Level.UNSUPPORTED, f"{_rate('INT8', gpu.int8_ops_per_s, gpu)}: use FP8")
        return Support(Level.NATIVE, f"{scheme.name} runs natively on {gpu.name}")
    if _within(capability, gate.weight_only):
        only = "only the cache shrinks" if scheme.kv_bits is not None else "only the weights shrink"
        return Support(Level.WEIGHT_ONLY, f"on {gpu.name} {only}, arithmetic stays 16-bit: {gate.why}")
    return Support(Level.UNSUPPORTED, f"{scheme.name} does not run on {gpu.name}: {gate.why}")


def _within(capability: Capability, span: tuple[Capability, Capability] | None) -> bool:
    return span is not None and span[0] <= capability <= span[1]


def _by_rates(scheme: Scheme, gpu: Gpu, engine: str | None) -> Support:
    """AMD and Intel: native where the table has a rate above BF16's."""
    refused = None if engine is None or gpu.name.startswith("Intel") else _NO_AMD.get((engine, scheme.name))
    if refused is not None:
        return Support(Level.UNSUPPORTED, f"{scheme.name} does not run on {gpu.name}: {refused}")
    if scheme.name in ("w8a16", "w4a16"):
        return Support(Level.NATIVE, f"{scheme.name} needs no special units; kernels for {gpu.name} differ by engine")
    if scheme.name in ("w4a8", "kv-int8"):
        return Support(Level.UNSUPPORTED, f"no engine's {scheme.name} kernel is known for {gpu.name}")
    if scheme.name == "nvfp4":
        if engine == "sglang" and gpu.architecture.startswith("CDNA"):
            return Support(Level.WEIGHT_ONLY, f"on {gpu.name} only the weights shrink: NVFP4 is NVIDIA's format")
        return Support(Level.UNSUPPORTED, f"NVFP4 does not run on {gpu.name}: it is NVIDIA's format")
    if scheme.name == "mxfp4" and gpu.fp4_flops_per_s is None and gpu.fp8_flops_per_s is not None:
        return Support(Level.WEIGHT_ONLY, f"{gpu.name} has no FP4 units: only the weights shrink")
    word, rate = {
        "int8-w8a8": ("INT8", gpu.int8_ops_per_s),
        "fp8-w8a8": ("FP8", gpu.fp8_flops_per_s),
        "kv-fp8": ("FP8", gpu.fp8_flops_per_s),
        "mxfp4": ("FP4", gpu.fp4_flops_per_s),
    }[scheme.name]
    if rate is None:
        return Support(Level.UNSUPPORTED, f"{gpu.name} has no {word} units")
    if rate <= gpu.bf16_flops_per_s:
        return Support(Level.WEIGHT_ONLY, f"{_rate(word, rate, gpu)}: only bytes shrink")
    return Support(Level.NATIVE, f"{scheme.name} runs natively on {gpu.name}")


def _rate(word: str, rate: float, gpu: Gpu) -> str:
    return (
        f"{gpu.name} does {rate / 1e12:g} T {word} operations per second against {gpu.bf16_flops_per_s / 1e12:g} BF16"
    )
