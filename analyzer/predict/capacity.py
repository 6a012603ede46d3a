"""How many sequences of a queue fit into KV memory at once: what a smaller model frees when memory is the limit."""

from __future__ import annotations

from analyzer.predict.formats import Format
from analyzer.predict.stepcost import Machine

USED_SHARE = 0.9
"""vLLM's and SGLang's usual share of GPU memory."""
RESERVED_BYTES = 2.5e9
"""Activations of the largest step, CUDA graphs and the driver's context, per GPU."""
DRIVER_RATIO = 1.04
"""What drivers report over the data sheet's GB, at least."""


def sequences_at_once(machine: Machine, form: Format, sequence_tokens: float, waiting: float) -> float:
    """Sequences of `sequence_tokens` that run together out of `waiting`; all of them where the GPU is not known."""
    if machine.gpu is None:
        return waiting
    shape = machine.shape
    held = machine.gpu.memory_bytes * machine.gpus * DRIVER_RATIO * USED_SHARE
    weights = shape.weight_bytes(form.weight_bits, embeddings_quantized=form.embeddings_quantized)
    room = held - weights - RESERVED_BYTES * machine.gpus
    fitting = room / (shape.kv_bytes_per_token(form.kv_element_bytes) * sequence_tokens)
    return min(waiting, max(1.0, fitting))
