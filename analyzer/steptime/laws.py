"""How a step's costs add up, and what blocks of steps then take, split by what the time went to.

`ADDITIVE`: everything in a step takes its time after everything else. `OVERLAPPED`: arithmetic hides behind the bytes
moved, or they behind it, whichever is longer (a roofline); overhead adds to both. Prompt tokens per step scatter, so
the overlapped law takes its expectation over a gamma distribution of shape 2 around their mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

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

    `decode` have at least one decoding sequence, of them `mixed` carry prompt tokens too; `alone` carry only these.
    """

    decode: Column
    mixed: Column
    alone: Column
    batch: Column
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
    return Steps(
        decode=decode,
        mixed=mixed,
        alone=first_alone * chunks,
        batch=batch,
        met_batch=np.minimum(
            np.minimum(seen.met_batch / np.maximum(met, 1e-3), 1.5 * batch),
            seen.sequence_steps / np.maximum(mixed, 1e-9),
        ),
        mixed_tokens=met * seen.prefill_tokens,
        alone_tokens=seen.alone * seen.prefill_tokens,
        chunks=chunks,
    )


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds of blocks (shape (..., n)): the first five sum to the busy time, the others are other cuts of it."""

    weight_read: Array
    kv_read: Array
    decode_compute: Array
    prefill: Array
    overhead: Array
    marginal_prefill: Array
    exclusive_prefill: Array
    gaps: Array
    """Sum of batch * step over the steps with a decoding sequence: inter-token seconds."""

    @property
    def busy(self) -> Array:
        """All of it."""
        return self.weight_read + self.kv_read + self.decode_compute + self.prefill + self.overhead

    @property
    def memory(self) -> Array:
        """Seconds whose length is set by bytes moved."""
        return self.weight_read + self.kv_read


def spent(law: Law, logs: Array, seen: Blocks, steps: Steps) -> Spent:
    """What the blocks take under log coefficients of shape (..., 6)."""
    values = np.exp(logs)[..., None]
    weights, overhead, compute, sequence, kv, prefill = (
        values[..., i, :] for i in (WEIGHTS, OVERHEAD, COMPUTE, SEQUENCE, KV, PREFILL)
    )
    all_steps = steps.decode + steps.alone
    lost = overhead * all_steps + sequence * seen.sequence_steps
    kv_sequence = kv * seen.lengths.context
    if law is Law.ADDITIVE:
        per_sequence = sequence + compute + kv_sequence
        alone_s = (weights + overhead) * steps.alone + prefill * steps.alone_tokens
        mixed_marginal = prefill * steps.mixed_tokens
        mixed_decode = steps.mixed * (weights + overhead + per_sequence * steps.met_batch)
        return Spent(
            weight_read=weights * all_steps,
            kv_read=kv_sequence * seen.sequence_steps,
            decode_compute=compute * seen.sequence_steps,
            prefill=prefill * seen.prefill_tokens,
            overhead=lost,
            marginal_prefill=alone_s + mixed_marginal,
            exclusive_prefill=alone_s + mixed_marginal + mixed_decode,
            gaps=(weights + overhead) * seen.sequence_steps
            + per_sequence * seen.sequence_steps * steps.batch * (1 + seen.batch_spread)
            + prefill * seen.prefill_tokens * seen.met_batch,
        )
    pure = np.maximum(steps.decode - steps.mixed, 0.0)
    batch = np.maximum(seen.sequence_steps - steps.mixed * steps.met_batch, 0.0) / np.maximum(pure, 1e-9)
    moved, computed = weights + kv_sequence * batch, compute * batch
    bound = moved >= computed
    met_moved, met_computed = weights + kv_sequence * steps.met_batch, compute * steps.met_batch
    chunk = prefill * steps.mixed_tokens / np.maximum(steps.mixed, 1e-9)
    met_s, met_bound = longer(met_moved, met_computed, chunk, steps.chunks)
    alone_chunk = prefill * steps.alone_tokens / np.maximum(steps.alone, 1e-9)
    alone_one, alone_bound = longer(weights, 0.0, alone_chunk, steps.chunks)
    met_decode = np.maximum(met_moved, met_computed)
    alone_s = steps.alone * (overhead + alone_one)
    marginal = steps.mixed * (met_s - met_decode)
    weight_s = weights * (pure * bound + steps.mixed * met_bound + steps.alone * alone_bound)
    kv_s = kv_sequence * (pure * bound * batch + steps.mixed * met_bound * steps.met_batch)
    decode_s = pure * ~bound * computed + steps.mixed * (1 - met_bound) * met_computed
    total = pure * np.maximum(moved, computed) + steps.mixed * met_s + steps.alone * alone_one
    own = overhead + sequence * steps.met_batch
    return Spent(
        weight_read=weight_s,
        kv_read=kv_s,
        decode_compute=decode_s,
        prefill=total - weight_s - kv_s - decode_s,
        overhead=lost,
        marginal_prefill=alone_s + marginal,
        exclusive_prefill=alone_s + steps.mixed * (own + met_s),
        gaps=pure * batch * (overhead + sequence * batch + np.maximum(moved, computed))
        + pure * batch * seen.batch_spread * (sequence * batch + np.maximum(moved, computed) - weights * bound)
        + steps.mixed * steps.met_batch * (own + met_s),
    )


def one_prefill(law: Law, logs: Array, seen: Blocks, steps: Steps) -> Array:
    """Seconds from a mean request's first chunk to its first token (shape (...,)), where prefills seldom overlap."""
    values = np.exp(logs)
    weights, overhead, compute, sequence, kv, prefill = (
        values[..., i] for i in (WEIGHTS, OVERHEAD, COMPUTE, SEQUENCE, KV, PREFILL)
    )
    batch = float(seen.met_batch @ seen.covered_s / seen.covered_s.sum())
    chunks, tokens_s = steps.chunks[..., 0], prefill * seen.lengths.prefill
    kv_s = kv * seen.lengths.context * batch
    own = (overhead + sequence * batch) * chunks
    if law is Law.ADDITIVE:
        return own + (weights + kv_s + compute * batch) * chunks + tokens_s
    return own + np.maximum((weights + kv_s) * chunks, tokens_s + compute * batch * chunks)


def longer(moved: Array, computed: Array | float, chunk: Array, chunks: Array | float) -> tuple[Array, Array]:
    """Expected longer side of steps with `chunk` more arithmetic on average, and the share that bytes set.

    The chunks of long prompts are full and so alike. Short prompts scatter; for X gamma of shape 2 and mean m:
    E max(0, X - h) = exp(-2h/m) (m + h), P(X < h) = 1 - exp(-2h/m) (1 + 2h/m).
    """
    spare = np.maximum(moved - computed, 0.0)
    longer = np.maximum(moved, computed)
    times = 2 * spare / np.maximum(chunk, 1e-15)
    left = np.exp(-times)
    scattered = left * (chunk + spare), np.where(moved > computed, 1 - left * (1 + times), 0.0)
    full = np.maximum(chunk - spare, 0.0), (chunk < spare) * 1.0
    few = 1 / chunks
    return longer + few * scattered[0] + (1 - few) * full[0], few * scattered[1] + (1 - few) * full[1]
