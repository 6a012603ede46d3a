"""How many tokens requests have, over all parts: their prompts, the context read of them, what is computed of them."""

from __future__ import annotations

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


def lengths_of(told: Counted) -> Lengths:
    """Mean lengths; a sequence's later steps read more, so the context weighs outputs by their own length."""
    prompts, outputs = told.sum("finished_prompt_tokens_total"), told.sum("finished_generation_tokens_total")
    finished = told.sum("requests_finished_total")
    if not finished or prompts is None or outputs is None:
        prompts, outputs = told.sum("prompt_tokens_total"), told.sum("generation_tokens_total")
        finished = told.sum("prefills_total")
    if not finished or prompts is None or outputs is None:
        return UNTOLD
    prompt, output = prompts / finished, outputs / finished
    computed, prefills = told.sum("prefill_tokens_total"), told.sum("prefills_total")
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
    weights = told.lengths[name].sum(axis=0)
    whole = weights.sum()
    if whole <= 0:
        return 1.0
    middles = _middles(name)
    mean = float(weights @ middles / whole)
    return float(weights @ middles**2 / whole) / mean**2


@cache
def _middles(name: str) -> Column:
    bounds = bounds_of(ReplicaSample, name)
    return np.array([bounds[0], *((low + high) / 2 for low, high in pairwise(bounds)), bounds[-1]])
