"""The overlapped law: of each step the longer of bytes moved and arithmetic, by class of steps and by coefficient.

Steps are of three classes, along the second last axis of every array here: decode tokens only (`PURE`), prompt and
decode tokens (`MIXED`), prompt tokens only (`ALONE`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analyzer.steptime.prior import COMPUTE, KV, OVERHEAD, PREFILL, SEQUENCE, WEIGHTS

Array = NDArray[np.float64]

PURE, MIXED, ALONE = range(3)


@dataclass(frozen=True, slots=True)
class Classes:
    """One step of each class in n blocks: its decode batch and its prompt tokens, each of shape (..., 3, n).

    `few` is the share of a prompt's chunks that scatter as short prompts do (see `longer`); no steps of its own are 0.
    """

    batch: Array
    tokens: Array
    few: Array


@dataclass(frozen=True, slots=True)
class Often:
    """How often m sums over steps count the steps of each class, their sequences and prompt tokens: (..., 3, m).

    `all_steps` and `all_sequences` (..., m) are those that overhead falls on.
    """

    steps: Array
    sequences: Array
    tokens: Array
    all_steps: Array
    all_sequences: Array


def often(times: Array, classes: Classes, crowd: Array | float = 1.0) -> Often:
    """Sums that take the steps of each class so many `times`, their sequences `crowd` times more often."""
    sequences = times * classes.batch * crowd
    return Often(times, sequences, times * classes.tokens, times.sum(axis=-2), sequences.sum(axis=-2))


class Priced:
    """One step of each class under coefficients of shape (..., 6); `context` is in KV tokens a sequence."""

    def __init__(self, values: Array, classes: Classes, context: float) -> None:
        weights, compute, kv, prefill = (values[..., i, None, None] for i in (WEIGHTS, COMPUTE, KV, PREFILL))
        self._values, self._context = values[..., None], context
        beyond = weights + (kv * context - compute) * classes.batch
        self._decode_bound = beyond > 0
        self._share, self._rise = longer(beyond, prefill * classes.tokens, classes.few)

    def seconds(self, counted: Often, at: NDArray[np.intp] | None = None) -> Array:
        """Seconds of each sum by the coefficient that sets them: (..., 6, m). `at` are the sums' blocks."""
        share, rise = self._share, self._rise
        if at is not None:
            share, rise = share.take(at, axis=-1), rise.take(at, axis=-1)
        return self._by_coefficient(counted, share, rise)

    def more_than_decode(self, counted: Often) -> Array:
        """What prompt tokens add to the same decode batches alone; `counted` has no steps without prompt tokens."""
        share = self._share.copy()
        share[..., MIXED, :] -= self._decode_bound[..., MIXED, :]
        return self._by_coefficient(counted, share, self._rise)

    def _by_coefficient(self, counted: Often, by_bytes: Array, rise: Array) -> Array:
        found = np.empty((*by_bytes.shape[:-2], 6, by_bytes.shape[-1]))
        reading = _sum(counted.sequences, by_bytes)
        found[..., WEIGHTS, :] = _sum(counted.steps, by_bytes)
        found[..., OVERHEAD, :] = counted.all_steps
        found[..., COMPUTE, :] = counted.all_sequences - reading
        found[..., SEQUENCE, :] = counted.all_sequences
        found[..., KV, :] = self._context * reading
        found[..., PREFILL, :] = _sum(counted.tokens, rise)
        found *= self._values
        return found


def _sum(counts: Array, each: Array) -> Array:
    """Over the classes."""
    added: Array = (counts * each).sum(axis=-2)
    return added


def longer(beyond: Array, chunk: Array, few: Array | float) -> tuple[Array, Array]:
    """Of steps with `chunk` more arithmetic on average, the share whose length bytes set, and the chunk's rise.

    `beyond` are the seconds of their bytes moved less those of their other arithmetic: a step is expected to take the
    latter and `beyond * share + chunk * rise`, and these are its slopes. The chunks of long prompts are full and so
    alike. Short prompts (`few` of the chunks, 0..1) scatter; for X gamma of shape 2 and mean m:
    E max(0, X - h) = exp(-2h/m) (m + h), P(X < h) = 1 - exp(-2h/m) (1 + 2h/m).
    """
    spare = np.maximum(beyond, 0.0)
    times = 2 * spare / np.maximum(chunk, 1e-15)
    scattered = few * np.exp(-times)
    exceeded = scattered * (1 + times) + (1 - few) * (chunk > spare)
    share = (1 - exceeded) * (beyond > 0)
    return share, exceeded + scattered * times**2 / 2
