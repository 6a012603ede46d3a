"""Mean GPU duty cycle over spans: closed hours are read once and remembered, by bucket of five minutes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Protocol

from analyzer.packed import Rows
from analyzer.samples import GpuSample
from analyzer.steptime.parts import duty_of

HOUR_S = 3600.0
BUCKET_S = 300.0


class GpuHistory(Protocol):
    """What is asked of the store."""

    def gpu_samples(self, since_s: float, until_s: float, uuid: str | None = None) -> list[GpuSample]:
        """Samples of all GPUs within a span."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """Five minutes of one GPU: utilization times seconds, seconds, mean utilization (0..1) and its standard error.

    Readings far apart stand for more time than close ones.
    """

    weighed_s: float
    span_s: float
    mean: float
    error: float


@dataclass(frozen=True, slots=True)
class Kept:
    """One GPU's buckets within an hour, each with its start, and what they come to: a week of them has to be small."""

    buckets: Sequence[tuple[float, Bucket]]
    weighed_s: float
    span_s: float


Hour = Mapping[str, Kept]
"""By GPU."""


class DutyCycles:
    """Utilization by bucket and GPU. Used by one thread."""

    def __init__(self, history: GpuHistory) -> None:
        self._history = history
        self._closed: dict[float, Hour] = {}
        self._open: tuple[float, Hour] | None = None
        """The hour that was not over at this instant: read once for all GPUs that are asked for at it."""

    def forget(self) -> None:
        """Read all hours again: what they were read from has changed."""
        self._closed, self._open = {}, None

    def mean(self, uuid: str, since_s: float, now_s: float) -> float | None:
        """Mean utilization (0..1) of one GPU from the hour of `since_s` until now; None when it reported none."""
        found = [hour[uuid] for hour in self._hours(since_s, now_s) if uuid in hour]
        span_s = sum(one.span_s for one in found)
        return sum(one.weighed_s for one in found) / span_s if span_s > 0 else None

    def by_bucket(self, uuid: str, since_s: float, now_s: float) -> dict[float, Bucket]:
        """One GPU's buckets by their start."""
        found: dict[float, Bucket] = {}
        for hour in self._hours(since_s, now_s):
            if uuid in hour:
                found.update(hour[uuid].buckets)
        return found

    def _hours(self, since_s: float, now_s: float) -> list[Hour]:
        first, current = since_s // HOUR_S * HOUR_S, now_s // HOUR_S * HOUR_S
        if self._open is not None and now_s < self._open[0]:
            # Hours that were over by a clock that has been put back since are not.
            self.forget()
        self._forget(first)
        hours = []
        hour_s = first
        while hour_s < current:
            if hour_s not in self._closed:
                self._closed[hour_s] = self._read(hour_s, hour_s + HOUR_S)
            hours.append(self._closed[hour_s])
            hour_s += HOUR_S
        if self._open is None or self._open[0] != now_s:
            self._open = now_s, self._read(current, now_s)
        return [*hours, self._open[1]]

    def _read(self, since_s: float, until_s: float) -> Hour:
        samples: dict[str, dict[float, list[tuple[float, float]]]] = {}
        for sample in self._history.gpu_samples(since_s, until_s):
            if sample.utilization_ratio is not None and sample.interval_s > 0:
                at_s = sample.at_s // BUCKET_S * BUCKET_S
                readings = samples.setdefault(sample.uuid, {}).setdefault(at_s, [])
                readings.append((sample.utilization_ratio, sample.interval_s))
        return {uuid: _kept(buckets) for uuid, buckets in samples.items()}

    def _forget(self, before_s: float) -> None:
        for hour_s in [hour_s for hour_s in self._closed if hour_s < before_s]:
            del self._closed[hour_s]


TOLD_RATIO = 0.5
"""A span of which less is known has no mean: the GPU's load may have been another in the rest."""


def duty_within(buckets: Mapping[float, Bucket], since_s: float, until_s: float) -> Bucket | None:
    """The buckets from the one of `since_s` to the one that ends with or holds `until_s`, as one; None for too few."""
    first, last = since_s // BUCKET_S, (until_s - 1e-6) // BUCKET_S
    numbers = range(int(first), int(max(first, last)) + 1)
    found = [buckets[number * BUCKET_S] for number in numbers if number * BUCKET_S in buckets]
    if not found or len(found) < TOLD_RATIO * len(numbers):
        return None
    span_s = sum(one.span_s for one in found)
    mean = sum(one.mean * one.span_s for one in found) / span_s
    error = sqrt(sum((one.error * one.span_s) ** 2 for one in found)) / span_s
    return Bucket(sum(one.weighed_s for one in found), span_s, mean, error)


def _kept(by_start: Mapping[float, Sequence[tuple[float, float]]]) -> Kept:
    """From readings of utilization and seconds, by the start of the bucket."""
    rows = [(start_s, *_figures(readings)) for start_s, readings in by_start.items()]
    return Kept(Rows(_with_start, rows), sum(row[1] for row in rows), sum(row[2] for row in rows))


def _with_start(start_s: float, *figures: float) -> tuple[float, Bucket]:
    return start_s, Bucket(*figures)


def _figures(readings: Sequence[tuple[float, float]]) -> tuple[float, float, float, float]:
    """Of one bucket, in the order of its fields."""
    mean, error = duty_of([ratio for ratio, _ in readings])
    assert mean is not None
    return sum(ratio * span_s for ratio, span_s in readings), sum(span_s for _, span_s in readings), mean, error
