"""How a step's costs add up, and what blocks of steps then take, split by what the time went to.

`ADDITIVE`: everything in a step takes its time after everything else. `OVERLAPPED`: arithmetic hides behind the bytes
moved, or they behind it, whichever is longer (a roofline); overhead adds to both. Prompt tokens per step scatter, so
the overlapped law takes its expectation over a gamma distribution of shape 2 around their mean.

Twice the coefficients make twice the seconds under both laws, so that seconds are the sum of what each coefficient
sets of them (Euler), and that share is also how they rise with the coefficient's logarithm.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from analyzer.steptime.blocks import LARGEST_SHARE_ALONE, Blocks, Column
from analyzer.steptime.prior import COMPUTE, KV, OVERHEAD, PREFILL, SEQUENCE, WEIGHTS

Array = NDArray[np.float64]


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
    chunks: Array
    """Steps that one prompt takes (shape (..., 1))."""


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
        return self._values * _stacked(all_steps, all_steps, sequences, sequences, read, seen.prefill_tokens)

    @property
    def gaps(self) -> Array:
        seen, sequences = self._seen, self._seen.sequence_steps
        crowd = sequences * self._steps.batch * (1 + seen.batch_spread)
        met = seen.prefill_tokens * seen.met_batch
        return self._values * _stacked(sequences, sequences, crowd, crowd, seen.lengths.context * crowd, met)

    @property
    def exclusive(self) -> Array:
        seen, steps = self._seen, self._steps
        both, met = steps.alone + steps.mixed, steps.mixed * steps.met_batch
        return self._values * _stacked(both, both, met, met, seen.lengths.context * met, seen.prefill_tokens)

    @property
    def marginal(self) -> Array:
        alone, nothing = self._steps.alone, np.zeros_like(self._steps.alone)
        return self._values * _stacked(alone, alone, nothing, nothing, nothing, self._seen.prefill_tokens)


class _Overlapped:
    """The longer of bytes moved and arithmetic: one step of each class by coefficient, times how often it comes."""

    def __init__(self, values: Array, seen: Blocks, steps: Steps) -> None:
        weights, overhead, compute, sequence, kv, prefill = (
            values[..., i, None] for i in (WEIGHTS, OVERHEAD, COMPUTE, SEQUENCE, KV, PREFILL)
        )
        self._seen, self._steps = seen, steps
        kv_sequence = kv * seen.lengths.context
        read, computed = kv_sequence * steps.pure_batch, compute * steps.pure_batch
        bound = weights + read >= computed
        nothing = np.zeros_like(read)
        self._pure = _stacked(
            weights * bound, overhead + nothing, computed * ~bound, sequence * steps.pure_batch, read * bound, nothing
        )
        read, computed = kv_sequence * steps.met_batch, compute * steps.met_batch
        moved, own = weights + read, sequence * steps.met_batch
        bound = moved > computed
        self._decode = _stacked(weights * bound, overhead + nothing, computed * ~bound, own, read * bound, nothing)
        chunk = prefill * steps.mixed_tokens
        share, rise = longer(moved, computed, chunk, steps.chunks)
        self._met = _stacked(
            weights * share, overhead + nothing, computed * (1 - share), own, read * share, chunk * rise
        )
        chunk = prefill * steps.alone_tokens
        share, rise = longer(weights, 0.0, chunk, steps.chunks)
        self._alone = _stacked(weights * share, overhead + nothing, nothing, nothing, nothing, chunk * rise)

    @property
    def busy(self) -> Array:
        steps = self._steps
        return _of(steps.pure) * self._pure + self.exclusive

    @property
    def gaps(self) -> Array:
        steps = self._steps
        decoding = steps.pure * steps.pure_batch
        crowd = decoding * (1 + self._seen.batch_spread)
        often = _stacked(decoding, decoding, crowd, crowd, crowd, decoding)
        return often * self._pure + _of(steps.mixed * steps.met_batch) * self._met

    @property
    def exclusive(self) -> Array:
        return _of(self._steps.mixed) * self._met + _of(self._steps.alone) * self._alone

    @property
    def marginal(self) -> Array:
        return _of(self._steps.mixed) * (self._met - self._decode) + _of(self._steps.alone) * self._alone


def _of(count: Array) -> Array:
    """A count of steps (shape (..., n)) beside seconds by coefficient."""
    return count[..., None, :]


def one_prefill(law: Law, values: Array, seen: Blocks, steps: Steps) -> Array:
    """Seconds from a mean request's first chunk to its first token, where prefills seldom overlap.

    By the coefficient that sets them (shape (..., 6)), for coefficients of the same shape.
    """
    weights, overhead, compute, sequence, kv, prefill = (
        values[..., i] for i in (WEIGHTS, OVERHEAD, COMPUTE, SEQUENCE, KV, PREFILL)
    )
    batch = float(seen.met_batch @ seen.covered_s / seen.covered_s.sum())
    chunks, tokens_s = steps.chunks[..., 0], prefill * seen.lengths.prefill
    moved = weights * chunks, kv * seen.lengths.context * batch * chunks
    computed = compute * batch * chunks, tokens_s
    additive = law is Law.ADDITIVE
    bound = moved[0] + moved[1] >= computed[0] + computed[1]
    bytes_count, arithmetic_counts = bound | additive, ~bound | additive
    return np.stack(
        (
            moved[0] * bytes_count,
            overhead * chunks,
            computed[0] * arithmetic_counts,
            sequence * batch * chunks,
            moved[1] * bytes_count,
            computed[1] * arithmetic_counts,
        ),
        axis=-1,
    )


def longer(moved: Array, computed: Array | float, chunk: Array, chunks: Array | float) -> tuple[Array, Array]:
    """Of steps with `chunk` more arithmetic on average, the share whose length bytes set, and the chunk's rise.

    A step is expected to take `moved * share + computed * (1 - share) + chunk * rise`, and these are its slopes. The
    chunks of long prompts are full and so alike. Short prompts scatter; for X gamma of shape 2 and mean m:
    E max(0, X - h) = exp(-2h/m) (m + h), P(X < h) = 1 - exp(-2h/m) (1 + 2h/m).
    """
    spare = np.maximum(moved - computed, 0.0)
    times = 2 * spare / np.maximum(chunk, 1e-15)
    left = np.exp(-times)
    full = (chunk > spare) * 1.0
    few = 1 / chunks
    exceeded = few * left * (1 + times) + (1 - few) * full
    share = np.where(moved > computed, 1 - exceeded, 0.0)
    return share, exceeded + few * left * times**2 / 2
