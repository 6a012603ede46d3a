"""Step speed-ups by rule: the article's beside Amdahl's law."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.evidence import Estimate, Evidence
from analyzer.speedup import amdahl_speedup, article_speedup, spread


def test_the_articles_rule_and_amdahls_law_part_at_the_worked_example() -> None:
    """f 0.8, s 1.5: 1 + 0.5 * 0.8 = 1.4; 1 / (0.2 + 0.8 / 1.5) = 1 / 0.7333 = 1.364."""
    assert article_speedup(0.8, 1.5) == pytest.approx(1.4)
    assert amdahl_speedup(0.8, 1.5) == pytest.approx(1.364, abs=5e-4)


@given(st.floats(0, 1), st.floats(0.2, 4))
def test_amdahl_never_promises_more_than_the_article(share: float, speed: float) -> None:
    assert amdahl_speedup(share, speed) <= article_speedup(share, speed) + 1e-12


@given(st.floats(0, 1), st.floats(0, 1), st.floats(1, 4))
def test_more_memory_bound_time_never_lowers_the_speedup(first: float, second: float, speed: float) -> None:
    low, high = sorted((first, second))

    assert amdahl_speedup(low, speed) <= amdahl_speedup(high, speed) + 1e-12


def test_a_spread_holds_every_combination_and_is_at_best_assumed() -> None:
    """f 0.5 to 1, s 0.9 to 2: lowest at f 1, s 0.9 (0.9), highest at f 1, s 2 (2)."""
    share = Estimate(0.8, 0.5, 1.0, Evidence.MEASURED, "test")
    result = spread(amdahl_speedup, share, (0.9, 1.5, 2.0), "amdahl")

    assert (result.low, result.high) == (pytest.approx(0.9), pytest.approx(2.0))
    assert result.evidence is Evidence.ASSUMED
