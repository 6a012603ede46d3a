"""Requests as a seeded stream: arrivals that swing through the day, lognormal lengths, cached prefixes, aborts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import log, pi

import numpy as np
from numpy.typing import NDArray

DAY_S = 86_400.0
_CHUNK = 1024


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request as the client sends it, at virtual time `at_s`.

    `output_tokens` is what it would generate; reaching `max_tokens` (None = no limit asked) ends it with reason
    `length`, else `stop`. `cached_tokens` are found in the prefix cache (the server rounds them down to blocks). The
    client goes away after `abort_after_tokens` output tokens, if given. Raises ValueError for a request without tokens.
    """

    at_s: float
    prompt_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    max_tokens: int | None = None
    abort_after_tokens: int | None = None

    def __post_init__(self) -> None:
        limits = (self.max_tokens, self.abort_after_tokens)
        if self.at_s < 0 or self.prompt_tokens < 1 or self.output_tokens < 1 or self.cached_tokens < 0:
            raise ValueError(f"a request needs a time of at least 0, a prompt and an output, not {self}")
        if any(limit is not None and limit < 1 for limit in limits):
            raise ValueError(f"max_tokens and abort_after_tokens must be at least 1, not {self}")


@dataclass(frozen=True, slots=True)
class Lengths:
    """Lognormal token counts: `mean` before the limits cut, `sigma` of the logarithm (0 = always the mean)."""

    mean: float
    sigma: float
    minimum: int
    maximum: int

    def __post_init__(self) -> None:
        if not 1 <= self.minimum <= self.maximum or self.mean <= 0 or self.sigma < 0:
            raise ValueError("lengths need 1 <= minimum <= maximum, a positive mean and a sigma of at least 0")

    def draw(self, rng: np.random.Generator, count: int) -> list[int]:
        """`count` lengths."""
        drawn = rng.lognormal(log(self.mean) - self.sigma**2 / 2, self.sigma, count)
        return [int(value) for value in np.clip(np.rint(drawn), self.minimum, self.maximum)]


@dataclass(frozen=True, slots=True)
class Traffic:
    """An open-loop stream of requests.

    rate(t) = `rate_per_s` · (1 + `swing` · sin(2π·(t - `swing_start_s`) / `swing_period_s`)). Gaps are
    gamma-distributed in operational time with coefficient of variation `gap_variation`: 1 is Poisson, more is bursty.
    `cached_share` of every prompt is in the prefix cache; `abort_share` of the clients leave at a random point of
    their output.
    """

    rate_per_s: float
    prompt: Lengths
    output: Lengths
    swing: float = 0.0
    swing_period_s: float = DAY_S
    swing_start_s: float = 0.0
    gap_variation: float = 1.0
    cached_share: float = 0.0
    abort_share: float = 0.0

    def __post_init__(self) -> None:
        if self.rate_per_s <= 0 or self.gap_variation <= 0 or self.swing_period_s <= 0:
            raise ValueError("rate_per_s, gap_variation and swing_period_s must be positive")
        if not (0 <= self.swing < 1 and 0 <= self.cached_share < 1 and 0 <= self.abort_share <= 1):
            raise ValueError("swing and cached_share must be in [0, 1), abort_share in [0, 1]")

    def rate_at(self, at_s: float) -> float:
        """Requests per second at virtual time `at_s`."""
        turn = 2 * pi * (at_s - self.swing_start_s) / self.swing_period_s
        return self.rate_per_s * (1 + self.swing * float(np.sin(turn)))

    def arrivals(self, rng: np.random.Generator) -> Iterator[Arrival]:
        """The requests from virtual time 0 on, without end; the same generator state gives the same requests."""
        shape = self.gap_variation**-2
        expected = 0.0
        while True:
            # A renewal process in operational time (expected requests so far) has the wanted rate in real time.
            at = expected + np.cumsum(rng.gamma(shape, 1 / shape, _CHUNK))
            expected = float(at[-1])
            times = self._times(at).tolist()
            prompts = self.prompt.draw(rng, _CHUNK)
            outputs = self.output.draw(rng, _CHUNK)
            leaves = rng.random(_CHUNK).tolist()
            for at_s, prompt, output, leave in zip(times, prompts, outputs, leaves, strict=True):
                abort_after = None
                if leave < self.abort_share and output > 1:
                    abort_after = 1 + int((output - 1) * leave / self.abort_share)
                yield Arrival(at_s, prompt, output, int(self.cached_share * prompt), self.output.maximum, abort_after)

    def _times(self, expected: NDArray[np.float64]) -> NDArray[np.float64]:
        """Solves `expected requests until t` = `expected` for t, by bisection."""
        if self.swing == 0:
            return expected / self.rate_per_s
        turn = 2 * pi / self.swing_period_s
        start = np.cos(turn * self.swing_start_s)
        wanted = expected / self.rate_per_s
        reach = 2 * self.swing / turn
        low, high = np.maximum(wanted - reach, 0.0), wanted + reach
        for _ in range(60):
            middle = (low + high) / 2
            swung = middle + self.swing / turn * (start - np.cos(turn * (middle - self.swing_start_s)))
            above = swung > wanted
            high = np.where(above, middle, high)
            low = np.where(above, low, middle)
        return high
