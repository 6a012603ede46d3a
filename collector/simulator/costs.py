"""What a step of a simulated server costs, from a model's shape and a GPU's facts, split into its components.

Per step, over all GPUs of one replica (decode batch B, KV tokens K that it reads, prefill tokens P that see C context
tokens in sum, T tokens per sequence with speculative decoding, else 1):

    weight_read    = weight bytes / memory rate
    kv_read        = K · KV bytes per token / memory rate
    decode_compute = (2 · parameters · B · T + 4 · layers · hidden · K · T) / arithmetic rate
    prefill        = (2 · parameters · P + 4 · layers · hidden · C) / arithmetic rate
    overhead       = launch overhead + per-sequence overhead · B

2 FLOPs per parameter and token, 4 · layers · hidden per query-key pair: Kaplan et al. 2020 (arXiv 2001.08361), table 1,
with the two attention products counted over the keys really seen.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from collector.simulator.stretch import ArrayStretch, Components, LinearStretch, Regime, Tokens


class Law(StrEnum):
    """How bytes moved and arithmetic add up to a step's length."""

    ADDITIVE = "additive"
    """The sum of all components."""
    ROOFLINE = "roofline"
    """Overhead + the longer of bytes moved and arithmetic. Only the longer side has components: the other is hidden."""


NEVER_TOKENS = 1e15
"""More KV tokens than any step will read."""
NOTHING = Components(0.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class StepCosts:
    """Per-step cost model of one replica; rates are of one GPU, efficiencies the reachable share of them (0..1].

    `weight_bytes` are those that a step reads (of an untied embedding table only rows are looked up: leave it out),
    `active_parameters` those that one token is multiplied with; `layers` and `hidden` may stay 0 to leave attention
    arithmetic out. `decode_tokens_per_sequence` is 1 + draft length where drafts are verified. Raises ValueError for
    figures that make no server.
    """

    weight_bytes: float
    kv_bytes_per_token: float
    active_parameters: float
    bandwidth_bytes_per_s: float
    flops_per_s: float
    overhead_s: float = 0.0
    per_sequence_s: float = 0.0
    layers: int = 0
    hidden: int = 0
    bandwidth_efficiency: float = 1.0
    flops_efficiency: float = 1.0
    tensor_parallel: int = 1
    decode_tokens_per_sequence: int = 1
    law: Law = Law.ADDITIVE
    weight_read_s: float = field(init=False)
    """Reading the weights once."""
    kv_token_s: float = field(init=False)
    """Reading one token's keys and values."""
    token_compute_s: float = field(init=False)
    """Arithmetic of one token, attention apart."""
    pair_compute_s: float = field(init=False)
    """Arithmetic of one query-key pair over all layers."""

    def __post_init__(self) -> None:
        rates = (self.bandwidth_bytes_per_s, self.flops_per_s, self.bandwidth_efficiency, self.flops_efficiency)
        amounts = (self.weight_bytes, self.kv_bytes_per_token, self.active_parameters, self.layers, self.hidden)
        if min(rates) <= 0 or min(*amounts, self.overhead_s, self.per_sequence_s) < 0:
            raise ValueError("rates and efficiencies must be positive, all other costs at least 0")
        if self.tensor_parallel < 1 or self.decode_tokens_per_sequence < 1:
            raise ValueError("tensor_parallel and decode_tokens_per_sequence must be at least 1")
        bytes_per_s = self.bandwidth_bytes_per_s * self.bandwidth_efficiency * self.tensor_parallel
        flops_per_s = self.flops_per_s * self.flops_efficiency * self.tensor_parallel
        set_ = object.__setattr__
        set_(self, "weight_read_s", self.weight_bytes / bytes_per_s)
        set_(self, "kv_token_s", self.kv_bytes_per_token / bytes_per_s)
        set_(self, "token_compute_s", 2 * self.active_parameters / flops_per_s)
        set_(self, "pair_compute_s", 4 * self.layers * self.hidden / flops_per_s)
        if self.weight_read_s + self.overhead_s <= 0:
            raise ValueError("a step must take time: weight_bytes or overhead_s must be positive")

    def split(self, batch: int, kv_tokens: int, prefill_tokens: int = 0, prefill_context_tokens: int = 0) -> Components:
        """The components of one step, in seconds; their sum is the step's length.

        `kv_tokens` is what the decode batch reads, summed over its sequences. `prefill_context_tokens` sums, over the
        prefill tokens, the tokens that each attends to (itself included): a chunk of t tokens behind s others adds
        t·s + t·(t+1)/2. An empty step costs nothing.
        """
        if batch == 0 and prefill_tokens == 0:
            return NOTHING
        per_sequence = self.decode_tokens_per_sequence
        kv_read_s = kv_tokens * self.kv_token_s
        decode_s = per_sequence * (batch * self.token_compute_s + kv_tokens * self.pair_compute_s)
        prefill_s = prefill_tokens * self.token_compute_s + prefill_context_tokens * self.pair_compute_s
        overhead_s = self.overhead_s + batch * self.per_sequence_s
        if self.law is Law.ADDITIVE:
            return Components(self.weight_read_s, kv_read_s, decode_s, prefill_s, overhead_s)
        if self.weight_read_s + kv_read_s >= decode_s + prefill_s:
            return Components(self.weight_read_s, kv_read_s, 0.0, 0.0, overhead_s)
        return Components(0.0, 0.0, decode_s, prefill_s, overhead_s)

    def step_s(self, batch: int, kv_tokens: int, prefill_tokens: int = 0, prefill_context_tokens: int = 0) -> float:
        """The length of one step in seconds; arguments as for `split`."""
        return self.split(batch, kv_tokens, prefill_tokens, prefill_context_tokens).total_s

    def bytes_read(self, steps: int, kv_tokens: int) -> float:
        """Bytes that `steps` steps read which read `kv_tokens` of KV cache in sum, over all GPUs of the replica."""
        return steps * self.weight_bytes + kv_tokens * self.kv_bytes_per_token

    def flops(self, tokens: int, pairs: int) -> float:
        """Floating-point operations for `tokens` tokens that see `pairs` query-key pairs, over all GPUs."""
        return 2 * self.active_parameters * tokens + 4 * self.layers * self.hidden * pairs

    def _regime(self, batch: int, bytes_count: bool, arithmetic_counts: bool) -> Regime:
        """The components of a decode step as constant + slope · KV tokens, with the hidden side at 0."""
        tokens = batch * self.decode_tokens_per_sequence
        return Regime(
            weight_read_s=self.weight_read_s if bytes_count else 0.0,
            kv_token_s=self.kv_token_s if bytes_count else 0.0,
            compute_s=tokens * self.token_compute_s if arithmetic_counts else 0.0,
            compute_kv_token_s=(self.decode_tokens_per_sequence * self.pair_compute_s if arithmetic_counts else 0.0),
            overhead_s=self.overhead_s + batch * self.per_sequence_s,
        )

    def stretch(self, batch: int, kv_tokens: int) -> LinearStretch:
        """Consecutive pure-decode steps of one batch, the first reading `kv_tokens`, each later one `batch` more."""
        if self.law is Law.ADDITIVE:
            return LinearStretch(batch, kv_tokens, self._regime(batch, True, True))
        moved, computed = self._regime(batch, True, False), self._regime(batch, False, True)
        gap_s = moved.weight_read_s - computed.compute_s
        gap_kv_s = moved.kv_token_s - computed.compute_kv_token_s
        moved_first = gap_s + gap_kv_s * kv_tokens >= 0
        first, second = (moved, computed) if moved_first else (computed, moved)
        # The gap is linear in KV tokens: it changes sign at most once, and only if it moves towards zero.
        turning = gap_kv_s < 0 if moved_first else gap_kv_s > 0
        if not turning:
            return LinearStretch(batch, kv_tokens, first)
        turn_at = -gap_s / gap_kv_s
        if turn_at > NEVER_TOKENS:
            return LinearStretch(batch, kv_tokens, first)
        steps = int((turn_at - kv_tokens) / batch)
        while self._moved(gap_s, gap_kv_s, kv_tokens + steps * batch) is moved_first:
            steps += 1
        while steps > 1 and self._moved(gap_s, gap_kv_s, kv_tokens + (steps - 1) * batch) is not moved_first:
            steps -= 1
        return LinearStretch(batch, kv_tokens, first, steps, second)

    @staticmethod
    def _moved(gap_s: float, gap_kv_s: float, kv_tokens: int) -> bool:
        return gap_s + gap_kv_s * kv_tokens >= 0

    def array_stretch(self, batch: int, kv_tokens: Tokens) -> ArrayStretch:
        """Consecutive pure-decode steps of one batch that read `kv_tokens[i]` of KV cache each."""
        additive = self.law is Law.ADDITIVE
        return ArrayStretch(
            kv_tokens, self._regime(batch, True, additive), None if additive else self._regime(batch, False, True)
        )
