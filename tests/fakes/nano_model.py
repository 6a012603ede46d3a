"""Writes a random language model, of 200 KB unless told, that a real llama.cpp serves: nonsense out, true counters."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np

CONTEXT = 8192


@dataclass(frozen=True, slots=True)
class Shape:
    """How large the model is: widths of its layers, how many there are, and attention heads in each."""

    embedding: int = 64
    layers: int = 2
    heads: int = 4
    feed_forward: int = 128


NANO = Shape()


def write_nano_model(
    path: Path,
    seed: int = 7,
    shape: Shape = NANO,
    scheme: gguf.GGMLQuantizationType = gguf.GGMLQuantizationType.F16,
) -> None:
    """A llama-architecture GGUF with a vocabulary of bytes. `scheme`: that of every matrix; 32 must divide its rows."""
    random = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_name("nano")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(shape.embedding)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.heads)
    writer.add_rope_dimension_count(shape.embedding // shape.heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_file_type(gguf.LlamaFileType[f"MOSTLY_{scheme.name}"])
    tokens, types = _vocabulary()
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(["a b"])  # llama.cpp refuses an empty list
    writer.add_bos_token_id(256)
    writer.add_eos_token_id(257)
    for name, size in _tensors(len(tokens), shape).items():
        if name.endswith("norm.weight"):
            writer.add_tensor(name, np.ones(size, dtype=np.float32))
        else:
            weights = (random.standard_normal(size) * 0.02).astype(np.float32)
            writer.add_tensor(name, gguf.quants.quantize(weights, scheme), raw_dtype=scheme)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _vocabulary() -> tuple[list[str], list[int]]:
    """Bytes as the GPT-2 alphabet writes them (unprintable ones moved up to 256 and beyond), and two control tokens."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    moved = iter(range(256, 512))
    tokens = [chr(byte) if byte in printable else chr(next(moved)) for byte in range(256)]
    normal, control = int(gguf.TokenType.NORMAL), int(gguf.TokenType.CONTROL)
    return [*tokens, "<s>", "</s>"], [normal] * 256 + [control] * 2


def _tensors(vocabulary: int, shape: Shape) -> dict[str, tuple[int, ...]]:
    wide, inner = shape.embedding, shape.feed_forward
    shapes: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (vocabulary, wide),
        "output_norm.weight": (wide,),
        "output.weight": (vocabulary, wide),
    }
    for layer in range(shape.layers):
        shapes |= {
            f"blk.{layer}.attn_norm.weight": (wide,),
            f"blk.{layer}.ffn_norm.weight": (wide,),
            **{f"blk.{layer}.attn_{part}.weight": (wide, wide) for part in ("q", "k", "v", "output")},
            f"blk.{layer}.ffn_gate.weight": (inner, wide),
            f"blk.{layer}.ffn_up.weight": (inner, wide),
            f"blk.{layer}.ffn_down.weight": (wide, inner),
        }
    return shapes
