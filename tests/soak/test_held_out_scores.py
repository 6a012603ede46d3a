"""Predictions of published measurements with everything fitted held out by source: the targets, and every regime."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from analyzer.scoring.rows import Measured
from analyzer.scoring.scored import held_out, take
from analyzer.scoring.tally import Tally, tally

PAIRS = Path(__file__).parents[1] / "analyzer" / "data" / "published_pairs.csv"


def rows() -> tuple[Measured, ...]:
    with PAIRS.open(newline="", encoding="utf-8") as file:
        return take(csv.DictReader(file), everything=False)[0]


@pytest.fixture(scope="module")
def by_source() -> Tally:
    found = tally(held_out(rows(), "source").scored)
    assert found is not None
    return found


@pytest.mark.soak
def test_held_out_by_source_predictions_meet_their_targets(by_source: Tally) -> None:
    """Constants and widths come from the other sources only; uncalibrated ones do not see the baseline either."""
    found = by_source
    blind = tally(held_out(rows(), "source", calibrated=False).scored)
    assert blind is not None

    assert found.ours.mape <= 11
    assert found.ours.mape_source_mean <= 12
    assert found.ours.median_ape <= 7
    assert found.ours.agreement_1_1 >= 88
    assert found.ours.coverage_80 is not None
    assert 75 <= found.ours.coverage_80 <= 87
    assert blind.ours.mape <= 20


@pytest.mark.soak
@pytest.mark.parametrize("group", ["gpu", "model"])
def test_what_was_never_seen_is_predicted_as_well(group: str, by_source: Tally) -> None:
    """GPUs and models held out: within a tenth of the error by source."""
    by_group = tally(held_out(rows(), group).scored)
    assert by_group is not None

    assert by_group.ours.mape <= 1.1 * by_source.ours.mape
