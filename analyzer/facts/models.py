"""Known language models and their look-up by served name, repository or path: an exact model or None."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from analyzer.facts.model_shape import Experts, Latent, ModelShape
from analyzer.facts.models_llama import LLAMA
from analyzer.facts.models_mistral import MISTRAL
from analyzer.facts.models_other import OTHER
from analyzer.facts.models_qwen import QWEN

MODELS: tuple[ModelShape, ...] = (*LLAMA, *QWEN, *MISTRAL, *OTHER)

DECORATION = frozenset(
    {
        *("meta", "instruct", "chat", "it", "base", "hf", "thinking", "unsloth", "latest"),
        *("gguf", "safetensors", "ud", "imatrix", "i1", "awq", "gptq", "marlin", "bnb", "eetq", "hqq", "torchao"),
        *("int4", "int8", "4bit", "8bit", "fp4", "nvfp4", "mxfp4", "fp8", "fp16", "bf16", "f16", "fp32", "f32"),
        *("w4a16", "w8a16", "w8a8", "w4a8", "quantized", "autoround", "g128", "128g", "g32", "32g"),
        *("dynamic", "static", "block", "channel", "tensor", "per", "kv"),
    }
)
"""Words that say how a model was tuned or stored, not which it is. Any other word must belong to a known name."""

_GGUF_TYPE = re.compile(r"(?<![a-z0-9])i?q\d[-_](?:[01]|k(?:[-_](?:xl|xs|[sml]))?|xxs|xs|nl|[sm])(?![a-z0-9])")
_SHARD = re.compile(r"-\d{5}-of-\d{5}")
_SEPARATORS = re.compile(r"[^a-z0-9.]+|(?<!\d)\.|\.(?!\d)")
_GLUED_VERSION = re.compile(r"(llama|qwen|gemma|phi|smollm)(\d(?:\.\d+)?)")


def _file_name(name: str) -> str:
    """The part of a path that names the model; the repository's where the path lies in a Hugging Face cache."""
    parts = [part for part in re.split(r"[/\\]", name.strip()) if part]
    for part in parts:
        if part.lower().startswith("models--"):
            return part.rsplit("--", maxsplit=1)[-1]
    return parts[-1] if parts else ""


def _identity(name: str) -> tuple[str, ...]:
    """The words that tell models apart, in their order: `("llama", "3.1", "8b")`."""
    text = _GGUF_TYPE.sub(" ", _SHARD.sub(" ", _file_name(name).lower()))
    words: list[str] = []
    for word in _SEPARATORS.split(text):
        glued = _GLUED_VERSION.fullmatch(word)
        words.extend((word,) if glued is None else glued.groups())
    return tuple(word for word in words if word and word not in DECORATION)


def _index() -> Mapping[tuple[str, ...], ModelShape]:
    found: dict[tuple[str, ...], ModelShape] = {}
    for model in MODELS:
        for name in model.names:
            if found.setdefault(_identity(name), model) is not model:
                raise ValueError(f"{name!r} names two models: {found[_identity(name)].name} and {model.name}")
    return MappingProxyType(found)


_BY_IDENTITY = _index()


def find_model(name: str) -> ModelShape | None:
    """The model that a served name, a repository or a path means, or None.

    Only the last part of a path counts. Every word must be known: a size, a version or a word such as `distill`, `vl`
    or `eagle` that no entry has gives None rather than the nearest model, and so does a fine-tune's own name.
    """
    return _BY_IDENTITY.get(_identity(name))


__all__ = ["MODELS", "Experts", "Latent", "ModelShape", "find_model"]
