"""Ollama: no metrics page at all; `/api/ps` names the models that are loaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from collector.scrape.bare import BareEngine
from collector.scrape.facts import PARALLEL
from collector.scrape.identity import member, text, whole

_FLOAT_TYPES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}


def _loaded(answer: Any) -> Mapping[str, Any] | None:
    """`/api/ps`: the one model that is loaded; nothing of several, whose shares nobody tells.

    Its `size` is no weight size: it counts the KV cache and buffers too.
    """
    models = member(answer, "models")
    if not isinstance(models, list):
        return None
    if len(models) != 1:
        return {}
    level = text(member(models[0], "details", "quantization_level"))
    dtype = None if level is None else _FLOAT_TYPES.get(level.upper())
    return {
        "model_path": text(member(models[0], "name")),
        "dtype": dtype,
        "quantization": None if dtype is not None or level is None or level == "unknown" else level.upper(),
        "max_context_tokens": whole(member(models[0], "context_length")),
    }


ENGINE = BareEngine(
    name="ollama",
    title="Ollama",
    greeting="Ollama is running",
    state_path="/api/ps",
    version_path="/api/version",
    read=_loaded,
    usual_ports=(11434,),
    evidence=(
        "exposes nothing; GPU counters only: the utilization of GPUs joined to it (label gpu_uuid) is its busy time",
        "no phase mix, batch or tokens per second, so no verdict; llama-server --metrics has them for the same models",
    ),
    not_told=PARALLEL | {"kv_dtype", "weight_bytes"},
)
