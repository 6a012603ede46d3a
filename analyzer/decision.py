"""A replica's figures over its decision span, which may stand for minutes: little is added to a day by the minute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from analyzer.batching import decode_batch
from analyzer.chain import SpanChain, span_chain
from analyzer.evidence import Evidence, Figure, Missing
from analyzer.folded import Folded
from analyzer.hardware import Hardware
from analyzer.phases import PhaseAccount, account
from analyzer.samples import Identity
from analyzer.stepsizes import StepSizes, step_sizes
from analyzer.steptime.account import StepTime
from analyzer.steptime.fit import StepModel
from analyzer.steptime.parts import Part, merged
from analyzer.throughput import generation_tokens_per_s, prompt_tokens_per_s
from analyzer.windows import Totals

SPAN_PARTS = 48
"""A long span is accounted for in so many parts: the load within each is near its mean."""
NO_WINDOW = Missing("no usable pair of samples in this span yet")


@dataclass(frozen=True, slots=True)
class Decision:
    """What the decision span tells, before the live GPU counters are asked whether they agree.

    `covered_s` is the time between usable samples, `span_s` from the first to the last of them, and `coverage` their
    ratio (None without any).
    """

    covered_s: float
    span_s: float
    coverage: float | None
    account: PhaseAccount
    step_sizes: StepSizes | Missing
    decode_batch: Figure
    generation_tokens_per_s: Figure
    prompt_tokens_per_s: Figure
    """Cached ones included."""
    chain: SpanChain | Missing


@dataclass(frozen=True, slots=True)
class Known:
    """What holds for all spans of a replica: who it is, what it runs on, and what its steps cost.

    `lumpy` is whether generated tokens are counted only when a request ends.
    """

    identity: Identity
    hardware: Hardware | Missing
    model: StepModel | Missing
    step_time: StepTime | Missing
    lumpy: bool


def decide(known: Known, totals: Totals | None, gpu_utilization: float | None, parts: Sequence[Part]) -> Decision:
    """The figures of a decision span: its totals, and the same in parts within which the load may swing.

    `gpu_utilization` is the joined GPUs' mean duty cycle over it (0..1).
    """
    past = None if totals is None or totals.windows == 0 else totals
    found = account_of(known, totals, gpu_utilization, parts)
    return Decision(
        covered_s=0.0 if totals is None else totals.covered_s,
        span_s=0.0 if totals is None else totals.end_s - totals.start_s,
        coverage=None if totals is None else totals.coverage_ratio,
        account=found,
        step_sizes=NO_WINDOW if past is None else sizes_of(known, past),
        decode_batch=NO_WINDOW if past is None else decode_batch(past),
        generation_tokens_per_s=NO_WINDOW if past is None else generation_tokens_per_s(past, known.lumpy),
        prompt_tokens_per_s=NO_WINDOW if past is None else prompt_tokens_per_s(past),
        chain=span_chain(totals, found, known.hardware, gpu_utilization, known.model),
    )


def account_of(
    known: Known, totals: Totals | None, gpu_utilization: float | None, parts: Sequence[Part]
) -> PhaseAccount:
    """Where the time of a span went; without parts the whole span is one."""
    if totals is None or totals.windows == 0:
        return PhaseAccount(NO_WINDOW, NO_WINDOW, NO_WINDOW, NO_WINDOW, NO_WINDOW, NO_WINDOW)
    inside = merged(parts, SPAN_PARTS) if parts else [Part(totals, gpu_utilization)]
    found = account(totals, known.identity, known.hardware, gpu_utilization, known.model, inside)
    if isinstance(found.components, Missing):
        return found
    return replace(found, components=Folded(found.components))


def sizes_of(known: Known, totals: Totals) -> StepSizes | Missing:
    """Steps by size; their lengths are `fitted` where live data decide what a step costs."""
    hardware, told = known.hardware, known.step_time
    guess = Evidence.ASSUMED if isinstance(hardware, Hardware) and hardware.assumed else Evidence.MODELLED
    decided = isinstance(told, StepTime) and told.coefficients["step_s"].identified
    return step_sizes(totals, known.model, Evidence.FITTED if decided else guess)
