"""The quantization schemes: what each stores, what it computes in, and what it needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Scheme:
    """One quantization scheme.

    `weight_bits` is what a quantized weight takes, scales and zero points included; `overhead_bits` is their part of
    it. It is 16 where the scheme leaves the weights alone. `activation_bits` is what the arithmetic reads: 16 means
    that only bytes shrink. `kv_bits` is None where the scheme leaves the KV cache alone. `compute` names the
    arithmetic's type, a key of the GPU table's rates. `quantizes_embeddings` says whether embeddings and `lm_head` are
    quantized too: `weight_bits` is then the mean over the whole file. `weight_only_as` is the scheme whose
    published figures apply where this one falls back to 16-bit arithmetic (`Level.WEIGHT_ONLY`).
    """

    name: str
    title: str
    weight_bits: float
    overhead_bits: float
    activation_bits: int
    kv_bits: float | None
    compute: str
    quantizes_embeddings: bool
    needs: str
    note: str = ""
    weight_only_as: str | None = None

    @property
    def gguf(self) -> bool:
        """A GGUF file type, which llama.cpp serves."""
        return self.name.startswith("Q")


_LLAMA_CPP = "llama.cpp"
_LLAMA_8B = "mean over the file of Llama-3.1-8B, github ggml-org/llama.cpp@311c2c9 tools/quantize/README.md"
_GROUP_128 = "a 16-bit scale and a 16-bit zero point per group of 128; 4.125 bits where symmetric"


def _gguf(name: str, weight_bits: float, nominal_bits: int, note: str) -> Scheme:
    return Scheme(
        name=name,
        title=f"GGUF {name}",
        weight_bits=weight_bits,
        overhead_bits=weight_bits - nominal_bits,
        activation_bits=16,
        kv_bits=None,
        compute="bf16",
        quantizes_embeddings=True,
        needs=_LLAMA_CPP,
        note=note,
    )


def _kv(name: str, title: str, kv_bits: float, needs: str, note: str) -> Scheme:
    return Scheme(name, title, 16.0, 0.0, 16, kv_bits, "bf16", False, needs, note)


_ALL = (
    Scheme(
        name="int8-w8a8",
        title="INT8 weights and activations",
        weight_bits=8.0,
        overhead_bits=0.0,
        activation_bits=8,
        kv_bits=None,
        compute="int8",
        quantizes_embeddings=False,
        needs="INT8 tensor cores at full rate: Turing to Hopper",
        note="a scale per output channel is below 0.01 bits",
    ),
    Scheme(
        name="fp8-w8a8",
        title="FP8 weights and activations",
        weight_bits=8.0,
        overhead_bits=0.0,
        activation_bits=8,
        kv_bits=None,
        compute="fp8",
        quantizes_embeddings=False,
        needs="FP8 tensor cores: Ada, Hopper, Blackwell, MI300 and newer",
        note="a scale per tensor, channel or 128 x 128 block is below 0.01 bits",
        weight_only_as="w8a16",
    ),
    Scheme(
        name="w8a16",
        title="8-bit weights, 16-bit arithmetic",
        weight_bits=8.125,
        overhead_bits=0.125,
        activation_bits=16,
        kv_bits=None,
        compute="bf16",
        quantizes_embeddings=False,
        needs="a weight-only kernel: Turing and newer",
        note="a 16-bit scale per group of 128; 8.0 bits with a scale per channel",
    ),
    Scheme(
        name="w4a16",
        title="4-bit weights, 16-bit arithmetic (AWQ, GPTQ)",
        weight_bits=4.25,
        overhead_bits=0.25,
        activation_bits=16,
        kv_bits=None,
        compute="bf16",
        quantizes_embeddings=False,
        needs="a weight-only kernel: Turing and newer",
        note=_GROUP_128,
    ),
    Scheme(
        name="w4a8",
        title="4-bit weights, 8-bit activations",
        weight_bits=4.25,
        overhead_bits=0.25,
        activation_bits=8,
        kv_bits=None,
        compute="int8",
        quantizes_embeddings=False,
        needs="a W4A8 kernel, which few engines have: mostly Hopper",
        note=f"{_GROUP_128}; activations are INT8 or FP8 by kernel",
    ),
    Scheme(
        name="nvfp4",
        title="NVFP4 weights and activations",
        weight_bits=4.5,
        overhead_bits=0.5,
        activation_bits=4,
        kv_bits=None,
        compute="fp4",
        quantizes_embeddings=False,
        needs="FP4 tensor cores: Blackwell",
        note="an FP8 scale per group of 16",
        weight_only_as="w4a16",
    ),
    Scheme(
        name="mxfp4",
        title="MXFP4 weights",
        weight_bits=4.25,
        overhead_bits=0.25,
        activation_bits=8,
        kv_bits=None,
        compute="fp4",
        quantizes_embeddings=False,
        needs="FP4 tensor cores: Blackwell, MI355X",
        note="an 8-bit exponent per group of 32; activations are FP8 or FP4 by kernel",
        weight_only_as="w4a16",
    ),
    _kv("kv-fp8", "FP8 KV cache", 8.0, "an attention kernel that reads FP8", "a scale per tensor or head"),
    _kv("kv-int8", "INT8 KV cache", 8.25, "an attention kernel that reads INT8", "16-bit scale and zero per 128"),
    _gguf("Q8_0", 8.5, 8, "blocks of 32 with a 16-bit scale: 8 + 16/32"),
    _gguf("Q6_K", 6.5625, 6, "256 weights with 16 8-bit scales and a 16-bit scale: 6 + 144/256"),
    _gguf("Q5_K_M", 5.7036, 5, f"a mixture of types; {_LLAMA_8B}"),
    _gguf("Q4_K_M", 4.8944, 4, f"a mixture of types; {_LLAMA_8B}"),
    _gguf("Q4_0", 4.5, 4, "blocks of 32 with a 16-bit scale: 4 + 16/32; output weights are usually Q6_K"),
    _gguf("Q4_1", 5.0, 4, "blocks of 32 with a 16-bit scale and minimum: 4 + 32/32; output weights are usually Q6_K"),
)

SCHEMES: Mapping[str, Scheme] = MappingProxyType({scheme.name: scheme for scheme in _ALL})
"""Every scheme by name."""


def find_scheme(name: str) -> Scheme:
    """The scheme of that name. Raises ValueError, naming those there are, for any other."""
    scheme = SCHEMES.get(name)
    if scheme is None:
        raise ValueError(f"no quantization scheme {name!r}; there are {', '.join(SCHEMES)}")
    return scheme
