"""What really happened on a simulated server: cumulative counters, their differences, and shares of time."""

from __future__ import annotations

from dataclasses import dataclass, fields

from collector.simulator.stretch import Components


@dataclass(slots=True)
class Tally:
    """The running totals behind `Truth`; times are of finished steps."""

    busy_s: float = 0.0
    idle_s: float = 0.0
    weight_read_s: float = 0.0
    kv_read_s: float = 0.0
    decode_compute_s: float = 0.0
    prefill_s: float = 0.0
    overhead_s: float = 0.0
    exclusive_prefill_s: float = 0.0
    marginal_prefill_s: float = 0.0
    bytes_read: float = 0.0
    flops: float = 0.0
    steps: int = 0
    steps_with_output: int = 0
    decode_steps: int = 0
    decode_sequence_steps: int = 0
    resumed_prefills: int = 0
    computed_tokens: int = 0
    recomputed_tokens: int = 0
    cached_tokens: int = 0
    generated_tokens: int = 0
    arrivals: int = 0
    rejections: int = 0
    completions: int = 0
    aborts: int = 0
    preemptions: int = 0

    def spend(self, components: Components, share: float = 1.0) -> None:
        """Adds `share` of these busy seconds."""
        self.busy_s += share * components.total_s
        self.weight_read_s += share * components.weight_read_s
        self.kv_read_s += share * components.kv_read_s
        self.decode_compute_s += share * components.decode_compute_s
        self.prefill_s += share * components.prefill_s
        self.overhead_s += share * components.overhead_s


@dataclass(frozen=True, slots=True)
class Truth:
    """Everything until virtual time `at_s`; the difference of two is what happened between them.

    Seconds (and bytes, FLOPs) of the step in progress are included up to `at_s`; counts are of finished steps.
    """

    at_s: float
    busy_s: float
    """In a step. `busy_s + idle_s = at_s`."""
    idle_s: float
    weight_read_s: float
    """Component seconds: the five sum to `busy_s`."""
    kv_read_s: float
    decode_compute_s: float
    prefill_s: float
    overhead_s: float
    exclusive_prefill_s: float
    """In steps with at least one prompt token."""
    marginal_prefill_s: float
    """Length of those steps minus what their decode batch alone would have cost."""
    bytes_read: float
    """Weights and KV cache read, over all GPUs; not scaled by what hides behind arithmetic."""
    flops: float
    """Arithmetic done, over all GPUs; not scaled by what hides behind bytes moved."""
    steps: int
    steps_with_output: int
    """Without steps that only carried chunks of unfinished prompts."""
    decode_steps: int
    """Steps with at least one decoding sequence."""
    decode_sequence_steps: int
    """One per decoding sequence per step."""
    resumed_prefills: int
    """Preempted requests whose recomputation ended: each gives one output token that no decode step gave."""
    computed_tokens: int
    """Prompt tokens computed for the first time, chunk by chunk."""
    recomputed_tokens: int
    """Prompt and generated tokens computed again after a preemption."""
    cached_tokens: int
    """Prompt tokens taken from the prefix cache at first admission."""
    generated_tokens: int
    arrivals: int
    rejections: int
    """Requests longer than the model's context: refused before the engine sees them."""
    completions: int
    aborts: int
    preemptions: int

    @property
    def decode_s(self) -> float:
        """In steps without any prompt token: the complement of `exclusive_prefill_s`."""
        return self.busy_s - self.exclusive_prefill_s

    @property
    def memory_bound_s(self) -> float:
        """Step time whose length is set by bytes moved."""
        return self.weight_read_s + self.kv_read_s

    def __sub__(self, before: Truth) -> Truth:
        """What happened since `before`; `at_s` becomes the seconds between."""
        return Truth(**{f.name: getattr(self, f.name) - getattr(before, f.name) for f in fields(Truth)})


@dataclass(frozen=True, slots=True)
class Shares:
    """How a span was spent: of its wall time, of its busy time (None = never busy), and its mean decode batch."""

    busy_ratio: float
    """The first seven are shares of wall time; the components and `idle_ratio` sum to 1."""
    idle_ratio: float
    weight_read_ratio: float
    kv_read_ratio: float
    decode_compute_ratio: float
    prefill_ratio: float
    overhead_ratio: float
    exclusive_prefill_ratio: float | None
    """The next three are shares of busy time."""
    marginal_prefill_ratio: float | None
    memory_bound_ratio: float | None
    decode_batch: float | None
    """Decode sequence-steps per step with output; None = no such step."""
    generated_tokens_per_s: float


def shares(before: Truth, after: Truth) -> Shares:
    """How the time between two truths of one server was spent. Raises ValueError when no time lies between."""
    span = after - before
    if span.at_s <= 0:
        raise ValueError("shares need two truths with time between them")

    def of_busy(seconds: float) -> float | None:
        return seconds / span.busy_s if span.busy_s > 0 else None

    return Shares(
        busy_ratio=span.busy_s / span.at_s,
        idle_ratio=span.idle_s / span.at_s,
        weight_read_ratio=span.weight_read_s / span.at_s,
        kv_read_ratio=span.kv_read_s / span.at_s,
        decode_compute_ratio=span.decode_compute_s / span.at_s,
        prefill_ratio=span.prefill_s / span.at_s,
        overhead_ratio=span.overhead_s / span.at_s,
        exclusive_prefill_ratio=of_busy(span.exclusive_prefill_s),
        marginal_prefill_ratio=of_busy(span.marginal_prefill_s),
        memory_bound_ratio=of_busy(span.memory_bound_s),
        decode_batch=span.decode_sequence_steps / span.steps_with_output if span.steps_with_output > 0 else None,
        generated_tokens_per_s=span.generated_tokens / span.at_s,
    )
