"""One published measurement: its setting, which may be used to predict, and its outcome, which may not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite

NOT_COMPARABLE = frozenset(
    {
        *("open_loop", "saturated_base", "queueing_dominated", "batch_not_equal", "engine_differs"),
        *("gpu_count_differs", "source_internally_inconsistent", "baseline_outlier_in_source"),
        *("non_marlin_gptq_kernel", "config_differs_ep", "max_batch_each", "tuning_differs"),
        *("other_optimisations_bundled", "gpu_not_stated", "image_or_date_differs"),
        "quant_runs_used_enforce_eager_base_not_stated",
    }
)
"""Flags of rows whose two sides differ in more than the scheme."""
_ENGINE_FLAGS = ("hf_transformers", "bnb")
_BITSANDBYTES = "bitsandbytes"

_ENGINES = (
    *(("llama.cpp", "llamacpp"), ("lmdeploy", "lmdeploy"), ("sglang", "sglang"), ("tensorrt", "trtllm")),
    *(("trtllm", "trtllm"), ("vllm", "vllm"), ("torchao", "torchao"), ("transformers", "transformers")),
    *(("autogptq", "transformers"), ("tgi", "tgi")),
)
_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")


@dataclass(frozen=True, slots=True)
class Row:
    """A setting with its baseline figure. Numbers are None where the source does not give one.

    `source` and `flags` choose and group rows; they predict nothing. `engine` is the product's name for it, or the
    source's own word in lower case.
    """

    id: str
    source: str
    flags: frozenset[str]
    gpu: str
    gpus: int
    tensor_parallel: int
    model: str
    parameters: float
    active: float
    engine: str
    engine_version: tuple[int, ...] | None
    base_precision: str
    scheme: str
    detail: str
    input_tokens: float | None
    output_tokens: float | None
    load_type: str
    load: float | None
    phase: str
    metric: str
    unit: str
    baseline: float | None

    @property
    def core(self) -> bool:
        """Whether its two sides differ in the scheme alone."""
        flagged = any(flag.startswith(_ENGINE_FLAGS) for flag in self.flags)
        return not (flagged or self.flags & NOT_COMPARABLE or _BITSANDBYTES in self.source.lower())


@dataclass(frozen=True, slots=True)
class Measured:
    """A row with its measured speed-up, None where it is blank."""

    row: Row
    speedup: float | None


def read(raw: Mapping[str, str]) -> Measured:
    """One line of the file. Raises ValueError, naming the column, where a needed one is absent or unusable."""
    for column in ("id", "gpu", "model", "engine", "scheme", "metric"):
        if not raw.get(column):
            raise ValueError(f"column {column!r} is missing or blank")
    tensor_parallel = _number(raw, "tp")
    gpus = _number(raw, "gpu_count")
    parameters = _number(raw, "params_b")
    if parameters is None or parameters <= 0:
        raise ValueError("column 'params_b' must be a positive number")
    active = _number(raw, "active_b")
    row = Row(
        id=raw["id"],
        source=raw.get("source") or "",
        flags=frozenset(flag for flag in (raw.get("flags") or "").split(";") if flag),
        gpu=raw["gpu"],
        gpus=1 if gpus is None else max(1, int(gpus)),
        tensor_parallel=1 if tensor_parallel is None else max(1, int(tensor_parallel)),
        model=raw["model"],
        parameters=parameters * 1e9,
        active=(parameters if active is None else active) * 1e9,
        engine=_engine(raw["engine"]),
        engine_version=_version(raw.get("engine_version") or ""),
        base_precision=(raw.get("base_precision") or "").upper(),
        scheme=raw["scheme"],
        detail=(raw.get("scheme_detail") or "").lower(),
        input_tokens=_number(raw, "input_len"),
        output_tokens=_number(raw, "output_len"),
        load_type=raw.get("load_type") or "",
        load=_number(raw, "load"),
        phase=raw.get("phase") or "",
        metric=raw["metric"].lower(),
        unit=raw.get("unit") or "",
        baseline=_number(raw, "baseline"),
    )
    outcome = _number(raw, "speedup")
    return Measured(row, outcome if outcome is not None and outcome > 0 else None)


def _number(raw: Mapping[str, str], column: str) -> float | None:
    try:
        value = float(raw.get(column) or "")
    except ValueError:
        return None
    return value if isfinite(value) else None


def _engine(text: str) -> str:
    lower = text.lower()
    for word, name in _ENGINES:
        if word in lower:
            return name
    return lower


def _version(text: str) -> tuple[int, ...] | None:
    found = _VERSION.match(text)
    return None if found is None else tuple(int(part) for part in found.groups() if part is not None)
