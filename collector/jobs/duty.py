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
        self._closed: dict[float, dict[str, tuple[float, float]]] = {}

    def mean(self, uuid: str, since_s: float, now_s: float) -> float | None:
        """Mean utilization (0..1) of one GPU from the hour of `since_s` until now; None when it reported none."""
        first, current = since_s // HOUR_S * HOUR_S, now_s // HOUR_S * HOUR_S
        self._forget(first)
        total, span_s = self._sums(current, now_s).get(uuid, (0.0, 0.0))
        hour_s = first
        while hour_s < current:
            if hour_s not in self._closed:
                self._closed[hour_s] = self._sums(hour_s, hour_s + HOUR_S)
            more, longer_s = self._closed[hour_s].get(uuid, (0.0, 0.0))
            total, span_s = total + more, span_s + longer_s
            hour_s += HOUR_S
        return total / span_s if span_s > 0 else None

    def _sums(self, since_s: float, until_s: float) -> dict[str, tuple[float, float]]:
        """Utilization times seconds, and seconds, by GPU: readings far apart stand for more time than close ones."""
        sums: dict[str, tuple[float, float]] = {}
        for sample in self._history.gpu_samples(since_s, until_s):
            if sample.utilization_ratio is not None:
                total, span_s = sums.get(sample.uuid, (0.0, 0.0))
                weighed = sample.utilization_ratio * sample.interval_s
                sums[sample.uuid] = (total + weighed, span_s + sample.interval_s)
        return sums

    def _forget(self, before_s: float) -> None:
        for hour_s in [hour_s for hour_s in self._closed if hour_s < before_s]:
            del self._closed[hour_s]
