"""The shape of a language model: what its weights and its KV cache take, and what a step reads of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

UNQUANTIZED_BITS = 16.0


@dataclass(frozen=True, slots=True)
class Experts:
    """Routed experts: `count` in each of `layers` layers, of which a token uses `per_token`."""

    count: int
    per_token: int
    intermediate_size: int
    layers: int


@dataclass(frozen=True, slots=True)
class Latent:
    """Multi-head latent attention: the cache holds one compressed vector and one rotary key per token and layer."""

    rank: int
    rope_dim: int


@dataclass(frozen=True, slots=True)
class ModelShape:
    """One model's public facts. Models that differ in nothing here share an entry; `names` lists what they are called.

    `parameters` is the published count, tied embeddings counted once and multi-token-prediction modules left out.
    `intermediate_size` is that of a dense layer's MLP, 0 where every layer has experts. `sliding_window_tokens` bounds
    what `sliding_layers` of the layers read; None = every layer reads the whole context.
    """

    name: str
    parameters: int
    layers: int
    hidden_size: int
    attention_heads: int
    kv_heads: int
    head_dim: int
    intermediate_size: int
    vocabulary: int
    tied_embeddings: bool
    sources: tuple[str, ...]
    names: tuple[str, ...]
    experts: Experts | None = None
    latent: Latent | None = None
    sliding_window_tokens: int | None = None
    sliding_layers: int = 0

    @property
    def expert_parameters(self) -> int:
        """Parameters of one routed expert of one layer: gate, up and down projection."""
        return 0 if self.experts is None else 3 * self.hidden_size * self.experts.intermediate_size

    @property
    def active_parameters(self) -> int:
        """Parameters that one token passes through, embeddings and `lm_head` included; all of them in a dense model."""
        if self.experts is None:
            return self.parameters
        idle = (self.experts.count - self.experts.per_token) * self.experts.layers
        return self.parameters - idle * self.expert_parameters

    @property
    def embedding_parameters(self) -> int:
        """Parameters of the embedding table and of `lm_head`; one matrix where they are tied."""
        return self.vocabulary * self.hidden_size * (1 if self.tied_embeddings else 2)

    def kv_bytes_per_token(self, element_bytes: float) -> float:
        """Bytes that one token adds to the KV cache over all layers; `element_bytes` is 2 for 16-bit, 1 for FP8."""
        return self.layers * self._kv_elements_per_layer() * element_bytes

    def kv_read_bytes(self, context_tokens: float, element_bytes: float) -> float:
        """Bytes that one sequence's decode step reads of the KV cache; sliding layers stop at their window."""
        windowed = context_tokens
        if self.sliding_window_tokens is not None:
            windowed = min(context_tokens, self.sliding_window_tokens)
        full = self.layers - self.sliding_layers
        tokens = full * context_tokens + self.sliding_layers * windowed
        return tokens * self._kv_elements_per_layer() * element_bytes

    def _kv_elements_per_layer(self) -> int:
        if self.latent is not None:
            return self.latent.rank + self.latent.rope_dim
        return 2 * self.kv_heads * self.head_dim

    def weight_bytes(
        self, bits: float, embedding_bits: float | None = None, embeddings_quantized: bool = False
    ) -> float:
        """Bytes of the weights with `bits` per weight, scales included.

        Embeddings and `lm_head` usually stay unquantized: they take `embedding_bits`, by default 16 (`bits` where that
        is more, as in FP32). `embeddings_quantized` gives them `bits` too, as in GGUF files.
        """
        embeddings = self._embedding_bits(bits, embedding_bits, embeddings_quantized)
        linear = self.parameters - self.embedding_parameters
        return (linear * bits + self.embedding_parameters * embeddings) / 8

    def step_weight_bytes(
        self, bits: float, tokens: float, embedding_bits: float | None = None, embeddings_quantized: bool = False
    ) -> float:
        """Bytes of weights that a step over `tokens` tokens reads, on average.

        An untied embedding table is looked up by rows, not read; `lm_head` is. Of E routed experts with k per token,
        `E · (1 - (1 - k/E)^tokens)` are touched if routing is uniform and independent, which it is not quite: real
        traffic touches fewer. Raises ValueError for a negative number of tokens.
        """
        if tokens < 0:
            raise ValueError(f"a step cannot hold {tokens} tokens")
        embeddings = self._embedding_bits(bits, embedding_bits, embeddings_quantized)
        head = self.vocabulary * self.hidden_size
        linear = float(self.parameters - self.embedding_parameters)
        if self.experts is not None:
            count, share = self.experts.count, self.experts.per_token / self.experts.count
            untouched = count * (1 - share) ** tokens
            linear -= untouched * self.experts.layers * self.expert_parameters
        return (linear * bits + head * embeddings) / 8

    @staticmethod
    def _embedding_bits(bits: float, embedding_bits: float | None, embeddings_quantized: bool) -> float:
        if embeddings_quantized:
            return bits
        return max(bits, UNQUANTIZED_BITS) if embedding_bits is None else embedding_bits


def published_shape(
    name: str,
    parameters: int,
    sizes: tuple[int, int, int, int, int, int, int],
    repository: str,
    names: tuple[str, ...],
    tied: bool = False,
    note: str | None = None,
    **more: Any,
) -> ModelShape:
    """A row of the model table. `sizes`: layers, hidden size, attention heads, KV heads, head dimension, dense MLP
    size, vocabulary, as the `config.json` of `repository` has them; `note` is a further source.
    """
    layers, hidden, heads, kv_heads, head_dim, intermediate, vocabulary = sizes
    source = f"config.json of {repository}"
    return ModelShape(
        name=name,
        parameters=parameters,
        layers=layers,
        hidden_size=hidden,
        attention_heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        intermediate_size=intermediate,
        vocabulary=vocabulary,
        tied_embeddings=tied,
        sources=(source,) if note is None else (source, note),
        names=names,
        **more,
    )
