"""How a step's costs add up, and what blocks of steps then take, split by what the time went to.

`ADDITIVE`: everything in a step takes its time after everything else. `OVERLAPPED`: arithmetic hides behind the bytes
moved, or they behind it, whichever is longer (a roofline); overhead adds to both. Prompt tokens per step scatter, so
the overlapped law takes its expectation over a gamma distribution of shape 2 around their mean.

Twice the coefficients make twice the seconds under both laws, so that seconds are the sum of what each coefficient
sets of them (Euler), and that share is also how they rise with the coefficient's logarithm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from analyzer.columns import Column
from analyzer.steptime.blocks import LARGEST_SHARE_ALONE, Blocks
from analyzer.steptime.overlapped import ALONE, Classes, Often, Priced, often

Array = NDArray[np.float64]

_CARRYING: Array = np.array([[0.0], [1.0], [1.0]])
_DECODING: Array = np.array([[1.0], [0.0], [0.0]])
"""Of the classes (shape (3, 1)), those whose steps carry prompt tokens, and the one whose steps carry none."""


class Law(StrEnum):
    """How bytes moved and arithmetic of one step add up."""

    ADDITIVE = "additive"
    OVERLAPPED = "overlapped"


@dataclass(frozen=True, slots=True)
class Steps:
    """Steps of blocks by what they carry (shape (..., n)), for assumptions (...) of prompt tokens per step at most.

    `decode` have at least one decoding sequence, of them `mixed` carry prompt tokens too and `pure` none; `alone` carry
    only prompt tokens. Batches and tokens named after a class are those of one of its steps.
    """

    decode: Column
    pure: Column
    mixed: Column
    alone: Column
    batch: Column
    pure_batch: Column
    met_batch: Column
    mixed_tokens: Column
    alone_tokens: Column
    prompt_tokens: Column
    """Of all steps."""
    chunks: Array
    """Steps that one prompt takes (shape (..., 1))."""

    def under(self, chosen: Sequence[int]) -> Steps:
        """Under some of the assumptions, by their numbers on the first axis."""
        if len(chosen) == len(self.chunks):
            return self
        each = (getattr(self, one.name) for one in fields(self))
        return Steps(*(one[chosen] if one.ndim == self.chunks.ndim else one for one in each))


def classify(seen: Blocks, chunk_tokens: float | Array) -> Steps:
    """The steps by class. Not counted by engines: prompt-only steps that give no output, all chunks but the last."""
    chunks = np.maximum(1.0, seen.lengths.prefill / np.asarray(chunk_tokens)[..., None])
    prefills = np.where(np.isnan(seen.prefills), seen.prefill_tokens / max(1.0, seen.lengths.prefill), seen.prefills)
    counted_alone = np.minimum(seen.alone * prefills, LARGEST_SHARE_ALONE * seen.steps)
    first_alone = counted_alone if seen.mixed else prefills
    decode = seen.steps - counted_alone if seen.mixed else seen.steps
    met = 1 - seen.alone
    # Short prompts arrive by chance and may share a step; the chunks of long ones follow one another.
    carried = met * prefills * chunks
    mixed = decode * -np.expm1(-carried / decode) / chunks + np.minimum(carried, decode) * (1 - 1 / chunks)
    batch = seen.sequence_steps / decode
    some = np.maximum(mixed, 1e-9)
    met_batch = np.minimum(np.minimum(seen.met_batch / np.maximum(met, 1e-3), 1.5 * batch), seen.sequence_steps / some)
    pure = np.maximum(decode - mixed, 0.0)
    alone = first_alone * chunks
    return Steps(
        decode=decode,
        pure=pure,
        mixed=mixed,
        alone=alone,
        batch=batch,
        pure_batch=np.maximum(seen.sequence_steps - mixed * met_batch, 0.0) / np.maximum(pure, 1e-9),
        met_batch=met_batch,
        mixed_tokens=met * seen.prefill_tokens / some,
        alone_tokens=seen.alone * seen.prefill_tokens / np.maximum(alone, 1e-9),
        prompt_tokens=seen.prefill_tokens,
        chunks=chunks,
    )


class Spent(Protocol):
    """Seconds of blocks by the coefficient that sets them (shape (..., 6, n)): they sum to the whole."""

    @property
    def busy(self) -> Array:
        """All time in steps."""

    @property
    def gaps(self) -> Array:
        """Sum of batch * step over the steps with a decoding sequence: inter-token seconds."""

    @property
    def exclusive(self) -> Array:
        """The steps that carry a prompt token."""

    @property
    def marginal(self) -> Array:
        """What the prompt tokens add to what the decode batches alone would take; a single one may be negative."""


def spent(law: Law, values: Array, seen: Blocks, steps: Steps) -> Spent:
    """What the blocks take under coefficients of shape (..., 6)."""
    return (_Additive if law is Law.ADDITIVE else _Overlapped)(values, seen, steps)


def _stacked(*parts: Array) -> Array:
    """Parts in the order of the coefficients along the second last axis."""
    shape = max((part.shape for part in parts), key=len)
    stacked = np.empty((*shape[:-1], len(parts), shape[-1]))
    for index, part in enumerate(parts):
        stacked[..., index, :] = part
    return stacked


class _Additive:
    """Every coefficient times how often it comes."""

    def __init__(self, values: Array, seen: Blocks, steps: Steps) -> None:
        self._values, self._seen, self._steps = values[..., None], seen, steps

    @property
    def busy(self) -> Array:
        seen, all_steps = self._seen, self._steps.decode + self._steps.alone
        sequences = seen.sequence_steps
        read = seen.lengths.context * sequences
        return self._values * _stacked(all_steps, all_steps, sequences, sequences, read, self._steps.prompt_tokens)

    @property
    def gaps(self) -> Array:
        seen, sequences = self._seen, self._seen.sequence_steps
        crowd = sequences * self._steps.batch * (1 + seen.batch_spread)
        met = self._steps.prompt_tokens * seen.met_batch
        return self._values * _stacked(sequences, sequences, crowd, crowd, seen.lengths.context * crowd, met)

    @property
    def exclusive(self) -> Array:
        seen, steps = self._seen, self._steps
        both, met = steps.alone + steps.mixed, steps.mixed * steps.met_batch
        return self._values * _stacked(both, both, met, met, seen.lengths.context * met, steps.prompt_tokens)

    @property
    def marginal(self) -> Array:
        alone, nothing = self._steps.alone, np.zeros_like(self._steps.alone)
        return self._values * _stacked(alone, alone, nothing, nothing, nothing, self._steps.prompt_tokens)


class _Overlapped:
    """The longer of bytes moved and arithmetic."""

    def __init__(self, values: Array, seen: Blocks, steps: Steps) -> None:
        self._often, self._classes = by_class(steps)
        self._crowd = crowd_of(seen)
        self._one = Priced(values, self._classes, seen.lengths.context)

    @property
    def busy(self) -> Array:
        return self._one.seconds(often(self._often, self._classes))

    @property
    def gaps(self) -> Array:
        return self._one.seconds(often(self._often * self._classes.batch, self._classes, self._crowd))

    @cached_property
    def _prompted(self) -> Often:
        return often(with_prompts(self._often), self._classes)

    @property
    def exclusive(self) -> Array:
        return self._one.seconds(self._prompted)

    @property
    def marginal(self) -> Array:
        counted = self._prompted
        nothing = np.zeros_like(counted.all_steps)
        alone = replace(counted, all_steps=self._often[..., ALONE, :], all_sequences=nothing)
        return self._one.more_than_decode(alone)


def by_class(steps: Steps) -> tuple[Array, Classes]:
    """How often each class of steps comes (shape (..., 3, n)), and what one of its steps carries."""
    nothing = np.zeros_like(steps.alone)
    few = np.broadcast_to(1 / steps.chunks, steps.alone.shape)
    classes = Classes(
        batch=np.stack([steps.pure_batch, steps.met_batch, nothing], axis=-2),
        tokens=np.stack([nothing, steps.mixed_tokens, steps.alone_tokens], axis=-2),
        few=np.stack([nothing, few, few], axis=-2),
    )
    return np.stack([steps.pure, steps.mixed, steps.alone], axis=-2), classes


def with_prompts(times: Array) -> Array:
    """Of counts by class (shape (..., 3, n)) those of steps that carry a prompt token."""
    carrying: Array = times * _CARRYING
    return carrying


def crowd_of(seen: Blocks) -> Array:
    """Sequences of a step by class that inter-token seconds count for each of its sequences (shape (3, n))."""
    return 1 + _DECODING * seen.batch_spread


def one_prefill(seen: Blocks, steps: Steps) -> Steps:
    """A mean request's prefill as a block (shape (..., 1)): its chunks' steps, all full, where prefills seldom overlap.

    What they take is from the request's first chunk to its first token.
    """
    chunks, nothing = steps.chunks, np.zeros_like(steps.chunks)
    batch = np.full_like(chunks, seen.met_batch @ seen.covered_s / seen.covered_s.sum())
    tokens = np.full_like(chunks, seen.lengths.prefill)
    return Steps(
        decode=chunks,
        pure=nothing,
        mixed=chunks,
        alone=nothing,
        batch=batch,
        pure_batch=nothing,
        met_batch=batch,
        mixed_tokens=tokens / chunks,
        alone_tokens=nothing,
        prompt_tokens=tokens,
        chunks=np.full_like(chunks, np.inf),
    )
