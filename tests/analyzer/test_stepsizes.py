"""Steps by size: counted shares, sizes that add up to the counted tokens, time by the step model, absence said."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from analyzer.evidence import Evidence, Missing
from analyzer.histograms import UNTOLD
from analyzer.samples import STEP_TOKENS_BOUNDS
from analyzer.stepsizes import UPPER, StepSizes, step_sizes
from analyzer.steptime.fit import StepModel, fit
from analyzer.windows import Totals
from tests.fakes.histories import totals
from tests.fakes.step_blocks import Linear

UNFITTED = Missing("no step-time model is fitted to this replica yet")
SERVER = Linear()
SMALLEST = (1.0, *(bound + 1 for bound in STEP_TOKENS_BOUNDS))


def linear_model() -> StepModel:
    """Fitted to two hours in which the batch swings between 6 and 60, without hardware facts."""
    batches = [6 + 54 * (1 + np.sin(2 * np.pi * k / 24)) / 2 for k in range(24)]
    model = fit([SERVER.part(batch, number=k) for k, batch in enumerate(batches)], Missing("the GPU is not known"))
    assert isinstance(model, StepModel)
    return model


def counted(steps: dict[float, float], **deltas: float) -> Totals:
    """Totals whose histogram has so many steps in the buckets of these upper bounds."""
    counts = tuple(steps.get(bound, 0.0) for bound in UPPER)
    return replace(totals(100.0, **deltas), histograms={**UNTOLD, "step_tokens": counts})


def told(of: Totals, model: StepModel | Missing = UNFITTED) -> StepSizes:
    found = step_sizes(of, model, Evidence.FITTED)
    assert isinstance(found, StepSizes), found
    return found


def test_shares_of_steps_are_counted_and_need_no_model() -> None:
    """300 steps of 2 to 8 tokens and 100 of more than 16,384."""
    found = told(counted({8.0: 300.0, inf: 100.0}))
    steps = {one.up_to_tokens: one.steps for one in found.sizes}

    assert (steps[8.0], steps[inf], steps[1.0]) == (0.75, 0.25, 0.0)
    assert (found.counted_steps, found.evidence) == (400.0, UNFITTED)
    assert {one.busy for one in found.sizes} == {None}


def test_the_place_in_the_buckets_makes_the_counted_tokens_come_out() -> None:
    """All 100 steps in 9 to 16; 1,200 tokens counted: 12 each."""
    found = told(counted({16.0: 100.0}, steps_total=100.0, step_tokens_total=1200.0))

    assert found.sizes[2].mean_tokens == pytest.approx(12.0, rel=1e-6)
    assert found.mean_tokens == pytest.approx(12.0, rel=1e-6)


def test_a_histogram_over_part_of_the_span_is_held_against_the_mean_step() -> None:
    """The counters saw twice the steps that the histogram did, of 12 tokens on average."""
    found = told(counted({16.0: 100.0}, steps_total=200.0, step_tokens_total=2400.0))

    assert found.mean_tokens == pytest.approx(12.0, rel=1e-6)


def test_without_counted_tokens_steps_lie_in_the_middle_of_their_bucket() -> None:
    """The geometric middle of 9 and 16 is 12."""
    assert told(counted({16.0: 100.0})).sizes[2].mean_tokens == pytest.approx(12.0)


@given(
    st.lists(st.floats(0, 1e6), min_size=len(UPPER), max_size=len(UPPER)),
    st.floats(0.01, 0.99),
)
def test_shares_sum_to_one_sizes_stay_in_their_buckets_and_tokens_come_out(counts: list[float], place: float) -> None:
    """Whatever the histogram, for any total that it allows; more than 16,384 tokens is taken to end at twice that."""
    weights = np.array(counts)
    assume(weights.sum() > 1)
    smallest, largest = np.array(SMALLEST), np.array([*STEP_TOKENS_BOUNDS, 2 * STEP_TOKENS_BOUNDS[-1]])
    wanted = float(weights @ smallest * (1 - place) + weights @ largest * place)
    steps = float(weights.sum())
    found = told(
        counted(
            dict(zip(UPPER, counts, strict=True)),
            steps_total=steps,
            step_tokens_total=wanted,
            generation_tokens_total=wanted / 2,
            decode_sequence_steps_total=wanted / 2,
        ),
        MODEL,
    )

    assert sum(one.steps for one in found.sizes) == pytest.approx(1)
    assert sum(one.busy for one in found.sizes if one.busy is not None) == pytest.approx(1)
    assert found.mean_tokens == pytest.approx(wanted / steps, rel=2e-3)
    for one, low, high in zip(found.sizes, smallest, largest, strict=True):
        assert low * (1 - 1e-9) <= one.mean_tokens <= high * (1 + 1e-9)
    lengths = [one.step_s for one in found.sizes if one.step_s is not None]
    assert lengths == sorted(lengths)


MODEL = linear_model()


def test_time_is_shared_out_by_what_steps_of_a_size_cost() -> None:
    """990 steps at batch 8 and 10 with a prompt of 1,000 beside it: 990 * 8 + 10 * 1,008 = 18,000 tokens.

    8 ms + 8 * (40 us + 1,125 * 50 ns) = 8.77 ms and 30 ms more; 10 * 38.8 / (990 * 8.77 + 10 * 38.8) = 4.3 %.
    """
    found = told(
        counted(
            {8.0: 990.0, 1024.0: 10.0},
            steps_total=1000.0,
            step_tokens_total=18_000.0,
            generation_tokens_total=8000.0,
            decode_sequence_steps_total=8000.0,
        ),
        MODEL,
    )
    by_size = {one.up_to_tokens: one for one in found.sizes}

    assert found.largest_batch is not None
    assert 8 <= found.largest_batch <= 20
    assert by_size[8.0].step_s == pytest.approx(8.77e-3, rel=0.05)
    assert by_size[1024.0].step_s == pytest.approx(38.8e-3, rel=0.05)
    assert by_size[1024.0].busy == pytest.approx(0.043, rel=0.07)
    assert found.evidence is Evidence.FITTED


def test_a_verified_draft_counts_as_one_sequence() -> None:
    """Two tokens per sequence and step: 16 generated tokens are a batch of 8."""
    found = told(
        counted(
            {16.0: 100.0},
            steps_total=100.0,
            step_tokens_total=1600.0,
            generation_tokens_total=1600.0,
            decode_sequence_steps_total=800.0,
        ),
        MODEL,
    )

    assert found.largest_batch == pytest.approx(8, rel=1e-3)


def test_without_generated_tokens_no_steps_length_is_told() -> None:
    found = told(counted({8.0: 10.0}, steps_total=10.0, step_tokens_total=60.0), MODEL)

    assert isinstance(found.evidence, Missing)
    assert {one.step_s for one in found.sizes} == {None}


def test_an_engine_without_the_histogram_is_told_so_and_an_idle_one_too() -> None:
    absent = step_sizes(totals(100.0), MODEL, Evidence.FITTED)
    idle = step_sizes(counted({}), MODEL, Evidence.FITTED)

    assert isinstance(absent, Missing)
    assert "no histogram of tokens per step" in absent.reason
    assert idle == Missing("no step was counted: the server was idle")
