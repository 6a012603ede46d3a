"""Step costs: worked figures, the two laws, and sums over stretches of decode steps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.simulator.costs import Law, StepCosts
from collector.simulator.counters import TOKEN_GAP_S
from collector.simulator.histograms import Histogram
from collector.simulator.stretch import Stretch

WORKED = StepCosts(
    weight_bytes=16e9,
    kv_bytes_per_token=100_000,
    active_parameters=8e9,
    bandwidth_bytes_per_s=2e12,
    flops_per_s=800e12,
    overhead_s=0.001,
    per_sequence_s=0.0001,
    layers=32,
    hidden=4096,
    bandwidth_efficiency=0.8,
    flops_efficiency=0.5,
)

costs_drawn = st.builds(
    StepCosts,
    weight_bytes=st.floats(1e8, 1e11),
    kv_bytes_per_token=st.floats(0, 1e6),
    active_parameters=st.floats(1e7, 1e11),
    bandwidth_bytes_per_s=st.floats(1e11, 1e13),
    flops_per_s=st.floats(1e11, 1e15),
    overhead_s=st.floats(0, 0.01),
    per_sequence_s=st.floats(0, 1e-4),
    layers=st.integers(0, 80),
    hidden=st.integers(0, 8192),
    tensor_parallel=st.sampled_from([1, 2, 4]),
    decode_tokens_per_sequence=st.integers(1, 4),
    law=st.sampled_from(list(Law)),
)


def test_a_step_worked_by_hand() -> None:
    """10 sequences that read 20,000 tokens, and a chunk of 100 tokens behind 50 others.

    weights 16e9 / 1.6e12 = 10 ms; KV 20,000 · 1e5 / 1.6e12 = 1.25 ms; decode (2 · 8e9 · 10 + 4 · 32 · 4096 · 20,000)
    / 400e12 = 0.4 ms + 0.0262144 ms; chunk pairs 100 · 50 + 100 · 101 / 2 = 10,050, so (2 · 8e9 · 100 + 524,288 ·
    10,050) / 400e12 = 4 ms + 0.013172736 ms; overhead 1 ms + 10 · 0.1 ms = 2 ms.
    """
    split = WORKED.split(10, 20_000, 100, 100 * 50 + 100 * 101 // 2)
    parts = (split.weight_read_s, split.kv_read_s, split.decode_compute_s, split.prefill_s, split.overhead_s)
    assert parts == pytest.approx((0.01, 0.00125, 0.0004262144, 0.004013172736, 0.002), rel=1e-12)
    assert WORKED.step_s(10, 20_000, 100, 10_050) == pytest.approx(0.017689387136, rel=1e-12)


def test_tensor_parallel_halves_all_but_overhead() -> None:
    one, two = (replace(WORKED, tensor_parallel=gpus).split(4, 1000, 50, 1275) for gpus in (1, 2))
    assert two.weight_read_s == pytest.approx(one.weight_read_s / 2)
    assert two.kv_read_s == pytest.approx(one.kv_read_s / 2)
    assert two.decode_compute_s == pytest.approx(one.decode_compute_s / 2)
    assert two.prefill_s == pytest.approx(one.prefill_s / 2)
    assert two.overhead_s == one.overhead_s


@given(costs_drawn, st.integers(1, 256), st.integers(0, 10**6), st.integers(0, 8192))
def test_the_additive_step_is_never_shorter_than_the_roofline_step(
    costs: StepCosts, batch: int, kv_tokens: int, prefill_tokens: int
) -> None:
    additive, roofline = (replace(costs, law=law) for law in (Law.ADDITIVE, Law.ROOFLINE))
    pairs = prefill_tokens * (prefill_tokens + 1) // 2
    longest = roofline.step_s(batch, kv_tokens, prefill_tokens, pairs)
    assert longest <= additive.step_s(batch, kv_tokens, prefill_tokens, pairs) * (1 + 1e-12)
    split = additive.split(batch, kv_tokens, prefill_tokens, pairs)
    moved = split.weight_read_s + split.kv_read_s
    computed = split.decode_compute_s + split.prefill_s
    assert longest == pytest.approx(max(moved, computed) + split.overhead_s, rel=1e-12)


def test_a_roofline_step_hides_the_shorter_side() -> None:
    """Weights take 10 ms: a chunk of 100 tokens (4 ms) hides behind them, one of 1,000 (40 ms) hides them."""
    roofline = replace(WORKED, law=Law.ROOFLINE)
    small, large = roofline.split(1, 1000, 100, 5050), roofline.split(1, 1000, 1000, 500_500)
    assert (small.decode_compute_s, small.prefill_s) == (0.0, 0.0)
    assert small.weight_read_s == pytest.approx(0.01)
    assert (large.weight_read_s, large.kv_read_s) == (0.0, 0.0)
    assert large.prefill_s > 0.04


def test_an_empty_step_costs_nothing() -> None:
    assert WORKED.step_s(0, 0) == 0.0


@pytest.mark.parametrize(
    "wrong",
    [
        {"bandwidth_bytes_per_s": 0},
        {"flops_efficiency": 0},
        {"overhead_s": -1},
        {"tensor_parallel": 0},
        {"decode_tokens_per_sequence": 0},
        {"weight_bytes": 0, "overhead_s": 0},
    ],
)
def test_costs_that_make_no_server_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must"):
        replace(WORKED, **wrong)


def assert_same_as_steps(stretch: Stretch, costs: StepCosts, batch: int, kv_tokens: list[int]) -> None:
    """A stretch's sums over its first 1, 2, ... steps are those of the steps taken one by one."""
    splits = [costs.split(batch, tokens) for tokens in kv_tokens]
    lengths = [split.total_s for split in splits]
    for steps in (1, len(kv_tokens) // 2, len(kv_tokens)):
        total = sum(lengths[:steps])
        assert stretch.seconds(steps) == pytest.approx(total, rel=1e-9)
        assert stretch.kv_tokens_read(steps) == sum(kv_tokens[:steps])
        parts = stretch.components(steps)
        assert parts.total_s == pytest.approx(total, rel=1e-9)
        for name in ("weight_read_s", "kv_read_s", "decode_compute_s", "overhead_s"):
            expected = sum(getattr(split, name) for split in splits[:steps])
            assert getattr(parts, name) == pytest.approx(expected, rel=1e-6, abs=1e-12)
        assert stretch.steps_within(total * (1 + 1e-9), len(kv_tokens)) == steps
        assert stretch.steps_within(total * (1 - 1e-9), len(kv_tokens)) == steps - 1
        histogram = Histogram(TOKEN_GAP_S)
        stretch.observe(histogram, steps, batch)
        assert histogram.count == steps * batch
        assert histogram.sum == pytest.approx(batch * total, rel=1e-9)
    assert stretch.steps_within(0.0, len(kv_tokens)) == 0
    assert stretch.steps_within(2 * sum(lengths), len(kv_tokens)) == len(kv_tokens)


@given(costs_drawn, st.integers(1, 256), st.integers(1, 10**6), st.integers(2, 300))
def test_a_linear_stretch_is_its_steps(costs: StepCosts, batch: int, first: int, steps: int) -> None:
    kv_tokens = [first + step * batch for step in range(steps)]
    assert_same_as_steps(costs.stretch(batch, first), costs, batch, kv_tokens)


@given(costs_drawn, st.integers(1, 256), st.lists(st.integers(1, 10**6), min_size=2, max_size=100))
def test_an_array_stretch_is_its_steps(costs: StepCosts, batch: int, kv_tokens: list[int]) -> None:
    stretch = costs.array_stretch(batch, np.asarray(kv_tokens, dtype=np.int64))
    assert_same_as_steps(stretch, costs, batch, kv_tokens)


def test_a_ridge_that_no_context_reaches_is_no_ridge() -> None:
    """KV tokens of next to no bytes: bytes and arithmetic would cross beyond any number of tokens."""
    costs = StepCosts(1e8, 1e-310, 1e7, 5e11, 1e11, law=Law.ROOFLINE)
    assert_same_as_steps(costs.stretch(1, 1), costs, 1, list(range(1, 50)))


@pytest.mark.parametrize("kv_bytes_per_token", [0, 1e6])
def test_a_roofline_stretch_crosses_the_ridge_once(kv_bytes_per_token: float) -> None:
    """Bytes grow faster or slower than arithmetic with the context: the stretch changes sides at the same step."""
    costs = StepCosts(
        weight_bytes=1e9,
        kv_bytes_per_token=kv_bytes_per_token,
        active_parameters=5e8 if kv_bytes_per_token == 0 else 3e10,
        bandwidth_bytes_per_s=1e12,
        flops_per_s=2e12,
        layers=32,
        hidden=4096,
        law=Law.ROOFLINE,
    )
    batch, first = (1, 100) if kv_bytes_per_token == 0 else (2, 5000)
    kv_tokens = [first + step * batch for step in range(60_000)]
    sides = [costs.split(batch, tokens).weight_read_s > 0 for tokens in kv_tokens]
    assert len(set(sides)) == 2
    assert_same_as_steps(costs.stretch(batch, first), costs, batch, kv_tokens)


@given(st.integers(1, 400), st.floats(0.001, 1.0), st.floats(0, 0.01), st.integers(1, 50), st.sampled_from([0.0, 1e-3]))
def test_a_ramp_fills_the_buckets_that_its_values_fill(
    steps: int, first: float, slope: float, weight: int, flat: float
) -> None:
    slope = slope if flat == 0.0 else 0.0
    together, one_by_one = Histogram(TOKEN_GAP_S), Histogram(TOKEN_GAP_S)
    together.observe_ramp(steps, first, slope, weight)
    values = [first + slope * step for step in range(steps)]
    if any(abs(value - bound) < 1e-12 for value in values for bound in TOKEN_GAP_S):
        return
    for value in values:
        one_by_one.observe(value, weight)
    assert together.counts == one_by_one.counts
    assert together.sum == pytest.approx(one_by_one.sum, rel=1e-9)


def test_a_value_on_a_bound_is_in_that_bucket() -> None:
    """Prometheus' `le` includes the bound."""
    one, many = Histogram((1, 2)), Histogram((1, 2))
    for value in (1.0, 1.5, 2.0, 2.5):
        one.observe(value)
    many.observe_many(np.array([1.0, 1.5, 2.0, 2.5]), 1)
    assert one.counts == many.counts == [1, 2, 1]
    assert one.cumulative() == [1, 3, 4]
