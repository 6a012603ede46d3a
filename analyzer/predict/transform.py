"""A server's own step-time coefficients before -> after a scheme: the ratio of each cost, and what launches add.

`a + b·batch + g·KV tokens + d·prompt tokens` keeps its form under quantization. Each coefficient is multiplied by what
the scheme does to its cause; overhead stays, plus what more launches cost. No GPU rate is needed for the ratios of
bytes, so this works on hardware that no table knows.
"""

from __future__ import annotations

from dataclasses import dataclass

from analyzer.predict.constants import Constants
from analyzer.predict.formats import Format
from analyzer.predict.stepcost import (
    ROUNDING,
    Machine,
    Step,
    activation_s,
    arithmetic_rate,
    launch_s,
    read_ratio,
    weight_bytes,
)


@dataclass(frozen=True, slots=True)
class Coefficients:
    """Seconds per step (the first two), per sequence-step (two), per KV token read, per prompt token computed.

    `rounding` says how reading weights and arithmetic of a step add up: 1 = one after the other, as on llama.cpp;
    large = the longer one hides the other.
    """

    weight_read_s: float
    overhead_s: float
    sequence_compute_s: float
    sequence_overhead_s: float
    kv_token_s: float
    prefill_token_s: float
    rounding: float = ROUNDING

    def step_s(self, step: Step) -> float:
        """Seconds of one such step."""
        computed = self.sequence_compute_s * step.batch + self.prefill_token_s * step.prefill_tokens
        longer = max(self.weight_read_s, computed)
        products = 0.0
        if longer > 0:
            power = (self.weight_read_s / longer) ** self.rounding + (computed / longer) ** self.rounding
            products = longer * float(power ** (1 / self.rounding))
        own = self.overhead_s + self.sequence_overhead_s * step.batch
        return own + products + self.kv_token_s * step.batch * step.context_tokens


@dataclass(frozen=True, slots=True)
class Factors:
    """What a scheme does to each coefficient: ratios after / before, and seconds added."""

    weight_read: float
    kv_read: float
    sequence_compute: float
    prefill_token: float
    step_s: float
    token_s: float


def factors(machine: Machine, before: Format, after: Format, step: Step, constants: Constants) -> Factors:
    """The factors at `step`'s tokens (they set experts touched and kernel efficiency) and prompt length."""
    arithmetic = _arithmetic(machine, before, after, step.tokens, constants)
    chunk = max(step.tokens, step.prompt_tokens)
    prompt = _arithmetic(machine, before, after, chunk, constants)
    attention = _attention_share(machine, before, step, chunk, constants)
    kv = machine.shape.kv_read_bytes(1.0, after.kv_element_bytes) / machine.shape.kv_read_bytes(
        1.0, before.kv_element_bytes
    )
    added = launch_s(after, constants) - launch_s(before, constants) if machine.cpu is None else 0.0
    return Factors(
        weight_read=_read(machine, after, step, constants) / _read(machine, before, step, constants),
        kv_read=kv,
        sequence_compute=arithmetic,
        prefill_token=attention + (1 - attention) * prompt,
        step_s=added * machine.products,
        token_s=activation_s(machine, after, constants) - activation_s(machine, before, constants),
    )


def transform(coefficients: Coefficients, change: Factors) -> Coefficients:
    """The coefficients under the scheme. What the model does not explain of the server stays as it is, in overhead."""
    return Coefficients(
        weight_read_s=coefficients.weight_read_s * change.weight_read,
        overhead_s=max(0.0, coefficients.overhead_s + change.step_s),
        sequence_compute_s=max(0.0, coefficients.sequence_compute_s * change.sequence_compute + change.token_s),
        sequence_overhead_s=coefficients.sequence_overhead_s,
        kv_token_s=coefficients.kv_token_s * change.kv_read,
        prefill_token_s=max(0.0, coefficients.prefill_token_s * change.prefill_token + change.token_s),
        rounding=coefficients.rounding,
    )


def _read(machine: Machine, form: Format, step: Step, constants: Constants) -> float:
    linear, head = weight_bytes(machine.shape, form, max(step.tokens, 1.0))
    return linear / read_ratio(form, constants) + head


def _arithmetic(machine: Machine, before: Format, after: Format, tokens: float, constants: Constants) -> float:
    rate = arithmetic_rate(before, machine, tokens, constants)
    return rate / arithmetic_rate(after, machine, tokens, constants)


def _attention_share(machine: Machine, form: Format, step: Step, tokens: float, constants: Constants) -> float:
    """Share of a prompt token's time that attention takes; no weight scheme changes it."""
    shape = machine.shape
    pair_s = step.prompt_tokens * 2 * shape.layers * shape.attention_heads * shape.head_dim / constants.attention
    rate = constants.arithmetic * arithmetic_rate(form, machine, tokens, constants)
    linear_s = 2 * (shape.active_parameters - shape.embedding_parameters) / rate
    return pair_s / (pair_s + linear_s)
