"""What a server's own word for its quantization means: `fp8`, `awq_marlin`, `modelopt_fp4`, `Q4_K - Medium`, ..."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from analyzer.facts.scheme_table import SCHEMES

_UNQUANTIZED = frozenset(
    {
        "all_f32",
        "auto",
        "bf16",
        "bfloat16",
        "f16",
        "f32",
        "float",
        "float16",
        "float32",
        "fp16",
        "fp32",
        "half",
        "none",
        "null",
        "unquantized",
    }
)

_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "fp8": "fp8-w8a8",
        "w8a8_fp8": "fp8-w8a8",
        "fbgemm_fp8": "fp8-w8a8",
        "ptpc_fp8": "fp8-w8a8",
        "deepgemm_fp8": "fp8-w8a8",
        "modelopt_fp8": "fp8-w8a8",
        "fp8_block_scales": "fp8-w8a8",
        "fp8_per_channel_per_token": "fp8-w8a8",
        "w8a8_int8": "int8-w8a8",
        "blockwise_int8": "int8-w8a8",
        "smoothquant": "int8-w8a8",
        "smooth_quant": "int8-w8a8",
        "w8a8_sq_per_channel": "int8-w8a8",
        "w8a8_sq_per_tensor_plugin": "int8-w8a8",
        "w8a16": "w8a16",
        "w8a16_gptq": "w8a16",
        "experts_int8": "w8a16",
        "eetq": "w8a16",
        "fp8_pb_wo": "w8a16",
        "awq": "w4a16",
        "awq_marlin": "w4a16",
        "gptq": "w4a16",
        "gptq_marlin": "w4a16",
        "w4a16": "w4a16",
        "w4a16_awq": "w4a16",
        "w4a16_gptq": "w4a16",
        "w4a8": "w4a8",
        "w4a8_awq": "w4a8",
        "w4afp8": "w4a8",
        "qqq": "w4a8",
        "qoq": "w4a8",
        "nvfp4": "nvfp4",
        "modelopt_fp4": "nvfp4",
        "petit_nvfp4": "nvfp4",
        "mxfp4": "mxfp4",
        "gpt_oss_mxfp4": "mxfp4",
        "mxfp4_moe": "mxfp4",
    }
)
"""Words with one meaning. `gptq` and `awq` without a width are taken as 4 bits, which nearly all such files have."""

_SAYS_NOTHING_OF_BITS = frozenset(
    {
        "4bit",
        "8bit",
        "aqlm",
        "auto_round",
        "autoround",
        "bitblas",
        "bitsandbytes",
        "bnb",
        "compressed_tensors",
        "deepspeedfp",
        "exl2",
        "fp4",
        "gguf",
        "gptq_bitblas",
        "gptq_marlin_24",
        "hqq",
        "inc",
        "int4",
        "int8",
        "ipex",
        "marlin",
        "mixed_precision",
        "modelopt",
        "modelopt_mixed",
        "modelopt_mxfp8",
        "moe_wna16",
        "mxfp8",
        "nf4",
        "quantized",
        "quark",
        "torchao",
        "w8a8",
    }
)

_GPTQ_8_BIT = re.compile(r"gptq.*(int8|8bit|w8a16)|(int8|8bit|w8a16).*gptq")
_GGUF = re.compile(r"(?<![a-z0-9])i?q\d_(?:[01]|k(?:_(?:xl|xs|[sml]))?|xxs|xs|nl|[sm])(?![a-z0-9])")
_LONG_SIZE = re.compile(r"(?<=_k)_(s)mall|(?<=_k)_(m)edium|(?<=_k)_(l)arge")
_SEPARATORS = re.compile(r"[^a-z0-9]+")
_BY_LOWER = {
    scheme.name.lower().replace("-", "_"): scheme.name for scheme in SCHEMES.values() if scheme.kv_bits is None
}
_KV_NAMES = frozenset({"kv_fp8", "kv_int8"})
_KV = {
    "fp8": "kv-fp8",
    "fp8_e4m3": "kv-fp8",
    "fp8_e4m3fn": "kv-fp8",
    "fp8_e5m2": "kv-fp8",
    "fp8_inc": "kv-fp8",
    "fp8_ds_mla": "kv-fp8",
    "fp8_per_token_head": "kv-fp8",
    "int8": "kv-int8",
    "int8_per_token_head": "kv-int8",
    "q8_0": "kv-int8",
}


@lru_cache(maxsize=256)
def scheme_of(quantization: str) -> str | None:
    """The weight scheme that a server's word or a checkpoint's name means; None when it means none or is ambiguous.

    None therefore does not say "not quantized": ask `is_quantized`. `compressed-tensors`, `bitsandbytes`, `w8a8` and
    `modelopt` name a container or a family with several schemes.
    """
    text = _normal(quantization)
    meaning = _WORDS.get(text, _BY_LOWER.get(text))
    if meaning is not None or text in _KV_NAMES or text in _SAYS_NOTHING_OF_BITS:
        return meaning
    if _GPTQ_8_BIT.search(text) is not None:
        return "w8a16"
    words = [word for word in (*_WORDS, *_BY_LOWER) if _holds(text, word)]
    longest = [word for word in words if not any(word != other and _holds(other, word) for other in words)]
    found = {_WORDS.get(word, _BY_LOWER.get(word, word)) for word in (*longest, *_GGUF.findall(text))}
    only = found.pop() if len(found) == 1 else None
    return only if only in SCHEMES else None


@lru_cache(maxsize=256)
def is_quantized(quantization: str) -> bool | None:
    """Whether the word says that weights are quantized; None for a word that is not known."""
    text = _normal(quantization)
    if text == "" or text in _UNQUANTIZED:
        return False
    if text in _KV_NAMES:
        return None
    if scheme_of(quantization) is not None or _GGUF.search(text) is not None:
        return True
    words = (*_WORDS, *_SAYS_NOTHING_OF_BITS)
    return True if any(_holds(text, word) for word in words) else None


def kv_scheme_of(kv_dtype: str) -> str | None:
    """The KV scheme that a cache type means; None for 16 bits, `auto` and words not known."""
    return _KV.get(_normal(kv_dtype))


def schemes_named(quantization: str | None, kv_dtype: str | None) -> frozenset[str]:
    """The schemes that a server's words for its weights and its cache mean: those that can be named."""
    weights = None if quantization is None else scheme_of(quantization)
    cache = None if kv_dtype is None else kv_scheme_of(kv_dtype)
    return frozenset(one for one in (weights, cache) if one is not None)


def _normal(text: str) -> str:
    """Lower case, one `_` between words, llama.cpp's `Q4_K - Medium (guessed)` as `q4_k_m`."""
    words = _SEPARATORS.sub("_", text.lower()).strip("_").removesuffix("_guessed")
    return _LONG_SIZE.sub(lambda match: f"_{match.group(1) or match.group(2) or match.group(3)}", words)


def _holds(text: str, word: str) -> bool:
    """Whether `word` stands in `text` between separators."""
    return f"_{word}_" in f"_{text}_"
