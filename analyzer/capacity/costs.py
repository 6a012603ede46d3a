"""Step-time coefficients of several draws at once: seconds of steps, and what prompt chunks add to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from analyzer.predict.transform import Coefficients
from analyzer.steptime.fit import StepModel
from analyzer.steptime.laws import Law
from analyzer.steptime.prior import COEFFICIENTS

Array = NDArray[np.float64]

SHARP = 12.0
"""From this rounding on the longer side hides the other wholly, and all bytes moved are one side: the step-time model's
own overlapped law.
"""
COSTS = tuple(one.name for one in fields(Coefficients) if one.name != "rounding")


@dataclass(frozen=True, slots=True)
class Costs:
    """`Coefficients` of k draws, each array of shape (k, 1): units as there."""

    weight_read_s: Array
    overhead_s: Array
    sequence_compute_s: Array
    sequence_overhead_s: Array
    kv_token_s: Array
    prefill_token_s: Array
    rounding: float

    def __len__(self) -> int:
        return len(self.weight_read_s)

    def at(self, rows: slice) -> Costs:
        """Some of the draws."""
        return Costs(**{name: getattr(self, name)[rows] for name in COSTS}, rounding=self.rounding)

    @classmethod
    def together(cls, each: Sequence[Costs]) -> Costs:
        """All draws in a row. Raises ValueError where they follow different laws."""
        (rounding,) = {one.rounding for one in each}
        return cls(**{name: np.concatenate([getattr(one, name) for one in each]) for name in COSTS}, rounding=rounding)

    def step_s(self, batch: Array | float, context_tokens: float, prefill_tokens: Array | float = 0.0) -> Array:
        """Seconds of steps with `batch` sequences that read `context_tokens` each; arrays of shape (k or 1, n)."""
        computed = self.sequence_compute_s * batch + self.prefill_token_s * prefill_tokens
        if self.rounding == 1:
            fixed, each = (
                self.weight_read_s + self.overhead_s,
                self.sequence_overhead_s + self.kv_token_s * context_tokens,
            )
            return np.asarray(fixed + each * batch + computed)
        if self.rounding >= SHARP:
            moved = self.weight_read_s + self.kv_token_s * batch * context_tokens
            return np.asarray(self.overhead_s + self.sequence_overhead_s * batch + np.maximum(moved, computed))
        longer = np.maximum(np.maximum(self.weight_read_s, computed), 1e-15)
        power = (self.weight_read_s / longer) ** self.rounding + (computed / longer) ** self.rounding
        own = self.overhead_s + self.sequence_overhead_s * batch
        return np.asarray(own + longer * power ** (1 / self.rounding) + self.kv_token_s * batch * context_tokens)


def fitted_coefficients(model: StepModel) -> Coefficients | None:
    """The model's coefficients under its likelier law; None where weight reads cannot be told from overhead."""
    if not model.split:
        return None
    law = max(Law, key=model.weight_of)
    own = [one for one in model.hypotheses if one.law is law]
    values = np.sum([one.weight * np.exp(one.logs) for one in own], axis=0) / sum(one.weight for one in own)
    told = dict(zip(COEFFICIENTS, map(float, values), strict=True))
    return Coefficients(**told, rounding=1.0 if law is Law.ADDITIVE else SHARP)


def costs_of(draws: Sequence[Coefficients]) -> Costs:
    """The draws side by side. Raises ValueError where they follow different laws."""
    (rounding,) = {one.rounding for one in draws}
    return Costs(**{name: np.array([[getattr(one, name)] for one in draws]) for name in COSTS}, rounding=rounding)
