"""How many tokens requests have, over all parts: their prompts, the context read of them, what is computed of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np

from analyzer.columns import Column
from analyzer.evidence import Missing
from analyzer.samples import ReplicaSample, bounds_of
from analyzer.steptime.counted import Counted

UNTOLD_PROMPT_TOKENS = 512.0
"""Prompt tokens of a step where no request's are counted: llama.cpp's physical batch, whatever a prompt's length."""


@dataclass(frozen=True, slots=True)
class Lengths:
    """Tokens per request over the whole fit.

    `prompt` is a request's prompt, `context` the mean number of KV tokens that a decoding sequence reads per step,
    `prefill_context` the mean number that a computed prompt token attends to, `prefill` a request's computed tokens.
    """

    prompt: float
    context: float
    prefill_context: float
    prefill: float
    told: bool = True
    """If not, contexts are 0, so that what they cost is found in the cost of a sequence and of a prompt token."""


NO_LENGTHS = Missing("no request's lengths tell how much context is read")
UNTOLD = Lengths(UNTOLD_PROMPT_TOKENS, 0.0, 0.0, UNTOLD_PROMPT_TOKENS, told=False)


def lengths_of(told: Counted, sums: Mapping[str, float | None]) -> Lengths:
    """Mean lengths; a sequence's later steps read more, so the context weighs outputs by their own length.

    `sums` are those of `told`.
    """
    prompts, outputs = sums["finished_prompt_tokens_total"], sums["finished_generation_tokens_total"]
    finished = sums["requests_finished_total"]
    if not finished or prompts is None or outputs is None:
        prompts, outputs = sums["prompt_tokens_total"], sums["generation_tokens_total"]
        finished = sums["prefills_total"]
    if not finished or prompts is None or outputs is None:
        return UNTOLD
    prompt, output = prompts / finished, outputs / finished
    computed, prefills = sums["prefill_tokens_total"], sums["prefills_total"]
    own = prompt if computed is None or not prefills else computed / prefills
    spread_out, spread_in = (_second_moment(told, name) for name in ("generation_lengths", "prompt_lengths"))
    return Lengths(
        prompt=prompt,
        context=prompt + output / 2 * spread_out,
        prefill_context=max(0.0, prompt - own) + own / 2 * spread_in,
        prefill=own,
    )


def _second_moment(told: Counted, name: str) -> float:
    """Mean square over squared mean, values taken at the middle of their buckets; 1 when no histogram tells."""
    whole, first, second = (told.lengths[name] @ _powers(name)).sum(axis=0).tolist()
    if whole <= 0:
        return 1.0
    return float(second / whole / (first / whole) ** 2)


@cache
def _powers(name: str) -> Column:
    """The middles of a histogram's buckets to the powers 0, 1 and 2 (shape (buckets, 3))."""
    bounds = bounds_of(ReplicaSample, name)
    middles = np.array([bounds[0], *((low + high) / 2 for low, high in pairwise(bounds)), bounds[-1]])
    return np.stack([np.ones_like(middles), middles, middles**2], axis=1)
