"""KV memory after a change of formats: freed weight bytes become KV blocks, and smaller elements hold more tokens."""

from __future__ import annotations

from analyzer.facts.model_shape import ModelShape
from analyzer.predict.formats import Format


def kv_tokens_after(kv_capacity_tokens: float, shape: ModelShape, before: Format, after: Format) -> float:
    """KV tokens that fit after the change, the memory given to the server as it is; 0 where weights do not fit."""
    held = shape.kv_bytes_per_token(before.kv_element_bytes) * kv_capacity_tokens
    freed = _weights(shape, before) - _weights(shape, after)
    return max(0.0, (held + freed) / shape.kv_bytes_per_token(after.kv_element_bytes))


def _weights(shape: ModelShape, form: Format) -> float:
    return shape.weight_bytes(form.weight_bits, embeddings_quantized=form.embeddings_quantized)
