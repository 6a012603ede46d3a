"""What a replica is asked to do, by the request: from its totals and identity; and the limits it works within."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from analyzer.capacity.lengths import Points, alike, points
from analyzer.capacity.memory import kv_limit
from analyzer.capacity.room import Rooms
from analyzer.evidence import Missing
from analyzer.histograms import HISTOGRAMS, Counts, add_counts
from analyzer.samples import Identity
from analyzer.steptime.blocks import blocks
from analyzer.steptime.fit import CHUNK_TOKENS, StepModel
from analyzer.steptime.parts import Part, merged

LOADS = 6
"""A span's context and draft lengths are taken over so many parts, as the step model's are."""


@dataclass(frozen=True, slots=True)
class Mix:
    """Requests as they come; all but the rate are per request and stay as they are when the load changes.

    `prompts` are computed prompt tokens (cached ones excluded), equally likely values with the mix's own mean;
    `prompt_weights` what a token of each costs over what it costs on average (long prompts attend to more).
    `sequence_steps` are decode steps of one request: fewer than its tokens where drafts are accepted. `outputs` are
    equally likely relative lengths of outputs, of mean 1.
    """

    rate_per_s: float
    sequence_steps: float
    context_tokens: float
    prompts: Points
    prompt_weights: Points
    outputs: Points
    held_tokens: float
    """KV tokens of a request at its end: its prompt, cached tokens included, and its output."""
    cached_share: float = 0.0
    drafts: float = 0.0
    """Draft tokens verified per sequence and step."""
    mixed: bool = True
    """Whether one step may carry prompt chunks and decoding sequences."""

    def __post_init__(self) -> None:
        if not (self.rate_per_s > 0 and self.sequence_steps > 0 and min(self.prompts) > 0):
            raise ValueError("a mix needs requests with a prompt to compute and steps to decode")
        if len(self.prompts) != len(self.prompt_weights):
            raise ValueError("each prompt needs its weight")

    @property
    def prompt_tokens(self) -> float:
        """Mean computed prompt tokens of a request."""
        return float(np.mean(self.prompts))

    def at(self, rate_per_s: float) -> Mix:
        """The same requests at another rate."""
        return replace(self, rate_per_s=rate_per_s)


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds a replica; None: not known, and then not counted as a bound.

    `kv_bound`: queueing or preemption shows that KV memory limits the batch. Only then are tokens credited that a
    scheme frees.
    """

    chunk_tokens: float = CHUNK_TOKENS[1]
    seats: int | None = None
    kv_capacity_tokens: float | None = None
    kv_bound: bool = False
    rooms: Rooms | None = field(default=None, repr=False, compare=False)
    """Where it is computed already: what seats and KV memory hold, of each draw or one for all."""


def limits_of(
    parts: Sequence[Part],
    identity: Identity,
    model: StepModel | Missing,
    seats: int | None = None,
    chunk_tokens: float | None = None,
) -> Limits:
    """The limits as far as they are known; `seats` and `chunk_tokens` are the operator's figures, None = not stated."""
    chunk = CHUNK_TOKENS[1] if chunk_tokens is None else chunk_tokens
    if chunk_tokens is None and not isinstance(model, Missing):
        chunk = model.hypotheses.likeliest.chunk_tokens
    told = identity.kv_capacity_tokens
    held = None if told is None else float(told)
    return Limits(chunk, identity.slots if seats is None else seats, held, kv_limit(parts).limits is True)


def mix_of(parts: Sequence[Part], identity: Identity, pair_ratio: float = 0.0) -> Mix | Missing:
    """The mix of a span, or what is missing. `pair_ratio` as the step model has it: a pair's cost over a token's."""
    mixed = identity.mixed_steps is not False
    seen = blocks(merged(parts, LOADS), mixed=mixed, pair_ratio=0.0)
    if isinstance(seen, Missing):
        return seen
    lengths = seen.lengths
    prefills = seen.prefills if not np.isnan(seen.prefills).any() else seen.prefill_tokens / max(1.0, lengths.prefill)
    requests, covered_s = float(prefills.sum()), float(seen.covered_s.sum())
    steps = float(seen.sequence_steps.sum())
    if requests <= 0 or steps <= 0 or not lengths.prefill > 0:
        return Missing("no request was computed and decoded in this span")
    told: dict[str, Counts | None] = dict.fromkeys(HISTOGRAMS)
    for part in parts:
        told = {name: add_counts(told[name], part.totals.histograms[name]) for name in HISTOGRAMS}
    cached = max(0.0, lengths.prompt - lengths.prefill)
    prompts = points(told["prompt_lengths"], "prompt_lengths", lengths.prefill)
    weights = 1 + pair_ratio * np.array(prompts) * (cached / lengths.prefill + 0.5)
    weights /= float(np.average(weights, weights=prompts))
    output = 2 * max(lengths.context - lengths.prompt, 0.0)
    outputs = points(told["generation_lengths"], "generation_lengths", 1.0)
    # The context weighs outputs by their own length: their mean is less by the ratio of squares.
    mean_output = output / float(np.mean(np.square(outputs)))
    return Mix(
        rate_per_s=requests / covered_s,
        sequence_steps=steps / requests,
        context_tokens=lengths.context,
        prompts=prompts,
        prompt_weights=tuple(map(float, weights)),
        outputs=outputs,
        held_tokens=lengths.prompt + mean_output,
        cached_share=cached / lengths.prompt if lengths.prompt > 0 else 0.0,
        drafts=seen.drafts,
        mixed=mixed,
    )


def plain_mix(rate_per_s: float, prompt: float, output: float, *, mixed: bool = True) -> Mix:
    """A mix from flags alone: requests all alike, nothing cached, no drafts."""
    return Mix(rate_per_s, max(1.0, output - 1), prompt + output / 2, alike(prompt), alike(1.0), alike(1.0),
               prompt + output, mixed=mixed)  # fmt: skip
