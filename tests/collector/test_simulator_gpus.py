"""Readings of simulated GPUs: the duty cycle of the last second, energy, and means between readings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analyzer.samples import GpuSample
from collector.simulator.gpus import GpuModel, SimulatedGpus
from tests.fakes.simulator_workloads import FLAT, arrivals, server

MODEL = GpuModel("Simulated GPU", 1e10, 1e12, 80e9, 700.0, 100.0, 1.98e9, 2.6e9)


def test_readings_are_samples_in_all_but_type() -> None:
    sim = server(arrivals((0.0, 10, 50)))
    sim.advance(2.0)
    (reading,) = SimulatedGpus(sim, MODEL, 7, started_unix_s=1000.0).read(15.0)
    sample = GpuSample(**reading)
    assert (sample.uuid, sample.at_s, sample.interval_s) == ("GPU-51000000-0000-4000-8000-000000000007", 1002.0, 15.0)
    assert sample.name == "Simulated GPU"
    assert sample.memory_used_bytes == pytest.approx(0.92 * 80e9)
    assert set(reading) <= set(GpuSample.__match_args__)


def test_utilization_is_the_busy_share_of_the_last_second_in_whole_percent() -> None:
    """Busy from 0 to 0.5 and from 1.6 to 2.1 s: of (1, 2] 0.4 s, of (1.234, 2.234] 0.5 s, of (2.5, 3.5] nothing."""
    sim = server(arrivals((0.0, 10, 5), (1.6, 10, 5)))
    gpus = SimulatedGpus(sim, MODEL, 0, started_unix_s=0.0)
    seen = []
    for at_s in (0.25, 2.0, 2.234, 3.5):
        sim.advance(at_s)
        (reading,) = gpus.read(1.0)
        seen.append((reading["utilization_ratio"], reading["power_w"]))
    assert [utilization for utilization, _ in seen] == [1.0, 0.4, 0.5, 0.0]
    assert [power for _, power in seen] == pytest.approx([700.0, 340.0, 400.0, 100.0])


def test_short_pauses_are_no_busy_time() -> None:
    """Steps of 0.1 s at 0.0, 0.15, 0.3, 0.45 and 0.6: in (0.05, 0.65] busy 0.05 + 3 · 0.1 + 0.05 of 0.6 s."""
    sim = server(arrivals(*[(0.15 * number, 10, 1) for number in range(5)]))
    sim.advance(0.65)
    gpus = SimulatedGpus(sim, MODEL, 0, started_unix_s=0.0, sample_period_s=0.6)
    assert gpus.read(1.0)[0]["utilization_ratio"] == pytest.approx(0.67)


def test_energy_is_the_integral_of_power() -> None:
    """1 s busy of 4 s: 4 · 100 J + 1 · 600 J."""
    sim = server(arrivals((0.0, 10, 5), (1.6, 10, 5)))
    sim.advance(4.0)
    (reading,) = SimulatedGpus(sim, MODEL, 0, started_unix_s=0.0).read(1.0)
    assert reading["energy_j_total"] == pytest.approx(1000.0)


def test_before_any_time_has_passed_a_duty_cycle_is_not_reported() -> None:
    (reading,) = SimulatedGpus(server([]), MODEL, 0, started_unix_s=0.0).read(1.0)
    assert (reading["utilization_ratio"], reading["power_w"]) == (None, None)


def test_activity_is_the_mean_since_the_reading_before() -> None:
    """10 steps of 1e9 bytes in 2 s at a peak of 1e10 bytes/s: 50 %; then 2 s of nothing."""
    sim = server(arrivals((0.0, 10, 10)))
    gpus = SimulatedGpus(sim, MODEL, 0, started_unix_s=0.0)
    seen = []
    for at_s in (0.0, 2.0, 4.0):
        sim.advance(at_s)
        (reading,) = gpus.read(1.0)
        seen.append([reading[f"{unit}_active_ratio"] for unit in ("sm", "dram", "tensor")])
    assert seen[0] == [None, None, None]
    assert seen[1] == pytest.approx([0.5, 0.5, 0.0])
    assert seen[2] == [0.0, 0.0, 0.0]


def test_tensor_activity_is_arithmetic_over_the_peak() -> None:
    """2 · 1e9 FLOPs for each of 10 + 9 tokens in 2 s at a peak of 1e12/s: 1.9 %."""
    sim = server(arrivals((0.0, 10, 10)), replace(FLAT, active_parameters=1e9))
    gpus = SimulatedGpus(sim, MODEL, 0, started_unix_s=0.0)
    gpus.read(1.0)
    sim.advance(2.0)
    (reading,) = gpus.read(1.0)
    assert reading["tensor_active_ratio"] == pytest.approx(0.019)


def test_a_server_on_four_gpus_shows_four_alike() -> None:
    sim = server(arrivals((0.0, 10, 50)), replace(FLAT, tensor_parallel=4))
    sim.advance(1.0)
    readings = SimulatedGpus(sim, MODEL, 2, started_unix_s=0.0).read(1.0)
    assert [str(reading["uuid"])[-1] for reading in readings] == ["2", "3", "4", "5"]
    assert len({tuple(list(reading.values())[1:]) for reading in readings}) == 1


def test_noise_spreads_utilization_but_not_the_truth() -> None:
    requests = arrivals(*[(float(second), 10, 5) for second in range(300)])
    sim = server(requests)
    plain = SimulatedGpus(sim, MODEL, 0, started_unix_s=0.0)
    noisy = SimulatedGpus(sim, MODEL, 0, started_unix_s=0.0, noise=0.1, rng=np.random.default_rng(1))
    seen: list[list[float]] = [[], []]
    for second in range(1, 300):
        sim.advance(float(second))
        for index, gpus in enumerate((plain, noisy)):
            utilization = GpuSample(**gpus.read(1.0)[0]).utilization_ratio
            assert utilization is not None
            seen[index].append(utilization)
    assert set(seen[0]) == {0.5}
    assert np.std(seen[1]) == pytest.approx(0.05, rel=0.2)
    assert np.mean(seen[1]) == pytest.approx(0.5, rel=0.05)


def test_noise_needs_a_generator_and_a_period_that_is_remembered() -> None:
    with pytest.raises(ValueError, match="generator"):
        SimulatedGpus(server([]), MODEL, 0, started_unix_s=0.0, noise=0.1)
    with pytest.raises(ValueError, match="sample_period_s"):
        SimulatedGpus(server([]), MODEL, 0, started_unix_s=0.0, sample_period_s=61.0)
