"""A span's histogram of tokens per step -> the share of its steps and of its busy time by step size.

A histogram does not say where in a bucket its steps lie, nor what a step carried. Both are set by one figure each so
that the counters come out: the place within every bucket (the same in all, on a logarithmic scale) by the tokens that
were counted, and the largest decode batch by the tokens that were generated. What a step holds beyond that batch are
prompt tokens. An engine that books a whole prompt on the step that ends it makes that step larger than it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from math import inf

import numpy as np
from numpy.typing import NDArray

from analyzer.evidence import Evidence, Missing
from analyzer.packed import Rows
from analyzer.samples import ReplicaSample, bounds_of
from analyzer.steptime.fit import StepModel
from analyzer.steptime.laws import Law
from analyzer.steptime.prior import COMPUTE, KV, OVERHEAD, PREFILL, SEQUENCE, WEIGHTS
from analyzer.windows import Totals

Column = NDArray[np.float64]

UPPER = (*bounds_of(ReplicaSample, "step_tokens"), inf)
"""The most tokens of a step in each bucket."""
_ENDS = np.array([*UPPER[:-1], 2 * UPPER[-2]])
"""Steps above the highest bound are taken to reach to twice that."""
_BEGINS = np.array([1.0, *(bound + 1 for bound in UPPER[:-1])])
_PLACES = np.linspace(0, 1, 65)
_GRID = _BEGINS ** (1 - _PLACES[:, None]) * _ENDS ** _PLACES[:, None]
"""Tokens at each place within each bucket, shape (places, buckets)."""
MIDDLE = 0.5
_ZERO = np.zeros(1)


@dataclass(frozen=True, slots=True)
class StepSize:
    """One bucket: steps of at most `up_to_tokens` tokens and more than the bucket before.

    `steps` and `busy` are shares of all steps and of their time, `step_s` is how long one takes by the step model;
    both are None where no model tells.
    """

    up_to_tokens: float
    mean_tokens: float
    steps: float
    busy: float | None
    step_s: float | None


_FIGURES = len(fields(StepSize))


@dataclass(frozen=True, slots=True)
class StepSizes:
    """A span's steps by size, smallest first. `largest_batch` is the batch beyond which tokens are taken for prompts'.

    `evidence` is that of the busy shares, which the step model makes; the shares of steps are counted.
    """

    sizes: Sequence[StepSize]
    counted_steps: float
    mean_tokens: float
    largest_batch: float | None
    evidence: Evidence | Missing


def step_sizes(totals: Totals, model: StepModel | Missing, evidence: Evidence) -> StepSizes | Missing:
    """The distribution over a span; `evidence` is that of the model's step times."""
    told = totals.histograms["step_tokens"]
    if told is None:
        return Missing("the engine has no histogram of tokens per step, or no two samples of this span carry it")
    counts, counted = np.array(told), float(sum(told))
    if counted <= 0:
        return Missing("no step was counted: the server was idle")
    tokens = _tokens(counts, counted, totals)
    batch = _largest_batch(counts, counted, tokens, totals)
    step_s = model if isinstance(model, Missing) else batch if isinstance(batch, Missing) else None
    seconds: Column | None = None
    if not isinstance(model, Missing) and not isinstance(batch, Missing):
        seconds = _seconds(model, tokens, *batch)
    table = np.full((len(UPPER), _FIGURES), np.nan)  # in the order of `StepSize`
    table[:, 0], table[:, 1], table[:, 2] = UPPER, tokens, counts / counted
    if seconds is not None:
        spent = counts * seconds
        table[:, 3], table[:, 4] = spent / spent.sum(), seconds
    return StepSizes(
        sizes=Rows(StepSize, table),
        counted_steps=counted,
        mean_tokens=float(counts @ tokens / counted),
        largest_batch=None if isinstance(batch, Missing) else batch[0] * batch[1],
        evidence=evidence if step_s is None else step_s,
    )


def _tokens(counts: Column, counted: float, totals: Totals) -> Column:
    """Mean tokens of each bucket's steps: at one place in all of them, so that the counted tokens come out."""
    whole, steps = totals.deltas["step_tokens_total"], totals.deltas["steps_total"]
    if whole is None or not steps:
        return np.asarray(_BEGINS ** (1 - MIDDLE) * _ENDS**MIDDLE)
    # Samples carry the histogram only now and then, so it may cover less than the counters do.
    wanted = whole / steps * counted
    reached = _GRID @ counts
    place = float(np.interp(wanted, reached, _PLACES))
    tokens = _BEGINS ** (1 - place) * _ENDS**place
    # What is left is the grid's own error, at most 1 part in 1,000.
    exact = tokens * (wanted / (counts @ tokens))
    return np.asarray(np.minimum(np.maximum(exact, _BEGINS), _ENDS))


def _largest_batch(counts: Column, counted: float, tokens: Column, totals: Totals) -> tuple[float, float] | Missing:
    """Generated tokens per step at most, and sequences per such token: beyond it a step holds prompt tokens."""
    steps, generated = totals.deltas["steps_total"], totals.deltas["generation_tokens_total"]
    sequence_steps = totals.deltas["decode_sequence_steps_total"]
    if not steps or not generated or sequence_steps is None:
        return Missing("the engine does not count generated tokens and decode batches, so no step's length can be told")
    wanted = generated / steps * counted
    ends = tokens[counts > 0]
    reached = np.minimum(tokens, ends[:, None]) @ counts
    most = float(np.interp(wanted, np.concatenate([_ZERO, reached]), np.concatenate([_ZERO, ends])))
    return most, sequence_steps / generated


def _seconds(model: StepModel, tokens: Column, most: float, sequences: float) -> Column:
    """Expected length of a step of each bucket, over the model's hypotheses."""
    decoded = np.minimum(tokens, most)
    batch, prompt = decoded * sequences, tokens - decoded
    values = np.exp(model.hypotheses.logs)[..., None]
    overlapped = np.array([[law is Law.OVERLAPPED] for law in model.hypotheses.laws])
    own = values[:, OVERHEAD] + values[:, SEQUENCE] * batch
    moved = values[:, WEIGHTS] + values[:, KV] * (batch * model.seen.lengths.context)
    computed = values[:, COMPUTE] * batch + values[:, PREFILL] * prompt
    lengths_s = own + np.where(overlapped, np.maximum(moved, computed), moved + computed)
    weights = model.hypotheses.weights
    return np.asarray(weights @ lengths_s / weights.sum(), dtype=np.float64)
