"""The model against the GPU's activity counters: agreement, disagreement and what it does to intervals."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analyzer.crosscheck import CrossCheck, GpuActivity, activity_of, cross_check, widened
from analyzer.evidence import Estimate, Evidence, Missing
from analyzer.hardware import Hardware, resolve
from analyzer.phases import account
from analyzer.samples import GpuSample
from tests.fakes.histories import CHAT, VLLM, decode_heavy

HARDWARE = resolve(VLLM, CHAT)
DAY = decode_heavy()


def value(figure: object) -> float:
    assert isinstance(figure, Estimate), figure
    return figure.value


def modelled_dram() -> float:
    """Share of 3.35 TB/s: 100 steps a second read 15 GB of weights and 8 sequences' KV of 400.5 tokens of 128 KiB."""
    assert isinstance(HARDWARE, Hardware)
    weights = 100 * HARDWARE.step_weight_bytes(8 + 0.02 * 200)
    kv = 100 * 8 * HARDWARE.kv_read_bytes(200 + 401 / 2)
    return (weights + kv) / HARDWARE.bandwidth_bytes_per_s


def test_counters_that_show_what_the_model_moves_agree() -> None:
    check = cross_check(DAY, HARDWARE, GpuActivity(modelled_dram(), None))
    assert value(check.bytes_ratio) == pytest.approx(1.0, rel=0.01)
    assert isinstance(check.flops_ratio, Missing)
    assert check.disagreements == ()


def test_disagreement_is_said_and_widens_the_interval_and_nothing_else() -> None:
    """Counters show half of the modelled bytes: the memory-bound share may be half as large."""
    check = cross_check(DAY, HARDWARE, GpuActivity(modelled_dram() / 2, None))
    assert value(check.bytes_ratio) == pytest.approx(2.0, rel=0.01)
    assert "2.00 times the bytes moved" in check.disagreements[0]
    before = account(DAY, VLLM, HARDWARE, 0.9)
    after = widened(before, check)
    assert isinstance(before.memory_bound, Estimate)
    assert isinstance(after.memory_bound, Estimate)
    assert after.memory_bound.low == pytest.approx(before.memory_bound.value / 2, rel=0.01)
    assert (after.memory_bound.value, after.memory_bound.high) == (before.memory_bound.value, before.memory_bound.high)
    assert after.prefill_marginal == before.prefill_marginal


def test_a_measured_share_is_not_widened() -> None:
    off = Estimate.exact(3.0, Evidence.MODELLED, "tensor_activity")
    measured = Estimate.exact(0.4, Evidence.MEASURED, "engine_timer")
    before = replace(account(DAY, VLLM, HARDWARE, 0.9), prefill_marginal=measured)
    assert widened(before, CrossCheck(Missing("no counters"), off)).prefill_marginal == measured


def test_idle_counters_tell_nothing() -> None:
    check = cross_check(DAY, HARDWARE, GpuActivity(0.001, None))
    assert isinstance(check.bytes_ratio, Missing)


def test_activity_needs_every_gpu() -> None:
    """Means weigh by interval: (0.2 * 5 + 0.8 * 15) / 20 = 0.65; a GPU that reports none makes it unknown."""
    one = [GpuSample("a", 0, 5.0, dram_active_ratio=0.2), GpuSample("a", 5, 15.0, dram_active_ratio=0.8)]
    assert activity_of([one]).dram == pytest.approx(0.65)
    assert activity_of([one, [GpuSample("b", 0, 5.0)]]).dram is None
    assert activity_of([]).dram is None
