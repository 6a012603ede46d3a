"""A model's shape where only its name and parameter counts are known: the nearest known model's, scaled."""

from __future__ import annotations

import re
from dataclasses import replace
from math import log

from analyzer.facts.model_shape import Experts, ModelShape
from analyzer.facts.models import MODELS, find_model

_FAMILY = re.compile(r"[a-z]+")
SAME_SIZE = 0.3
"""Parameter counts whose logarithms differ by less stand for one size class of a family."""
MIXTURE = 0.85
"""Below this share of active parameters a model is a mixture of experts."""
EXPERTS_PER_TOKEN = 8
EXPERT_SHARE = 0.5
"""Share of active parameters that sits in routed experts; DeepSeek-V3 0.6, Qwen3-30B-A3B 0.5, gpt-oss-120B 0.4."""


def shape_of(name: str, parameters: float, active: float) -> tuple[ModelShape, bool]:
    """The shape and whether it is the model's own. `parameters` and `active` are counts, not billions.

    Raises ValueError unless 0 < active <= parameters.
    """
    known = find_model(name)
    if known is not None:
        return known, True
    if not 0 < active <= parameters:
        raise ValueError(f"{name!r}: {parameters:g} parameters with {active:g} active cannot be")
    if active < MIXTURE * parameters:
        return _mixture(parameters, active), False
    return _dense(name, parameters), False


def _dense(name: str, parameters: float) -> ModelShape:
    def distance(shape: ModelShape) -> float:
        return abs(log(shape.parameters / parameters))

    dense = [shape for shape in MODELS if shape.experts is None]
    family = [shape for shape in dense if _family(shape.name) == _family(name) and distance(shape) < SAME_SIZE]
    if family:
        return min(family, key=distance)
    grouped = [shape for shape in dense if shape.kv_heads < shape.attention_heads]
    return replace(min(grouped, key=distance), parameters=int(parameters))


def _mixture(parameters: float, active: float) -> ModelShape:
    mixtures = [shape for shape in MODELS if shape.experts is not None]
    nearest = min(mixtures, key=lambda shape: abs(log(shape.parameters / parameters)))
    share = EXPERT_SHARE * active / parameters
    count = max(EXPERTS_PER_TOKEN + 1, round(EXPERTS_PER_TOKEN / share))
    each = (parameters - active) / (count - EXPERTS_PER_TOKEN) / nearest.layers
    inner = max(1, round(each / (3 * nearest.hidden_size)))
    experts = Experts(count, EXPERTS_PER_TOKEN, inner, nearest.layers)
    return replace(nearest, parameters=int(parameters), experts=experts)


def _family(name: str) -> str:
    found = _FAMILY.match(name.lower().rsplit("/", maxsplit=1)[-1])
    return "" if found is None else found.group(0)
