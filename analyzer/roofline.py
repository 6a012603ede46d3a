"""Seconds that a span's steps must have taken by bytes moved and arithmetic done: the `modelled` rung.

Each step reads the weights once and every decoding sequence's KV cache; a token costs 2 FLOPs per active parameter.
Efficiencies are the share of the data sheet's peak that real kernels reach. They were set by hand from published
measurements, not fitted, and the interval spans their range: bandwidth 0.80 (0.65 to 0.92); BF16 arithmetic 0.70
(0.50 to 0.87, the best matmul rates measured on 16 GPUs).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

from analyzer.evidence import Missing
from analyzer.hardware import Hardware
from analyzer.windows import Totals

BANDWIDTH_EFFICIENCY = (0.65, 0.80, 0.92)
ARITHMETIC_EFFICIENCY = (0.50, 0.70, 0.87)
CHUNK_TOKENS = 2048
"""The usual limit of prompt tokens per step; it only decides how many steps carried a long prompt."""


@dataclass(frozen=True, slots=True)
class Work:
    """What the engine did in a span, from counters."""

    steps: float
    sequence_steps: float
    prefill_tokens: float
    prefills: float
    context_tokens: float
    """Mean KV tokens read per decoding sequence and step."""
    prompt_tokens: float
    """Mean computed prompt tokens of a request, half of which a token of it attends to on average."""


@dataclass(frozen=True, slots=True)
class Seconds:
    """Where the modelled seconds went; they add up to the modelled busy time without overhead."""

    weight_read: float
    kv_read: float
    decode_compute: float
    prefill_marginal: float
    prefill_exclusive: float

    @property
    def total(self) -> float:
        """Modelled busy seconds, overhead not included."""
        return self.weight_read + self.kv_read + self.decode_compute + self.prefill_marginal

    @property
    def memory(self) -> float:
        """Seconds whose length is set by bytes moved."""
        return self.weight_read + self.kv_read


def work(totals: Totals) -> Work | Missing:
    """The span's work. Steps are needed: without them nobody knows how often the weights were read."""
    deltas = totals.deltas
    steps, sequence_steps = deltas["steps_total"], deltas["decode_sequence_steps_total"]
    if steps is None or sequence_steps is None:
        return Missing("the engine counts no steps, so the weight reads are not known")
    prefill_tokens = deltas["prefill_tokens_total"]
    if prefill_tokens is None:
        prefill_tokens = deltas["prompt_tokens_total"]
    if prefill_tokens is None:
        return Missing("the engine reports no prompt tokens")
    prefills = deltas["prefills_total"]
    context = _context_tokens(totals)
    if context is None:
        return Missing("no request's lengths tell how much context is read")
    return Work(
        steps=steps,
        sequence_steps=sequence_steps,
        prefill_tokens=prefill_tokens,
        prefills=prefill_tokens / CHUNK_TOKENS if prefills is None else prefills,
        context_tokens=context,
        prompt_tokens=prefill_tokens / prefills if prefills is not None and prefills > 0 else context,
    )


def _context_tokens(totals: Totals) -> float | None:
    """A decoding sequence reads its prompt and, on average, half of what it will have generated."""
    prompts, generated = (
        totals.deltas["finished_prompt_tokens_total"],
        totals.deltas["finished_generation_tokens_total"],
    )
    finished = totals.deltas["requests_finished_total"]
    if prompts is None or generated is None or finished is None or finished <= 0:
        prompts, generated = totals.deltas["prompt_tokens_total"], totals.deltas["generation_tokens_total"]
        finished = totals.deltas["prefills_total"]
    if prompts is None or generated is None or finished is None or finished <= 0:
        return None
    return prompts / finished + generated / finished / 2


def seconds(
    done: Work, hardware: Hardware, bandwidth_efficiency: float, arithmetic_efficiency: float, *, overlapped: bool
) -> Seconds:
    """Modelled seconds under one pair of efficiencies.

    `overlapped`: arithmetic hides behind the reads of the same step (a roofline's `max`); else both add up, which
    fitted better where it was measured on a CPU. Marginal prefill is what a prefill adds to a step beyond what its
    decode batch alone would have taken; its attention costs 2 FLOPs per layer, width and pair of tokens twice over.
    """
    shape = hardware.shape
    bytes_per_s = hardware.bandwidth_bytes_per_s * bandwidth_efficiency
    flops_per_s = hardware.flops_per_s * arithmetic_efficiency
    token_s = 2 * shape.active_parameters / flops_per_s
    tokens = 0.0 if done.steps <= 0 else (done.sequence_steps + done.prefill_tokens) / done.steps
    weight_s = done.steps * hardware.step_weight_bytes(tokens) / bytes_per_s
    kv_s = done.sequence_steps * hardware.kv_read_bytes(done.context_tokens) / bytes_per_s
    compute_s = done.sequence_steps * token_s
    width = shape.attention_heads * shape.head_dim
    attention_s = done.prefill_tokens * done.prompt_tokens * 2 * shape.layers * width / flops_per_s
    prefill_s = done.prefill_tokens * token_s + attention_s
    chunks = min(done.steps, max(done.prefills, done.prefill_tokens / CHUNK_TOKENS))
    share = 0.0 if done.steps <= 0 else chunks / done.steps
    if overlapped:
        marginal_s = max(0.0, prefill_s - share * max(0.0, weight_s + kv_s - compute_s))
        compute_s = max(0.0, compute_s - weight_s - kv_s)
    else:
        marginal_s = prefill_s
    return Seconds(
        weight_read=weight_s,
        kv_read=kv_s,
        decode_compute=compute_s,
        prefill_marginal=marginal_s,
        prefill_exclusive=marginal_s + share * (weight_s + kv_s + compute_s),
    )


def corners(done: Work, hardware: Hardware) -> tuple[Seconds, tuple[Seconds, ...]]:
    """The central model (overlapped), and the models at the ends of both efficiencies' ranges under both laws."""
    central = seconds(done, hardware, BANDWIDTH_EFFICIENCY[1], ARITHMETIC_EFFICIENCY[1], overlapped=True)
    ends = product(BANDWIDTH_EFFICIENCY[::2], ARITHMETIC_EFFICIENCY[::2], (True, False))
    return central, tuple(
        seconds(done, hardware, bandwidth, arithmetic, overlapped=law) for bandwidth, arithmetic, law in ends
    )
