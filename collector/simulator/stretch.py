"""Consecutive pure-decode steps of one batch taken together: their length, components and distribution of lengths.

Within a stretch a step's length is linear in the KV tokens that it reads, with at most one change of regime (from
bytes-bound to compute-bound or back), so that k steps are summed in closed form instead of one by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from collector.simulator.histograms import Histogram

Tokens = NDArray[np.int64]
Seconds = NDArray[np.float64]


class Components(NamedTuple):
    """Seconds of one or more steps by what they went into."""

    weight_read_s: float
    kv_read_s: float
    decode_compute_s: float
    prefill_s: float
    overhead_s: float

    @property
    def total_s(self) -> float:
        """All of it."""
        return self.weight_read_s + self.kv_read_s + self.decode_compute_s + self.prefill_s + self.overhead_s


@dataclass(slots=True)
class Regime:
    """A decode step's components as functions of the KV tokens K that it reads: constants, and slopes per token."""

    weight_read_s: float
    kv_token_s: float
    compute_s: float
    compute_kv_token_s: float
    overhead_s: float

    @property
    def constant_s(self) -> float:
        """A step's length without KV cache."""
        return self.weight_read_s + self.compute_s + self.overhead_s

    @property
    def slope_s(self) -> float:
        """What one more KV token adds to a step."""
        return self.kv_token_s + self.compute_kv_token_s

    def add(self, sums: list[float], steps: int, kv_tokens: int) -> None:
        """Adds `steps` steps that read `kv_tokens` in sum to [weight read, KV read, decode compute, overhead]."""
        sums[0] += steps * self.weight_read_s
        sums[1] += kv_tokens * self.kv_token_s
        sums[2] += steps * self.compute_s + kv_tokens * self.compute_kv_token_s
        sums[3] += steps * self.overhead_s


class Stretch(Protocol):
    """What the server asks of consecutive decode steps. Step counts are from the first step of the stretch on."""

    def seconds(self, steps: int) -> float:
        """Length of the first `steps` steps."""

    def steps_within(self, seconds: float, limit: int) -> int:
        """The most steps, at most `limit`, that end within `seconds`."""

    def kv_tokens_read(self, steps: int) -> int:
        """KV tokens read, summed over steps and sequences."""

    def components(self, steps: int) -> Components:
        """What the first `steps` steps went into."""

    def observe(self, histogram: Histogram, steps: int, weight: int) -> None:
        """Observes each of the first `steps` steps' lengths `weight` times."""


class LinearStretch:
    """Steps that each read `batch` KV tokens more than the one before: sums in closed form.

    `regime` holds for the first `turn` steps and `later` after them; without `later`, `regime` holds throughout.
    """

    __slots__ = ("_first_s", "_slope_s", "batch", "kv_tokens", "later", "regime", "turn")

    def __init__(self, batch: int, kv_tokens: int, regime: Regime, turn: int = 0, later: Regime | None = None) -> None:
        self.batch = batch
        self.kv_tokens = kv_tokens
        self.regime = regime
        self.turn = turn
        self.later = later
        slope_s = regime.slope_s
        self._slope_s = batch * slope_s
        self._first_s = regime.constant_s + slope_s * kv_tokens

    def _rest(self) -> LinearStretch | None:
        """The steps behind the change of regime."""
        if self.later is None:
            return None
        return LinearStretch(self.batch, self.kv_tokens + self.turn * self.batch, self.later)

    def seconds(self, steps: int) -> float:
        """Length of the first `steps` steps."""
        rest = None if self.later is None or steps <= self.turn else self._rest()
        if rest is None:
            return steps * self._first_s + self._slope_s * (steps * (steps - 1) // 2)
        return self.seconds(self.turn) + rest.seconds(steps - self.turn)

    def steps_within(self, seconds: float, limit: int) -> int:
        """The most steps, at most `limit`, that end within `seconds`."""
        if self.later is not None and limit > self.turn:
            head_s = self.seconds(self.turn)
            rest = self._rest()
            if head_s <= seconds and rest is not None:
                return self.turn + rest.steps_within(seconds - head_s, limit - self.turn)
            limit = self.turn
        if seconds < self._first_s:
            return 0
        # steps·first + slope·steps·(steps-1)/2 = seconds, solved so that a slope of 0 does no harm
        linear_s = self._first_s - self._slope_s / 2
        steps = int(2 * seconds / (linear_s + sqrt(linear_s * linear_s + 2 * self._slope_s * seconds)))
        while steps < limit and self.seconds(steps + 1) <= seconds:
            steps += 1
        while steps > 0 and (steps > limit or self.seconds(steps) > seconds):
            steps = limit if steps > limit else steps - 1
        return steps

    def kv_tokens_read(self, steps: int) -> int:
        """KV tokens read, summed over steps and sequences."""
        return steps * self.kv_tokens + self.batch * (steps * (steps - 1) // 2)

    def components(self, steps: int) -> Components:
        """What the first `steps` steps went into."""
        head = steps if self.later is None else min(steps, self.turn)
        sums = [0.0, 0.0, 0.0, 0.0]
        head_kv_tokens = self.kv_tokens_read(head)
        self.regime.add(sums, head, head_kv_tokens)
        if self.later is not None and steps > head:
            self.later.add(sums, steps - head, self.kv_tokens_read(steps) - head_kv_tokens)
        return Components(sums[0], sums[1], sums[2], 0.0, sums[3])

    def observe(self, histogram: Histogram, steps: int, weight: int) -> None:
        """Observes each of the first `steps` steps' lengths `weight` times."""
        head = steps if self.later is None else min(steps, self.turn)
        histogram.observe_ramp(head, self._first_s, self._slope_s, weight)
        rest = self._rest()
        if rest is not None and steps > head:
            rest.observe(histogram, steps - head, weight)


class ArrayStretch:
    """Steps whose KV tokens are given one by one (shape: steps). `other`, where given, holds where it is longer."""

    __slots__ = ("_ends_s", "_lengths_s", "_other_holds", "kv_tokens", "other", "regime")

    def __init__(self, kv_tokens: Tokens, regime: Regime, other: Regime | None) -> None:
        self.kv_tokens = kv_tokens
        self.regime = regime
        self.other = other
        lengths_s: Seconds = np.asarray(regime.constant_s + regime.slope_s * kv_tokens, dtype=np.float64)
        self._other_holds: NDArray[np.bool_] | None = None
        if other is not None:
            others_s: Seconds = np.asarray(other.constant_s + other.slope_s * kv_tokens, dtype=np.float64)
            self._other_holds = others_s > lengths_s
            lengths_s = np.maximum(lengths_s, others_s)
        self._lengths_s = lengths_s
        self._ends_s: Seconds = np.cumsum(self._lengths_s)

    def seconds(self, steps: int) -> float:
        """Length of the first `steps` steps."""
        return float(self._ends_s[steps - 1]) if steps else 0.0

    def steps_within(self, seconds: float, limit: int) -> int:
        """The most steps, at most `limit`, that end within `seconds`."""
        return int(np.searchsorted(self._ends_s[:limit], seconds, side="right"))

    def kv_tokens_read(self, steps: int) -> int:
        """KV tokens read, summed over steps and sequences."""
        return int(self.kv_tokens[:steps].sum())

    def components(self, steps: int) -> Components:
        """What the first `steps` steps went into."""
        sums = [0.0, 0.0, 0.0, 0.0]
        read = self.kv_tokens[:steps]
        if self.other is None or self._other_holds is None:
            self.regime.add(sums, steps, int(read.sum()))
        else:
            holds = self._other_holds[:steps]
            others = int(holds.sum())
            others_read = int(read[holds].sum())
            self.regime.add(sums, steps - others, int(read.sum()) - others_read)
            self.other.add(sums, others, others_read)
        return Components(sums[0], sums[1], sums[2], 0.0, sums[3])

    def observe(self, histogram: Histogram, steps: int, weight: int) -> None:
        """Observes each of the first `steps` steps' lengths `weight` times."""
        histogram.observe_many(self._lengths_s[:steps], weight)
