"""Spans as columns, straight from samples or from parts, are what was counted in each."""

from __future__ import annotations

from math import isclose

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from analyzer.columns import columns_of
from analyzer.samples import STEP_TOKENS_BOUNDS, GpuSample, ReplicaKey, ReplicaSample, bounds_of
from analyzer.steptime.counted import COUNTERS, FIGURES, GAUGES, LENGTHS, Counted, counted_by_span, counted_in
from analyzer.steptime.parts import Part, in_spans

KEY = ReplicaKey("http://127.0.0.1:8000/metrics", "m")
SPAN_S = 40.0


@st.composite
def polled(draw: st.DrawFn) -> tuple[list[ReplicaSample], list[GpuSample]]:
    """Polls of a replica and its GPU: series that come and go, gaps, histograms now and then, and a fall or none."""
    at_s, steps, lengths = 1.7e9, 0.0, [0.0] * (len(bounds_of(ReplicaSample, "prompt_lengths")) + 1)
    fall = draw(st.sampled_from([0.0, 0.0, 0.0, 1e6]))
    samples, gpus = [], []
    for _ in range(draw(st.integers(1, 30))):
        at_s += draw(st.sampled_from([5.0, 5.0, 5.0, 0.0, 30.0]))
        steps += draw(st.sampled_from([0.0, 7.0, 0.3]))
        lengths = [one + draw(st.integers(0, 1)) for one in lengths[:3]] + lengths[3:]
        carries = draw(st.integers(0, 3)) == 0
        samples.append(
            ReplicaSample(
                *(KEY, 1, at_s, 5.0),
                steps_total=draw(st.sampled_from([steps, steps, steps, steps - fall])),
                prefills_total=draw(st.sampled_from([None, steps, steps, steps])),
                running_requests=draw(st.sampled_from([None, 0.0, 1.0, 5.0])),
                prompt_lengths=tuple(lengths) if carries else None,
                step_tokens=(1.0,) * (len(STEP_TOKENS_BOUNDS) + 1) if carries and draw(st.booleans()) else None,
            )
        )
        if draw(st.booleans()):
            gpus.append(GpuSample("g", at_s, 5.0, utilization_ratio=draw(st.sampled_from([None, 0.25, 1.0]))))
    return samples, gpus


def plain(parts: list[Part], name: str) -> list[float | None]:
    """One figure of each part, by its definition."""
    if name in COUNTERS:
        return [one.totals.deltas[name] for one in parts]
    if name in GAUGES:
        return [one.totals.integrals[name] for one in parts]
    if name == "duty":
        return [one.gpu_utilization for one in parts]
    return [one.gpu_error if name == "duty_error" else getattr(one.totals, name) for one in parts]


def assert_told(found: Counted, parts: list[Part]) -> None:
    for name in FIGURES:
        expected = [np.nan if one is None else one for one in plain(parts, name)]
        assert np.allclose(found[name], expected, rtol=1e-12, atol=1e-12, equal_nan=True), name
    for name in LENGTHS:
        for counts, part in zip(found.lengths[name].tolist(), parts, strict=True):
            told = part.totals.histograms[name]
            assert counts == ([0.0] * len(counts) if told is None else list(told))


@given(polled())
def test_spans_from_samples_are_the_parts_of_these_samples(case: tuple[list[ReplicaSample], list[GpuSample]]) -> None:
    samples, gpus = case
    parts = in_spans(samples, gpus, SPAN_S)
    columns = columns_of(samples)
    assert columns is not None
    assert_told(counted_in(parts), parts)
    assert_told(counted_by_span(columns, gpus, SPAN_S), parts)


@given(polled(), st.integers(0, 5))
def test_some_spans_and_then_the_others_are_all_of_them(
    case: tuple[list[ReplicaSample], list[GpuSample]], cut: int
) -> None:
    """Their sums add up, each over the spans that report it."""
    parts = in_spans(*case, SPAN_S)
    whole, early = counted_in(parts), np.arange(len(parts)) < cut
    assert_told(whole.take(early).then(whole.take(~early)), parts)
    for name in COUNTERS:
        known = [one for one in plain(parts, name) if one is not None]
        found = whole.sums()[name]
        assert (found is None) == (not known)
        assert found is None or isclose(found, sum(known), rel_tol=1e-12, abs_tol=1e-12)
