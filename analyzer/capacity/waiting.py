"""Time to first token under a load: the rest of the step in progress, the prompts ahead, the own chunks, a seat.

Prompts are served first come, first served by a server that spends its steps' budget on them: an M/G/1 queue, whose
waiting time is a geometric number of residual service times (Pollaczek and Khinchine; Kleinrock 1975, Queueing Systems
I, 5.7). Where no seat is free, or no KV memory, an arrival waits for others to end (`scatter`).
"""

from __future__ import annotations

import numpy as np

from analyzer.capacity.costs import Array, Costs
from analyzer.capacity.load import Load, chunks, crowded, serving_s
from analyzer.capacity.mix import Limits, Mix

CELLS = 512
TILT = 1e-6
"""Terms beyond the grid come back scaled by this: the transform is taken on a smaller circle."""
RESIDUALS = (np.arange(4) + 0.5) / 4
SEAT_WAITS = -np.log1p(-(np.arange(8) + 0.5) / 8)
"""Equally likely values of an exponential wait of mean 1 ..."""
SEAT_WAITS = SEAT_WAITS / SEAT_WAITS.mean()
HALVINGS = 18


class Waits:
    """Times to first token of k draws under a load, looked at up to `horizon_s` (k, 1)."""

    def __init__(
        self, costs: Costs, mix: Mix, limits: Limits, at: Load, horizon_s: Array | float | None = None
    ) -> None:
        batch = np.minimum(at.batch, at.seats)
        cut = chunks(mix, limits, batch)
        decoding = batch if mix.mixed else np.zeros_like(batch)
        full = costs.step_s(decoding, mix.context_tokens, cut.full)
        rest = costs.step_s(decoding, mix.context_tokens, cut.rest)
        self._own = (cut.count - 1) * full + rest
        # While prompts wait the batch is larger than on average, since decoding goes on more slowly.
        behind = crowded(costs, mix, limits, at.rate_per_s, at.seats) if mix.mixed else batch
        serving = serving_s(costs, mix, limits, np.maximum(batch, behind))
        load = at.rate_per_s * serving.mean(axis=1, keepdims=True)
        self._load = np.minimum(load, 0.9999)
        busy = 1 - at.shares[:, :1]
        self._step = costs.step_s(np.maximum(batch / np.maximum(busy, 1e-9), 1.0), mix.context_tokens)
        self._busy, self._full = busy, at.full
        self._seat = at.room_in_s
        mean_serving = serving.mean(axis=1, keepdims=True)
        residual = (serving**2).mean(axis=1, keepdims=True) / 2 / mean_serving
        self._queue = self._load / (1 - self._load) * residual
        self.overloaded = (load >= 0.9999) | ~at.stable
        longest = 12 * (self.mean_s() + self._own.max(axis=1, keepdims=True))
        self._cell = np.broadcast_to(longest if horizon_s is None else horizon_s, load.shape) / CELLS
        self._waiting = _pollaczek_khinchine(serving, self._load, self._cell)

    def mean_s(self) -> Array:
        """Mean time to first token (k, 1)."""
        rest = self._busy * self._step / 2
        return np.asarray(self._queue + rest + self._own.mean(axis=1, keepdims=True) + self._full * self._seat)

    def within(self, limit_s: Array | float) -> Array:
        """Share of requests with a first token within `limit_s` (k, 1)."""
        left = np.asarray(limit_s) - self._own
        rest = left[..., None] - self._step[..., None] * RESIDUALS
        soon = (1 - self._busy) * self._reached(left).mean(axis=1, keepdims=True)
        soon = soon + self._busy * self._reached(rest).mean(axis=(1, 2))[:, None]
        late = rest[..., None] - (self._seat * SEAT_WAITS)[:, None, None]
        waited = self._reached(late).mean(axis=(1, 2, 3))[:, None]
        return np.asarray((1 - self._full) * soon + self._full * waited)

    def percentile_s(self, share: float) -> Array:
        """The time that `share` of the requests do not exceed (k, 1); infinite beyond the horizon."""
        low, high = np.zeros_like(self._cell), self._cell * CELLS
        beyond = self.within(high) < share
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            enough = self.within(middle) >= share
            low, high = np.where(enough, low, middle), np.where(enough, middle, high)
        return np.where(beyond | self.overloaded, np.inf, high)

    def _reached(self, waited_s: Array) -> Array:
        """Probability that the queue's wait is at most so long; shape as given, draws first."""
        flat = waited_s.reshape(len(waited_s), -1) / self._cell
        place = np.clip(flat, 0, CELLS - 1)
        below = np.minimum(place.astype(int), CELLS - 2)
        low = np.take_along_axis(self._waiting, below, axis=1)
        high = np.take_along_axis(self._waiting, below + 1, axis=1)
        found = np.where(flat < 0, 0.0, low + (high - low) * (place - below))
        return found.reshape(waited_s.shape)


def _pollaczek_khinchine(serving: Array, load: Array, cell: Array) -> Array:
    """Distribution function of the wait at 0, 1, 2 ... cells (k, CELLS)."""
    ends = np.arange(CELLS)[None, :, None] * cell[..., None]
    mass = np.clip(serving[:, None] - ends, 0, cell[..., None]).mean(axis=2) / serving.mean(axis=1, keepdims=True)
    # Each cell's mass goes half to either end, so that the mean stays.
    residual = (mass + np.concatenate([np.zeros_like(mass[:, :1]), mass[:, :-1]], axis=1)) / 2
    circle = TILT ** (np.arange(CELLS) / CELLS)
    turned = np.fft.fft(residual * circle, axis=1)
    waiting = np.fft.ifft((1 - load) / (1 - load * turned), axis=1).real / circle
    return np.asarray(np.minimum(np.cumsum(np.maximum(waiting, 0.0), axis=1), 1.0))
