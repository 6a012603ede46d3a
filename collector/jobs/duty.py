"""Mean GPU duty cycle over long spans: closed hours are read once and remembered."""

from __future__ import annotations

from typing import Protocol

from analyzer.samples import GpuSample

HOUR_S = 3600.0


class GpuHistory(Protocol):
    """What is asked of the store."""

    def gpu_samples(self, since_s: float, until_s: float, uuid: str | None = None) -> list[GpuSample]:
        """Samples of all GPUs within a span."""


class DutyCycles:
    """Sums of utilization by hour and GPU. Used by one thread."""

    def __init__(self, history: GpuHistory) -> None:
        self._history = history
        self._closed: dict[float, dict[str, tuple[float, int]]] = {}

    def mean(self, uuid: str, since_s: float, now_s: float) -> float | None:
        """Mean utilization (0..1) of one GPU from the hour of `since_s` until now; None when it reported none."""
        first, current = since_s // HOUR_S * HOUR_S, now_s // HOUR_S * HOUR_S
        self._forget(first)
        total, count = self._sums(current, now_s).get(uuid, (0.0, 0))
        hour_s = first
        while hour_s < current:
            if hour_s not in self._closed:
                self._closed[hour_s] = self._sums(hour_s, hour_s + HOUR_S)
            more, number = self._closed[hour_s].get(uuid, (0.0, 0))
            total, count = total + more, count + number
            hour_s += HOUR_S
        return total / count if count else None

    def _sums(self, since_s: float, until_s: float) -> dict[str, tuple[float, int]]:
        sums: dict[str, tuple[float, int]] = {}
        for sample in self._history.gpu_samples(since_s, until_s):
            if sample.utilization_ratio is not None:
                total, count = sums.get(sample.uuid, (0.0, 0))
                sums[sample.uuid] = (total + sample.utilization_ratio, count + 1)
        return sums

    def _forget(self, before_s: float) -> None:
        for hour_s in [hour_s for hour_s in self._closed if hour_s < before_s]:
            del self._closed[hour_s]
