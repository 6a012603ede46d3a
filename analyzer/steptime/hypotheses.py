"""The fitted hypotheses of one step model, stacked: a law and a limit of prompt tokens per step each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from analyzer.steptime.laws import Array, Law


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One law and chunk limit, fitted: log coefficients (shape (6,)), their covariance (6, 6), its posterior weight."""

    law: Law
    chunk_tokens: float
    logs: Array
    covariance: Array
    weight: float


class Hypotheses(Iterable[Hypothesis]):
    """Of each its law and chunk limit, posterior weight, log coefficients and their covariance.

    One block of numbers: a thousand models are held, and as arrays of its own each hypothesis takes twice the memory.
    """

    __slots__ = ("_figures", "chunk_tokens", "laws")

    def __init__(
        self, laws: tuple[Law, ...], chunk_tokens: tuple[float, ...], weights: Array, logs: Array, covariances: Array
    ) -> None:
        """`weights` have shape (h,) and sum to 1, log coefficients (h, 6), and their `covariances` (h, 6, 6)."""
        self.laws, self.chunk_tokens = laws, chunk_tokens
        self._figures = np.concatenate([weights[:, None], logs, covariances.reshape(-1, 36)], axis=1)

    @property
    def weights(self) -> Array:
        """Posterior weights, shape (h,); they sum to 1."""
        return self._figures[:, 0]

    @property
    def logs(self) -> Array:
        """Log coefficients, shape (h, 6)."""
        return self._figures[:, 1:7]

    @property
    def covariances(self) -> Array:
        """Of the log coefficients, shape (h, 6, 6)."""
        return self._figures[:, 7:].reshape(-1, 6, 6)

    @property
    def mean(self) -> Array:
        """Mean coefficients over all hypotheses, shape (6,)."""
        return np.asarray(self.weights @ np.exp(self.logs))

    @property
    def likeliest(self) -> Hypothesis:
        """The one of the largest weight."""
        return self[int(np.argmax(self.weights))]

    def shifted(self, shift: Array, doubt: Array) -> Hypotheses:
        """With other log coefficients (a shift of shape (6,)) and more doubt of them (6, 6)."""
        return Hypotheses(self.laws, self.chunk_tokens, self.weights, self.logs + shift, self.covariances + doubt)

    def __iter__(self) -> Iterator[Hypothesis]:
        return map(self.__getitem__, range(len(self.laws)))

    def __getitem__(self, at: int) -> Hypothesis:
        row = self._figures[at]
        return Hypothesis(self.laws[at], self.chunk_tokens[at], row[1:7], row[7:].reshape(6, 6), float(row[0]))
