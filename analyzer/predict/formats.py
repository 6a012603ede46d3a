"""A scheme as the server would run it here: bits per weight and KV element, arithmetic type, and kind of kernel."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from analyzer.facts.scheme_table import Scheme, find_scheme


class Kernel(StrEnum):
    """Kinds of matrix-product kernels that differ in how fast they read, compute and launch."""

    PLAIN = "plain"
    """16 bits."""
    WEIGHT_ONLY = "weight_only"
    """Fused: unpacks weights in registers (Marlin, Machete, TensorRT-LLM's)."""
    PLAIN_4BIT = "plain_4bit"
    """vLLM's AWQ kernel before it could use Marlin (0.5.3)."""
    TORCH_4BIT = "torch_4bit"
    """torchao's 4-bit kernels."""
    SCALED = "scaled"
    """8-bit products over activations quantized on the fly."""
    FP4 = "fp4"
    GGUF = "gguf"
    UNFUSED = "unfused"
    """No kernel: weights are expanded in memory in every step."""


@dataclass(frozen=True, slots=True)
class Format:
    """How weights and KV cache are stored and computed with.

    `weight_bits` holds scales; `expanded_bytes` is what a weight takes when a kernel that is not fused writes it out.
    """

    weight_bits: float
    compute: str
    kernel: Kernel
    kv_element_bytes: float = 2.0
    embeddings_quantized: bool = False
    expanded_bytes: float = 0.0

    @property
    def quantizes_activations(self) -> bool:
        """Whether each layer's input is quantized before the product."""
        return self.compute != "bf16"


_KERNEL_OF = {"fp8": Kernel.SCALED, "int8": Kernel.SCALED, "fp4": Kernel.FP4}


def unquantized(kv_element_bytes: float = 2.0, weight_bits: float = 16.0) -> Format:
    """BF16 or FP16 weights (32 bits: FP32)."""
    return Format(weight_bits, "bf16", Kernel.PLAIN, kv_element_bytes)


def format_of(name: str, before: Format, *, weight_only: bool = False) -> Format:
    """The format under a scheme, or several joined by `+` (`w4a16+kv-fp8`), for a server that runs `before` now.

    `weight_only`: the GPU lacks the scheme's units, so only bytes shrink. Raises ValueError for an unknown scheme.
    """
    after = before
    for part in name.split("+"):
        scheme = find_scheme(part)
        if scheme.kv_bits is not None:
            after = replace(after, kv_element_bytes=scheme.kv_bits / 8)
        else:
            after = _weights(scheme, after, weight_only)
    return after


def _weights(scheme: Scheme, before: Format, weight_only: bool) -> Format:
    kernel = Kernel.GGUF if scheme.gguf else _KERNEL_OF.get(scheme.compute, Kernel.WEIGHT_ONLY)
    compute = scheme.compute
    if weight_only and not scheme.gguf:
        kernel, compute = Kernel.WEIGHT_ONLY, "bf16"
    return Format(scheme.weight_bits, compute, kernel, before.kv_element_bytes, scheme.quantizes_embeddings)
