"""Our own numerical methods say what scipy's say, whose import would cost more memory than a thousand targets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import PchipInterpolator
from scipy.special import ndtr, ndtri
from scipy.stats import qmc

from analyzer.capacity.monotone import monotone
from analyzer.money.sobol import MOST_DIMENSIONS, points
from analyzer.normal import below, even_scores


@pytest.mark.parametrize("dimensions", range(1, MOST_DIMENSIONS + 1))
def test_the_points_are_scipys_to_the_last_bit(dimensions: int) -> None:
    theirs = qmc.Sobol(dimensions, scramble=False).random_base2(9)
    assert np.array_equal(points(dimensions, 9), theirs)


def test_dimensions_beyond_the_table_are_refused() -> None:
    with pytest.raises(ValueError, match="1 to 16 dimensions, not 17"):
        points(MOST_DIMENSIONS + 1, 9)


@given(st.lists(st.tuples(st.floats(1e-3, 10), st.floats(1e-6, 10) | st.just(0.0)), min_size=2, max_size=20))
def test_the_curve_is_scipys(steps: list[tuple[float, float]]) -> None:
    """Through points whose values rise, or stand still for a while."""
    places, values = np.cumsum([(0.0, 0.0), *steps], axis=0).T
    at = np.linspace(places[0], places[-1], 50)
    theirs = PchipInterpolator(places, values)(at)
    assert monotone(places, values, at) == pytest.approx(theirs, rel=1e-9, abs=1e-9)


def test_a_curve_through_the_table_of_a_worked_example() -> None:
    """0, 1, 2 at 0, 1, 3: slopes 1 and 0.5; in the middle 9 / (5 / 1 + 4 / 0.5) = 9 / 13, at 1 the value is 1."""
    found = monotone(np.array([0.0, 1.0, 3.0]), np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0, 1.0 + 1e-6, 3.0]))
    assert found[[0, 1, 3]] == pytest.approx([0.0, 1.0, 2.0], rel=1e-15)
    assert (found[2] - found[1]) / 1e-6 == pytest.approx(9 / 13, rel=1e-4)


def test_shares_below_are_scipys() -> None:
    """Between the table's ends, at them, beyond them and in no place at all."""
    at = np.concatenate([np.linspace(-10, 10, 20_001), [-np.inf, np.inf, np.nan, -8.5, 8.5]]).reshape(-1, 2, 1)
    assert below(at) == pytest.approx(ndtr(at), rel=0, abs=2e-12, nan_ok=True)


def test_even_scores_are_scipys() -> None:
    assert even_scores(512) == pytest.approx(ndtri((np.arange(512) + 0.5) / 512), rel=1e-14)
