"""Blocks and a prior -> a `StepModel`: the most likely step costs under each hypothesis, and how sure they are.

A hypothesis is a law and a limit of prompt tokens per step; neither is reported by any engine. Hypotheses are averaged
by their posterior weight.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analyzer.evidence import Missing
from analyzer.hardware import Hardware
from analyzer.steptime.blocks import Blocks, Traffic, blocks
from analyzer.steptime.coefficients import Coefficient, coefficients
from analyzer.steptime.counted import Counted
from analyzer.steptime.equations import Equations, equations
from analyzer.steptime.hypotheses import Hypotheses
from analyzer.steptime.laws import Law
from analyzer.steptime.lengths import NO_LENGTHS
from analyzer.steptime.parts import Part
from analyzer.steptime.prior import Prior, attention_ratio, prior
from analyzer.steptime.solve import held_out, solve

CHUNK_TOKENS = (512.0, 2048.0, 8192.0)
"""Usual limits of prompt tokens per step: chunked prefill's old default, vLLM's, and vLLM's on large GPUs."""
MIN_COVERED_S = 590.0
"""Ten minutes, less what the polls at both ends leave out."""
MIN_BLOCKS = 5
MAX_BLOCKS = 120
"""More blocks cost time and add little: older ones are thinned out."""


@dataclass(frozen=True, slots=True)
class StepModel:
    """What a step of one replica costs, as far as its counters tell.

    `held_out_error` is the median relative error of busy (or inter-token) seconds of blocks that were not fitted.
    """

    hypotheses: Hypotheses
    prior: Prior
    seen: Traffic
    """Of the blocks that it was fitted to, which are not kept."""
    covered_s: float
    held_out_error: float | None
    pair_ratio: float
    """As `blocks` takes it."""
    coefficients: Mapping[str, Coefficient]
    """a, b, g and d by the names `step_s`, `sequence_s`, `kv_token_s`, `prefill_token_s`."""

    @property
    def decided(self) -> bool:
        """Whether live data, not the prior, decide what a step costs."""
        return self.coefficients["step_s"].identified

    @property
    def split(self) -> bool:
        """Whether weight and KV reads can be told from the rest: that takes hardware facts and requests' lengths."""
        return self.unsplit is None

    @property
    def unsplit(self) -> Missing | None:
        """Why they cannot; None if they can."""
        if not self.prior.split:
            return Missing("nothing tells weight reads from overhead")
        return None if self.seen.lengths.told else NO_LENGTHS

    def weight_of(self, law: Law) -> float:
        """Posterior weight of a law."""
        mine = [own is law for own in self.hypotheses.laws]
        return float(self.hypotheses.weights[mine].sum())


def fit(
    parts: Sequence[Part] | Counted, hardware: Hardware | Missing, *, mixed: bool = True, max_blocks: int = MAX_BLOCKS
) -> StepModel | Missing:
    """The model of one epoch from its parts (some minutes each, warm-up left out), or why there is none.

    `mixed`: whether a step may carry prompt and decode tokens at once.
    """
    pair_ratio = 0.0 if isinstance(hardware, Missing) else attention_ratio(hardware)
    seen = blocks(parts, mixed=mixed, pair_ratio=pair_ratio)
    if isinstance(seen, Missing):
        return seen
    covered_s = float(seen.covered_s.sum())
    if covered_s < MIN_COVERED_S:
        return Missing(
            f"only {covered_s // 60:.0f} minutes of traffic in this epoch: {MIN_COVERED_S / 60:.0f} are needed"
        )
    if len(seen) < MIN_BLOCKS:
        return Missing(f"traffic in only {len(seen)} spans of this epoch: {MIN_BLOCKS} are needed")
    if len(seen) > max_blocks:
        seen = seen.take(_thinned(len(seen), max_blocks))
    before = prior(hardware, seen.traffic)
    laws = tuple(Law) if before.split else (Law.ADDITIVE,)
    limits = _limits(seen)
    known = equations(seen, laws, limits)
    hypotheses = _hypotheses(known, limits, before, len(seen))
    best = hypotheses.likeliest
    missed = held_out(known.only(best.law, limits.index(best.chunk_tokens)), best.logs, before, len(seen))
    told = coefficients(hypotheses.weights, hypotheses.logs, hypotheses.covariances, before)
    return StepModel(hypotheses, before, seen.traffic, covered_s, missed, pair_ratio, told)


def _thinned(count: int, limit: int) -> NDArray[np.intp]:
    """Of more than the limit all of the newest half of it, and the older ones at even distances."""
    newest = limit // 2
    older = np.linspace(0, count - newest - 1, limit - newest).round().astype(np.intp)
    return np.concatenate([older, np.arange(count - newest, count)])


def _limits(seen: Blocks) -> list[float]:
    """The chunk limits that make a difference: those that no prompt reaches are one."""
    reached = [limit for limit in CHUNK_TOKENS if limit < seen.lengths.prefill]
    return [*reached, *CHUNK_TOKENS[len(reached) :][:1]]


def _hypotheses(known: Equations, limits: Sequence[float], before: Prior, blocks: int) -> Hypotheses:
    """Each law under each chunk limit, fitted and weighed; the last limit has the prior weight of all beyond it."""
    solved = solve(known, before, blocks)
    alike = [1.0] * (len(limits) - 1) + [1.0 + len(CHUNK_TOKENS) - len(limits)]
    cost = solved.cost - np.log(alike * len(known.laws))
    weights = np.exp(cost.min() - cost)
    weights /= weights.sum()
    laws = tuple(law for law in known.laws for _ in limits)
    return Hypotheses(laws, (*limits,) * len(known.laws), weights, solved.logs, solved.covariance)
