"""Mean GPU duty cycle over spans: closed hours are read once and remembered, by bucket of five minutes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from analyzer.samples import GpuSample
from analyzer.steptime.parts import duty_of

HOUR_S = 3600.0
BUCKET_S = 300.0


class GpuHistory(Protocol):
    """What is asked of the store."""

    def gpu_samples(self, since_s: float, until_s: float, uuid: str | None = None) -> list[GpuSample]:
        """Samples of all GPUs within a span."""


@dataclass(slots=True)
class Sums:
    """Utilization times seconds, and seconds: readings far apart stand for more time than close ones."""

    weighed_s: float = 0.0
    span_s: float = 0.0
    readings: list[float] = field(default_factory=list)


Hour = dict[str, dict[float, Sums]]
"""By GPU and start of the bucket."""


class DutyCycles:
    """Sums of utilization by bucket and GPU. Used by one thread."""

    def __init__(self, history: GpuHistory) -> None:
        self._history = history
        self._closed: dict[float, Hour] = {}

    def mean(self, uuid: str, since_s: float, now_s: float) -> float | None:
        """Mean utilization (0..1) of one GPU from the hour of `since_s` until now; None when it reported none."""
        sums = [one for hour in self._hours(since_s, now_s) for one in hour.get(uuid, {}).values()]
        span_s = sum(one.span_s for one in sums)
        return sum(one.weighed_s for one in sums) / span_s if span_s > 0 else None

    def by_bucket(self, uuid: str, since_s: float, now_s: float) -> dict[float, tuple[float, float]]:
        """Mean utilization (0..1) of one GPU and its standard error, by start of the five-minute bucket."""
        found = {}
        for hour in self._hours(since_s, now_s):
            for bucket_s, sums in hour.get(uuid, {}).items():
                mean, error = duty_of(sums.readings)
                assert mean is not None
                found[bucket_s] = mean, error
        return found

    def _hours(self, since_s: float, now_s: float) -> list[Hour]:
        first, current = since_s // HOUR_S * HOUR_S, now_s // HOUR_S * HOUR_S
        self._forget(first)
        hours = []
        hour_s = first
        while hour_s < current:
            if hour_s not in self._closed:
                self._closed[hour_s] = self._sums(hour_s, hour_s + HOUR_S)
            hours.append(self._closed[hour_s])
            hour_s += HOUR_S
        return [*hours, self._sums(current, now_s)]

    def _sums(self, since_s: float, until_s: float) -> Hour:
        sums: Hour = {}
        for sample in self._history.gpu_samples(since_s, until_s):
            if sample.utilization_ratio is not None and sample.interval_s > 0:
                buckets = sums.setdefault(sample.uuid, {})
                at_s = sample.at_s // BUCKET_S * BUCKET_S
                one = buckets.setdefault(at_s, Sums())
                one.weighed_s += sample.utilization_ratio * sample.interval_s
                one.span_s += sample.interval_s
                one.readings.append(sample.utilization_ratio)
        return sums

    def _forget(self, before_s: float) -> None:
        for hour_s in [hour_s for hour_s in self._closed if hour_s < before_s]:
            del self._closed[hour_s]
