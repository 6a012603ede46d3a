"""All windows at once give the totals that the windows give one by one."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from math import inf, isclose, nan

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from analyzer import columns
from analyzer.histograms import HISTOGRAMS, Counts
from analyzer.samples import STEP_TOKENS_BOUNDS, ReplicaKey, ReplicaSample
from analyzer.spans import sum_of_windows, sums_by_span, totals_by_span
from analyzer.windows import COUNTERS, GAUGES, Refusal, Totals, add_up, pairwise_totals

KEY = ReplicaKey("http://127.0.0.1:8000/metrics", "m")
SPAN_S = 40.0


def sample(at_s: float, **fields: float | Counts | None) -> ReplicaSample:
    return ReplicaSample(KEY, 1, at_s, 5.0, **fields)  # type: ignore[arg-type]


def spans(ends_s: np.ndarray) -> np.ndarray:
    return ends_s // SPAN_S


def one_by_one(samples: list[ReplicaSample]) -> dict[int, Totals]:
    """The definition: every window's totals added up by the span in which it ends."""
    found: dict[int, list[Totals]] = {}
    for part in pairwise_totals(samples):
        found.setdefault(int(part.end_s // SPAN_S), []).append(part)
    return {span: whole for span, parts in found.items() if (whole := add_up(parts)) is not None}


def near(found: float | None, expected: float | None) -> bool:
    """The same up to rounding: None only where None is."""
    if found is None or expected is None:
        return found is expected
    return isclose(found, expected, rel_tol=1e-9, abs_tol=1e-9)


def assert_same(found: Totals, expected: Totals) -> None:
    """Equal up to rounding; None exactly where None is."""
    for name in ("replica", "epoch", "start_s", "end_s", "windows", "refusals"):
        assert getattr(found, name) == getattr(expected, name), name
    assert near(found.covered_s, expected.covered_s)
    assert near(found.active_s, expected.active_s)
    for name in COUNTERS:
        assert near(found.deltas[name], expected.deltas[name]), name
    for name in GAUGES:
        assert near(found.integrals[name], expected.integrals[name]), name
    for name in HISTOGRAMS:
        assert found.histograms[name] == expected.histograms[name]


@st.composite
def histories(draw: st.DrawFn) -> list[ReplicaSample]:
    """Two epochs of one replica: growing counters, series that come and go, gaps, stamps that stand, and falls.

    Whether counters fall, and whether one is ever not finite, is drawn once: else hardly a history would be without.
    """
    at_s, result = draw(st.sampled_from([0.0, 1.7e9])), []
    falls = draw(st.sampled_from([0.0, 0.0, 60.0, 1e6]))
    odd = draw(st.sampled_from([None, None, None, nan, inf]))
    lacks = draw(st.sampled_from([0, 0, 1, 3]))
    for epoch in draw(st.sampled_from([[1], [1], [1, 2]])):
        steps, tokens, sizes = 0.0, 0.0, [0.0, 0.0]
        for _ in range(draw(st.integers(0, 25))):
            at_s += draw(st.sampled_from([5.0, 5.0, 5.0, 5.0, 4.0, 7.5, 0.0, 30.0, 400.0]))
            steps += draw(st.sampled_from([0.0, 7.0, 0.3]))
            tokens += draw(st.floats(0, 1e9))
            sizes = [one + draw(st.integers(0, 50)) for one in sizes]
            histogram = (*sizes, *[0.0] * (len(STEP_TOKENS_BOUNDS) - 1))
            lacking = draw(st.integers(0, 9)) < lacks
            one = sample(
                at_s,
                steps_total=draw(st.sampled_from([steps, steps, steps, steps - falls])),
                generation_tokens_total=None if lacking else tokens,
                busy_s_total=draw(st.sampled_from([None, 1.0, odd])) if odd is not None else None,
                running_requests=None if lacking else draw(st.sampled_from([0.0, 1.0, 5.0])),
                kv_usage_ratio=draw(st.sampled_from([0.25, 0.5])),
                step_tokens=draw(st.sampled_from([None, None, histogram])),
            )
            result.append(replace(one, epoch=epoch))
    return result


@given(histories(), st.randoms())
def test_at_once_and_one_by_one_give_the_same_totals(history: list[ReplicaSample], random: object) -> None:
    for epoch in (1, 2):
        samples = [one for one in history if one.epoch == epoch]
        expected = one_by_one(samples)
        shuffled = list(samples)
        if len({one.at_s for one in samples}) == len(samples):
            random.shuffle(shuffled)  # type: ignore[attr-defined]
        found = totals_by_span(shuffled, spans)
        assert list(found) == list(expected)
        for span, totals in found.items():
            assert_same(totals, expected[span])


@given(histories())
def test_only_a_fall_or_a_number_that_is_not_finite_is_looked_at_one_by_one(history: list[ReplicaSample]) -> None:
    """Gaps, standing clocks, missing series and histograms now and then are all summed at once."""
    samples = [one for one in history if one.epoch == 1]
    refused = {reason for part in pairwise_totals(samples) for reason in part.refusals}
    busy = [one.busy_s_total for one in samples]
    if len(samples) < 2 or Refusal.ANOMALY in refused or not all(np.isfinite(one) for one in busy if one is not None):
        return
    made = columns._columns(samples)
    assert made is not None
    assert sums_by_span(made, spans) is not None


@given(histories())
def test_one_sum_is_the_sum_of_the_spans(history: list[ReplicaSample]) -> None:
    samples = [one for one in history if one.epoch == 1]
    whole, parts = sum_of_windows(samples), add_up(totals_by_span(samples, spans).values())
    assert (whole is None) == (parts is None)
    if whole is not None and parts is not None:
        assert_same(whole, parts)


def both(first: Totals, second: Totals) -> Totals:
    """The definition of adding two, series by series."""
    told = [one for one in (first, second) if one.windows > 0] or [second]

    def added(values: list[float | None]) -> float | None:
        return None if None in values else sum(value for value in values if value is not None)

    def counts(name: str) -> Counts | None:
        known = [counts for one in (first, second) if (counts := one.histograms[name]) is not None]
        return tuple(sum(bucket) for bucket in zip(*known, strict=True)) if known else None

    reasons = {*first.refusals, *second.refusals}
    return Totals(
        replica=first.replica,
        epoch=first.epoch,
        start_s=min(first.start_s, second.start_s),
        end_s=max(first.end_s, second.end_s),
        covered_s=first.covered_s + second.covered_s,
        windows=first.windows + second.windows,
        deltas={name: added([one.deltas[name] for one in told]) for name in COUNTERS},
        integrals={name: added([one.integrals[name] for one in told]) for name in GAUGES},
        active_s=added([one.active_s for one in told]),
        refusals={reason: first.refusals.get(reason, 0) + second.refusals.get(reason, 0) for reason in reasons},
        histograms={name: counts(name) for name in HISTOGRAMS},
    )


@given(histories())
def test_adding_up_many_is_adding_one_after_another(history: list[ReplicaSample]) -> None:
    parts = pairwise_totals([one for one in history if one.epoch == 1])
    if len(parts) > 1:
        whole = add_up(parts)
        assert whole is not None
        assert_same(whole, reduce(both, parts))


def test_a_dip_is_refused_as_among_windows() -> None:
    """Steps 100, 40, 110: the fall and the rise out of it are both refused; 110 -> 120 is 10."""
    samples = [sample(5.0 * n, steps_total=steps) for n, steps in enumerate((100.0, 40.0, 110.0, 120.0))]
    found = sum_of_windows(samples)
    assert found is not None
    assert found.refusals == {Refusal.ANOMALY: 2}
    assert found.deltas["steps_total"] == 10


def test_a_span_without_a_window_reports_nothing() -> None:
    """0 -> 100 s is a gap of 20 intervals, so that the first span of 40 s has no window at all."""
    found = totals_by_span([sample(t, steps_total=t, running_requests=1.0) for t in (0.0, 100.0, 105.0)], spans)
    (only,) = found.values()
    assert only.refusals == {Refusal.GAP: 1}
    assert (only.start_s, only.end_s, only.covered_s, only.windows) == (0.0, 105.0, 5.0, 1)
    assert only.deltas["steps_total"] == 5.0
    assert only.deltas["busy_s_total"] is None
    assert only.active_s == 5.0


def test_a_refused_span_says_nothing_of_any_series() -> None:
    only = sum_of_windows([sample(t, steps_total=t, running_requests=1.0) for t in (0.0, 100.0)])
    assert only is not None
    assert only.windows == 0
    assert only.deltas["steps_total"] is None
    assert only.integrals["running_requests"] is None
    assert only.active_s is None


def test_no_pair_has_no_totals() -> None:
    assert sum_of_windows([]) is None
    assert sum_of_windows([sample(0.0)]) is None
    assert totals_by_span([], spans) == {}


@given(st.booleans())
@example(True)
def test_several_epochs_or_replicas_are_refused(other_epoch: bool) -> None:
    first = sample(0.0)
    second = replace(first, epoch=2) if other_epoch else replace(first, replica=ReplicaKey("http://b:8000", "m"))
    with pytest.raises(ValueError, match="several replicas or epochs"):
        sum_of_windows([first, second])
