"""Totals of some minutes each -> `Blocks`, the columns that the step-time model is fitted to.

Three equations carry the fit, each a sum over a block's steps:

    busy seconds        = sum of t                 the engine's timers, the GPU's duty cycle, or wall time when crowded
    inter-token seconds = sum of batch * t         each decoding sequence waits one step for its next token
    request prefill s   = mean chunk steps of one prompt (only where prefills seldom overlap)

Arrivals see time averages (Wolff 1982, PASTA): the batch that a prefill meets is the time-averaged batch, inter-token
seconds per wall second (Little's law), and the share of prefills that meet no decoding sequence is the idle share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzer.columns import Column
from analyzer.evidence import Missing
from analyzer.steptime.counted import Counted, counted_in
from analyzer.steptime.lengths import Lengths, lengths_of
from analyzer.steptime.parts import Part

CROWDED_BATCH = 6.0
"""With so many sequences decoding on average the server is never without one: exp(-6) is 0.25 %."""
CROWDED_ERROR = 0.004
ACTIVE_SHARE = 0.98
LEAST_DUTY_ERROR = 0.004
"""Standard error of a mean duty cycle that is never fallen below: what drivers call busy is not quite a step."""
FEW_WAITING = 0.5
SELDOM_OVERLAPPING = 0.4
"""Above so many requests in prefill on average they share chunk steps, and request-seconds count these twice."""
LARGEST_SHARE_ALONE = 0.9
LARGEST_LOAD = 0.5
"""Beyond it the queue's formula leaves out that decoding goes on between the chunks."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What blocks are, all together: their number, mean tokens of a step, and what `Blocks` has once."""

    blocks: int
    step_tokens: float
    lengths: Lengths
    drafts: float
    mixed: bool


@dataclass(frozen=True, slots=True)
class Blocks:
    """One entry per block (shape (n,)); NaN where a figure is not known.

    `alone` is the share of prefills that run without any decoding sequence, `met_batch` the decode batch that a
    prefill meets on average over all of them.
    """

    covered_s: Column
    steps: Column
    sequence_steps: Column
    prefill_tokens: Column
    prefills: Column
    gap_s: Column
    busy_s: Column
    busy_sd_s: Column
    batch_spread: Column
    """Variance of the decode batch within the block over its squared mean."""
    alone: Column
    met_batch: Column
    lengths: Lengths
    drafts: float
    """Draft tokens verified per sequence and step; 0 without speculative decoding."""
    prefill_request_s: float | None
    """Mean seconds from a request's first chunk to its first token; None where prefills overlap too much."""
    prefill_overlap: float
    prefill_s: Column
    """Seconds of steps with prompt tokens by the engine's own timer; NaN where it has none."""
    mixed: bool
    """Whether a step may carry prompt and decode tokens: if not, only decode steps are counted."""

    def __len__(self) -> int:
        return len(self.covered_s)

    @property
    def traffic(self) -> Traffic:
        """What they are, all together."""
        tokens = float(self.sequence_steps.sum() + self.prefill_tokens.sum())
        return Traffic(len(self), tokens / float(self.steps.sum()), self.lengths, self.drafts, self.mixed)

    def take(self, chosen: NDArray[np.intp]) -> Blocks:
        """The chosen blocks only."""
        values: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        values.update((name, one[chosen]) for name, one in values.items() if isinstance(one, np.ndarray))
        return Blocks(**values)


def blocks(parts: Sequence[Part] | Counted, *, mixed: bool = True, pair_ratio: float = 0.0) -> Blocks | Missing:
    """The blocks of one epoch's parts, or what the engine would have to report for there to be any.

    `mixed`: whether a step may carry prompt and decode tokens at once. `pair_ratio`: cost of attending to one more
    token, over the cost of a token without attention; 0 where the model's shape is not known.
    """
    told = parts if isinstance(parts, Counted) else counted_in(parts)
    told = told.take((told["windows"] > 0) & (told["covered_s"] > 0))
    if not len(told):
        return Missing("no usable pair of samples yet")
    for name, what in (("steps_total", "steps"), ("decode_sequence_steps_total", "decode batches")):
        if np.isnan(told[name]).all():
            return Missing(f"the engine counts no {what}, so the cost of a step cannot be told")
    steps = told["steps_total"]
    ran = ~np.isnan(steps) & (steps != 0)
    if not ran.any():
        return Missing("the server was idle")
    told = told.take(ran)
    sums, covered_s = told.sums(), told["covered_s"]
    lengths = lengths_of(told, sums)
    computed, preempted = told["prefill_tokens_total"], told["preemptions_total"]
    prefill = np.where(np.isnan(computed), told["prompt_tokens_total"], computed)
    # A preempted request is computed again from scratch, which no token counter shows.
    prefill = prefill + np.where(np.isnan(preempted), 0.0, preempted) * lengths.context
    prefill = prefill * _attention(told, prefill, lengths, pair_ratio)
    gap_s, batch = told["inter_token_s_total"], told["decode_sequence_steps_total"] / told["steps_total"]
    in_flight, waiting = gap_s / covered_s, told.mean("waiting_requests")
    decoding = np.where(np.isnan(in_flight), batch, in_flight)
    single = not mixed or _one_at_a_time(told, batch)
    busy_s, busy_sd_s = _busy(told, decoding)
    request_s, overlap = _request_prefill(sums, covered_s)
    active_s = np.where(np.isnan(busy_s), covered_s * (1 - np.exp(-decoding)), busy_s)
    idle = 1 - np.minimum(np.maximum(active_s / covered_s, 0), 1)
    met = np.zeros_like(decoding) if single else decoding + _ahead(waiting, overlap)
    drafted, draft_steps = sums["draft_tokens_total"], sums["draft_steps_total"]
    return Blocks(
        covered_s=covered_s,
        steps=told["steps_total"],
        sequence_steps=told["decode_sequence_steps_total"],
        prefill_tokens=prefill,
        prefills=told["prefills_total"],
        # Where prompts have steps of their own, decoding sequences wait for whole prompts in between.
        gap_s=gap_s if mixed else np.full_like(gap_s, np.nan),
        busy_s=busy_s,
        busy_sd_s=busy_sd_s,
        batch_spread=_batch_spread(told, batch, gap_s, waiting),
        alone=np.ones_like(idle) if single else idle,
        met_batch=met,
        lengths=lengths,
        drafts=drafted / draft_steps if drafted is not None and draft_steps else 0.0,
        prefill_request_s=request_s,
        prefill_overlap=overlap,
        prefill_s=told["prefill_s_total"],
        mixed=mixed,
    )


def _attention(told: Counted, prefill: Column, lengths: Lengths, pair_ratio: float) -> Column:
    """What a prompt token of each block costs over what it costs on average: longer prompts have dearer tokens."""
    prefills = told["prefills_total"]
    with np.errstate(invalid="ignore", divide="ignore"):
        own = prefill / prefills
        cached = np.maximum(told["prompt_tokens_total"] - prefill, 0) / prefills
    spread = (lengths.prefill_context - max(0.0, lengths.prompt - lengths.prefill)) / max(lengths.prefill, 1e-9)
    seen = np.where(np.isfinite(own) & np.isfinite(cached), cached + own * spread, lengths.prefill_context)
    return (1 + pair_ratio * seen) / (1 + pair_ratio * lengths.prefill_context)


def _batch_spread(told: Counted, batch: Column, gap_s: Column, waiting: Column) -> Column:
    """Arrivals by chance make the batch Poisson, its variance its mean, unless a full batch holds it; a block shorter
    than requests last sees only a part of that.
    """
    covered_s = told["covered_s"]
    with np.errstate(invalid="ignore", divide="ignore"):
        lasting_s = gap_s / told["prefills_total"]
        seen = covered_s / (covered_s + 2 * lasting_s)
        spread = np.where(waiting < FEW_WAITING, seen / batch, 0.0)
    return np.where(np.isfinite(spread), np.minimum(spread, 1.0), 0.0)


def _one_at_a_time(told: Counted, batch: Column) -> bool:
    """Whether the batch never exceeded one, so that no prefill can have met a decoding sequence."""
    never_more = not (batch > 1).any() and bool((batch <= 1).any())
    return never_more and bool((told.mean("running_requests") <= 1).all())


def _busy(told: Counted, crowd: Column) -> tuple[Column, Column]:
    """Busy seconds and their standard deviation, best source first: timers, a crowded server, the GPU's duty cycle.

    `crowd` is how many sequences decode on average.
    """
    covered_s, timed = told["covered_s"], told["busy_s_total"]
    timed = np.where(np.isnan(timed), told["prefill_s_total"] + told["decode_s_total"], timed)
    active, duty = told["active_s"] / covered_s, np.minimum(np.maximum(told["duty"], 0.0), 1.0)
    crowded = (crowd >= CROWDED_BATCH) & ((active >= ACTIVE_SHARE) | (np.isnan(active) & (duty >= ACTIVE_SHARE)))
    busy = duty * covered_s
    sd = np.maximum(told["duty_error"], LEAST_DUTY_ERROR) * covered_s
    # Without a GPU, requests running at both ends of nearly every window: idle only when the last one left.
    unseen = np.isnan(busy) & (active >= ACTIVE_SHARE)
    empty = np.exp(-crowd)
    busy = np.where(unseen, covered_s * (1 - empty / 2), busy)
    sd = np.where(unseen, covered_s * (0.01 + empty / 2), sd)
    busy, sd = np.where(crowded, covered_s, busy), np.where(crowded, CROWDED_ERROR * covered_s, sd)
    known = ~np.isnan(timed)
    return np.where(known, np.minimum(timed, covered_s), busy), np.where(known, CROWDED_ERROR * covered_s, sd)


def _ahead(waiting: Column, overlap: float) -> float:
    """Requests whose prefill is still to end when another arrives: they will be decoding when its own begins.

    The number in a queue with Poisson arrivals and equal service (M/D/1), its load being the mean number in prefill.
    """
    load = min(LARGEST_LOAD, overlap)
    waiting = waiting[~np.isnan(waiting)]
    most = overlap + float(waiting.mean()) if len(waiting) else overlap
    return min(load + load**2 / (2 * (1 - load)), most)


def _request_prefill(sums: Mapping[str, float | None], covered_s: Column) -> tuple[float | None, float]:
    total_s, finished = sums["request_prefill_s_total"], sums["requests_finished_total"]
    if total_s is None or not finished:
        return None, 0.0
    overlap = float(total_s / covered_s.sum())
    return (total_s / finished if overlap < SELDOM_OVERLAPPING and total_s > 0 else None), overlap
