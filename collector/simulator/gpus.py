"""GPU readings of a simulated server, as NVML and its GPM metrics would give them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from collector.simulator.server import BUSY_MEMORY_S, SimulatedServer
from collector.simulator.truth import Truth

GpuReading = dict[str, float | str | None]
"""The fields of `analyzer.samples.GpuSample` by name."""


@dataclass(frozen=True, slots=True)
class GpuModel:
    """A GPU's facts. Rates are peaks without sparsity; `idle_w` is an assumption where no source is named."""

    name: str
    bandwidth_bytes_per_s: float
    flops_per_s: float
    memory_bytes: float
    tdp_w: float
    idle_w: float
    sm_clock_hz: float
    memory_clock_hz: float


_PROFILED = ("sm_active_ratio", "tensor_active_ratio", "dram_active_ratio")
_OCCUPANCY = 0.3
"""Share of the warps that fit which a busy SM holds: an assumption, nothing is concluded from it."""


def uuid(number: int) -> str:
    """The UUID of simulated GPU `number`: a pattern that no real driver gives."""
    return f"GPU-51000000-0000-4000-8000-{number:012d}"


class SimulatedGpus:
    """The GPUs that one server runs on, all equally busy.

    `utilization_ratio` is the duty cycle over the last `sample_period_s` in whole percent, times a normal factor of
    standard deviation `noise` (drawn from `rng`). `*_active_ratio` are means since the reading before, None at first.
    Power goes linearly with the duty cycle from idle to TDP; energy is its exact integral.
    """

    def __init__(
        self,
        server: SimulatedServer,
        model: GpuModel,
        first_number: int,
        *,
        started_unix_s: float,
        memory_utilization: float = 0.92,
        sample_period_s: float = 1.0,
        noise: float = 0.0,
        rng: np.random.Generator | None = None,
    ) -> None:
        if noise > 0 and rng is None:
            raise ValueError("noise needs a random generator")
        if not 0 < sample_period_s <= BUSY_MEMORY_S:
            raise ValueError(f"sample_period_s must be in (0, {BUSY_MEMORY_S:.0f}]")
        self._server = server
        self._model = model
        self._numbers = range(first_number, first_number + server.costs.tensor_parallel)
        self._started_unix_s = started_unix_s
        self._memory_utilization = memory_utilization
        self._sample_period_s = sample_period_s
        self._noise = noise
        self._rng = rng
        self._before: Truth | None = None

    def read(self, interval_s: float) -> list[GpuReading]:
        """One reading per GPU at the server's virtual time; `interval_s` is passed through."""
        now = self._server.truth()
        model = self._model
        duty = self._duty(now.at_s)
        active = self._active(now)
        readings: list[GpuReading] = []
        for number in self._numbers:
            seen = duty
            if duty is not None and self._rng is not None and self._noise > 0:
                seen = min(1.0, max(0.0, duty * self._rng.normal(1.0, self._noise)))
            readings.append(
                {
                    "uuid": uuid(number),
                    "at_s": self._started_unix_s + now.at_s,
                    "interval_s": interval_s,
                    "name": model.name,
                    "utilization_ratio": None if seen is None else round(100 * seen) / 100,
                    "memory_used_bytes": self._memory_utilization * model.memory_bytes,
                    "memory_total_bytes": model.memory_bytes,
                    "power_w": None if duty is None else model.idle_w + (model.tdp_w - model.idle_w) * duty,
                    "ecc_errors_total": 0.0,
                    "energy_j_total": model.idle_w * now.at_s + (model.tdp_w - model.idle_w) * now.busy_s,
                    "sm_clock_hz": model.sm_clock_hz,
                    "memory_clock_hz": model.memory_clock_hz,
                    "temperature_celsius": None if duty is None else 35.0 + 35.0 * duty,
                    "throttled_ratio": 0.0,
                    **active,
                }
            )
        return readings

    def _duty(self, at_s: float) -> float | None:
        """Busy share of the last sample period; None at the very start."""
        start_s = max(0.0, at_s - self._sample_period_s)
        if at_s <= start_s:
            return None
        return min(1.0, self._server.busy_between(start_s, at_s) / (at_s - start_s))

    def _active(self, now: Truth) -> dict[str, float | None]:
        """Pipe and memory activity since the reading before."""
        before, self._before = self._before, now
        if before is None or now.at_s <= before.at_s:
            return dict.fromkeys((*_PROFILED, "sm_occupancy_ratio"))
        span = now - before
        gpus = len(self._numbers)
        return {
            "sm_active_ratio": min(1.0, span.busy_s / span.at_s),
            "sm_occupancy_ratio": _OCCUPANCY * min(1.0, span.busy_s / span.at_s),
            "tensor_active_ratio": min(1.0, span.flops / (gpus * self._model.flops_per_s * span.at_s)),
            "dram_active_ratio": min(1.0, span.bytes_read / (gpus * self._model.bandwidth_bytes_per_s * span.at_s)),
        }
