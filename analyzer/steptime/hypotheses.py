"""The fitted hypotheses of one step model, stacked: a law and a limit of prompt tokens per step each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import NDArray

from analyzer.steptime.laws import Law

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One law and chunk limit, fitted: log coefficients (shape (6,)), their covariance (6, 6), its posterior weight."""

    law: Law
    chunk_tokens: float
    logs: Array
    covariance: Array
    cost: float
    weight: float


class Hypotheses(Sequence[Hypothesis]):
    """Of each its law and chunk limit, cost and posterior weight, log coefficients and their covariance.

    One block of numbers: a thousand models are held, and as arrays of its own each hypothesis takes twice the memory.
    """

    __slots__ = ("_figures", "chunk_tokens", "laws")

    def __init__(
        self,
        named: tuple[tuple[Law, ...], tuple[float, ...]],
        costs: Array,
        weights: Array,
        logs: Array,
        covariances: Array,
    ) -> None:
        """`named` are the laws and the chunk limits; costs and weights have shape (h,), logs (h, 6), and (h, 6, 6)."""
        self.laws, self.chunk_tokens = named
        self._figures = np.concatenate([costs[:, None], weights[:, None], logs, covariances.reshape(-1, 36)], axis=1)

    @property
    def costs(self) -> Array:
        """Shape (h,)."""
        return self._figures[:, 0]

    @property
    def weights(self) -> Array:
        """Posterior weights, shape (h,); they sum to 1."""
        return self._figures[:, 1]

    @property
    def logs(self) -> Array:
        """Log coefficients, shape (h, 6)."""
        return self._figures[:, 2:8]

    @property
    def covariances(self) -> Array:
        """Of the log coefficients, shape (h, 6, 6)."""
        return self._figures[:, 8:].reshape(-1, 6, 6)

    def shifted(self, shift: Array, doubt: Array) -> Hypotheses:
        """With other log coefficients (a shift of shape (6,)) and more doubt of them (6, 6)."""
        named = self.laws, self.chunk_tokens
        return Hypotheses(named, self.costs, self.weights, self.logs + shift, self.covariances + doubt)

    def __len__(self) -> int:
        return len(self.laws)

    def __iter__(self) -> Iterator[Hypothesis]:
        return map(self._one, range(len(self)))

    @overload
    def __getitem__(self, at: int) -> Hypothesis: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Hypothesis]: ...
    def __getitem__(self, at: int | slice) -> Hypothesis | Sequence[Hypothesis]:
        places = range(len(self))[at]
        return self._one(places) if isinstance(places, int) else tuple(map(self._one, places))

    def _one(self, at: int) -> Hypothesis:
        row = self._figures[at]
        cost, weight = row[:2].tolist()
        return Hypothesis(self.laws[at], self.chunk_tokens[at], row[2:8], row[8:].reshape(6, 6), cost, weight)
