"""What one poll says about one replica or GPU at one instant. `None` = not reported, `0` = zero.

Field metadata carries the kind (`counter` only grows within an epoch, `gauge` is a state, `histogram` is a counter per
bucket) and the unit, from which the store derives its columns and `windows` its deltas.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any


class Unit(StrEnum):
    """The unit of a sample's field."""

    COUNT = "count"
    SECONDS = "seconds"
    RATIO = "ratio"
    BYTES = "bytes"
    WATTS = "watts"
    JOULES = "joules"
    HERTZ = "hertz"
    CELSIUS = "celsius"


def _counter(unit: Unit = Unit.COUNT) -> Any:
    return field(default=None, metadata={"kind": "counter", "unit": unit})


def _gauge(unit: Unit = Unit.COUNT) -> Any:
    return field(default=None, metadata={"kind": "gauge", "unit": unit})


def _histogram(bounds: tuple[float, ...]) -> Any:
    return field(default=None, metadata={"kind": "histogram", "bounds": bounds})


STEP_TOKENS_BOUNDS = (1.0, *(float(2**power) for power in range(3, 15)))
"""1, 8, 16, 32 ... 16,384: the buckets of vLLM's `iteration_tokens_total`."""
LENGTH_BOUNDS = (*(float(digit * 10**power) for power in range(6) for digit in (1, 2, 5)), 1e6)
"""1, 2, 5, 10 ... 1,000,000: the buckets of vLLM's request lengths, which end at the model's context."""


@dataclass(frozen=True, slots=True, order=True)
class ReplicaKey:
    """One engine instance with its own batch.

    `target` is the polled URL, `model` the served name ("" when the page has none),
    `rank` the data-parallel rank as the engine writes it ("0" when the engine has none).
    """

    target: str
    model: str
    rank: str = "0"


@dataclass(frozen=True, slots=True)
class Identity:
    """What must not change within an epoch. `None` = nothing told us."""

    engine: str
    engine_version: str | None = None
    model_path: str | None = None
    dtype: str | None = None
    quantization: str | None = None
    kv_dtype: str | None = None
    tensor_parallel: int | None = None
    pipeline_parallel: int | None = None
    expert_parallel: int | None = None
    gpu: str | None = None
    parameters: int | None = None
    weight_bytes: int | None = None
    max_context_tokens: int | None = None
    kv_capacity_tokens: int | None = None
    slots: int | None = None
    mixed_steps: bool | None = None
    """Whether one step may carry both prompt and decode tokens: if not, the two phase mixes are one."""


@dataclass(frozen=True, slots=True)
class ReplicaSample:
    """One replica's counters and gauges at one instant.

    `epoch` is the store's number of the stretch in which nothing that matters changed; samples of different epochs
    are never differenced. `at_s` is unix time when the request was sent, `interval_s` the planned distance to the
    next sample.
    """

    replica: ReplicaKey
    epoch: int
    at_s: float
    interval_s: float

    prompt_tokens_total: float | None = _counter()
    """Prompt tokens of admitted requests, prefix-cached ones included."""
    prefill_tokens_total: float | None = _counter()
    """Prompt tokens that were computed: cached ones excluded."""
    cached_tokens_total: float | None = _counter()
    """Prompt tokens that came from a prefix cache or a KV transfer."""
    generation_tokens_total: float | None = _counter()
    steps_total: float | None = _counter()
    """Forward passes that produced output."""
    step_tokens_total: float | None = _counter()
    """Tokens processed by the counted steps (prompt and generated)."""
    decode_sequence_steps_total: float | None = _counter()
    """One per decoding sequence per step: divided by steps it is the decode batch."""
    prefills_total: float | None = _counter()
    """Requests whose prefill completed: first tokens."""
    requests_finished_total: float | None = _counter()
    preemptions_total: float | None = _counter()
    prefill_s_total: float | None = _counter(Unit.SECONDS)
    """Wall or GPU seconds in steps that carried prompt tokens, each second counted once (exclusive accounting)."""
    prefill_marginal_s_total: float | None = _counter(Unit.SECONDS)
    """Of `prefill_s_total`, the seconds that the prompt tokens added to what the same decode batch alone takes."""
    decode_s_total: float | None = _counter(Unit.SECONDS)
    """Wall or GPU seconds in steps that carried decode tokens only, each second counted once."""
    busy_s_total: float | None = _counter(Unit.SECONDS)
    """Seconds in which the engine executed a forward pass, from its own timers."""
    ttft_s_total: float | None = _counter(Unit.SECONDS)
    """Sum of times to first token over `prefills_total` requests."""
    inter_token_s_total: float | None = _counter(Unit.SECONDS)
    """Sum of gaps between decode steps, per sequence: over `decode_sequence_steps_total`."""
    request_queue_s_total: float | None = _counter(Unit.SECONDS)
    request_prefill_s_total: float | None = _counter(Unit.SECONDS)
    """Request-seconds in prefill, observed at finish. Never a phase mix: shown as a contrast only."""
    request_decode_s_total: float | None = _counter(Unit.SECONDS)
    """Request-seconds in decode, observed at finish. Never a phase mix: shown as a contrast only."""
    finished_prompt_tokens_total: float | None = _counter()
    """Prompt tokens of finished requests, cached ones included."""
    finished_generation_tokens_total: float | None = _counter()
    """Generated tokens of finished requests."""
    draft_steps_total: float | None = _counter()
    draft_tokens_total: float | None = _counter()
    accepted_tokens_total: float | None = _counter()

    running_requests: float | None = _gauge()
    waiting_requests: float | None = _gauge()
    kv_usage_ratio: float | None = _gauge(Unit.RATIO)

    step_tokens: tuple[float, ...] | None = _histogram(STEP_TOKENS_BOUNDS)
    """Steps by the tokens they processed. Histograms come only now and then: `windows` says what that means.

    Not cumulative over the buckets: one count per bucket, upper bounds inclusive, the last above the highest bound.
    """
    prompt_lengths: tuple[float, ...] | None = _histogram(LENGTH_BOUNDS)
    """Finished requests by their prompt's tokens, cached ones included."""
    generation_lengths: tuple[float, ...] | None = _histogram(LENGTH_BOUNDS)
    """Finished requests by the tokens they generated."""


@dataclass(frozen=True, slots=True)
class GpuSample:
    """One GPU at one instant, keyed by UUID, never by index."""

    uuid: str
    at_s: float
    interval_s: float
    name: str | None = None

    utilization_ratio: float | None = _gauge(Unit.RATIO)
    """Share of the driver's sample period with at least one kernel running: a duty cycle, not a load."""
    memory_used_bytes: float | None = _gauge(Unit.BYTES)
    memory_total_bytes: float | None = _gauge(Unit.BYTES)
    power_w: float | None = _gauge(Unit.WATTS)
    energy_j_total: float | None = _counter(Unit.JOULES)
    ecc_errors_total: float | None = _counter()
    """Uncorrected memory errors since the driver was loaded."""
    sm_clock_hz: float | None = _gauge(Unit.HERTZ)
    memory_clock_hz: float | None = _gauge(Unit.HERTZ)
    temperature_celsius: float | None = _gauge(Unit.CELSIUS)
    throttled_ratio: float | None = _gauge(Unit.RATIO)
    """1 while the driver names a slowdown or power-cap reason, else 0."""
    sm_active_ratio: float | None = _gauge(Unit.RATIO)
    tensor_active_ratio: float | None = _gauge(Unit.RATIO)
    dram_active_ratio: float | None = _gauge(Unit.RATIO)
    sm_occupancy_ratio: float | None = _gauge(Unit.RATIO)
    """Resident warps over the most that fit, of all SMs."""


def counter_names(sample: type[Any]) -> tuple[str, ...]:
    """The names of a sample type's counters, in declaration order."""
    return tuple(f.name for f in fields(sample) if f.metadata.get("kind") == "counter")


def gauge_names(sample: type[Any]) -> tuple[str, ...]:
    """The names of a sample type's gauges, in declaration order."""
    return tuple(f.name for f in fields(sample) if f.metadata.get("kind") == "gauge")


def histogram_names(sample: type[Any]) -> tuple[str, ...]:
    """The names of a sample type's histograms, in declaration order."""
    return tuple(f.name for f in fields(sample) if f.metadata.get("kind") == "histogram")


def bounds_of(sample: type[Any], name: str) -> tuple[float, ...]:
    """The upper bounds of a histogram's buckets, inclusive, without the last bucket's. Raises KeyError for others."""
    for f in fields(sample):
        if f.name == name:
            bounds: tuple[float, ...] = f.metadata["bounds"]
            return bounds
    raise KeyError(name)


def unit_of(sample: type[Any], name: str) -> Unit:
    """The unit of a counter or gauge. Raises KeyError for any other name."""
    for f in fields(sample):
        if f.name == name:
            unit: Unit = f.metadata["unit"]
            return unit
    raise KeyError(name)
