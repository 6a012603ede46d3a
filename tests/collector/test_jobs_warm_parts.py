"""Stored totals as parts: without the epoch's warm-up, each with its own GPUs' duty cycle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pytest

from analyzer.samples import GpuSample
from analyzer.steptime.parts import Part, duty_of
from analyzer.windows import Totals
from collector.jobs.duty import DutyCycles
from collector.jobs.warm_parts import warm_parts
from tests.fakes.step_blocks import Linear

BATCHES = [6 + 9 * (number % 7) for number in range(24)]
Utilization = float | Callable[[int], float | None] | None


@dataclass(frozen=True)
class Readings:
    """One GPU's by the minute; None: it says nothing."""

    utilization: Utilization

    def gpu_samples(self, since_s: float, until_s: float, uuid: str | None = None) -> list[GpuSample]:
        if self.utilization is None:
            return []
        at_s = [second for second in range(0, 4 * 3600, 60) if since_s <= second < until_s]
        told = self.utilization if callable(self.utilization) else lambda _: self.utilization
        return [GpuSample("g", float(second), 60.0, utilization_ratio=told(second)) for second in at_s]


def parts_of(stored: Sequence[tuple[float, Totals]], utilization: Utilization) -> tuple[Part, ...]:
    return warm_parts(stored, ["g"], DutyCycles(Readings(utilization)), 3 * 3600)


def swinging() -> list[tuple[float, Totals]]:
    found = [Linear().part(batch, number=number).totals for number, batch in enumerate(BATCHES)]
    return [(totals.start_s, totals) for totals in found]


def test_warm_up_is_no_evidence_and_each_part_has_its_own_duty_cycle() -> None:
    """Buckets from 0 s on: the first five minutes are left out; a GPU at 40 % all the time says so of each."""
    parts = parts_of(swinging(), 0.4)

    assert [part.totals.start_s for part in parts] == [300.0 * number for number in range(1, 24)]
    assert all(part.gpu_utilization == pytest.approx(0.4) for part in parts)


def test_a_gpu_that_says_nothing_leaves_the_parts_without_a_duty_cycle() -> None:
    parts = parts_of(swinging(), None)

    assert all(part.gpu_utilization is None for part in parts)


def test_an_hour_takes_its_duty_cycle_from_all_its_buckets() -> None:
    """A GPU at 20 % until half past and at 60 % after: the hour has 40 %, and an error of one reading among twelve."""
    hours = [(3600.0, Linear().part(10, number=1, span_s=3600.0).totals)]
    begun = (0.0, Linear().part(10).totals)
    half = lambda second: 0.2 if second < 5400 else 0.6  # noqa: E731 - as short as it can be said

    (whole,) = parts_of([begun, *hours], half)
    one_bucket = duty_of([0.2] * 5)[1]

    assert whole.gpu_utilization == pytest.approx(0.4)
    assert whole.gpu_error == pytest.approx(one_bucket / 12**0.5, rel=1e-6)


def test_an_epoch_that_began_within_the_hour_takes_no_duty_cycle_from_before_it() -> None:
    """An hour's totals that begin at half past: the GPU stood still until then, and is fully busy since."""
    begun = (0.0, Linear().part(10).totals)
    late = (3600.0, replace(Linear().part(10, span_s=1800.0).totals, start_s=5400.0, end_s=7200.0))

    (part,) = parts_of([begun, late], lambda second: float(second >= 5400))

    assert part.gpu_utilization == pytest.approx(1.0)


def test_an_hour_of_which_the_gpu_told_little_has_no_duty_cycle() -> None:
    """Readings in the last five of twelve buckets; in the last six they would do."""
    begun = (0.0, Linear().part(10).totals)
    hour = (3600.0, Linear().part(10, number=1, span_s=3600.0).totals)

    found = [
        parts_of([begun, hour], lambda second, since_s=since_s: 0.5 if second >= since_s else None)
        for since_s in (5700, 5400)
    ]

    assert [part.gpu_utilization for (part,) in found] == [None, pytest.approx(0.5)]
