"""How long what was computed of a history stands."""

from __future__ import annotations

from dataclasses import replace

import pytest

from collector.jobs.standing import Standing
from tests.fakes.step_blocks import KEY


@pytest.mark.parametrize(("history_s", "stands_s"), [(100.0, 100.0), (5000.0, 500.0), (1e6, 1000.0)])
def test_what_is_computed_stands_for_a_share_of_its_history_within_limits(history_s: float, stands_s: float) -> None:
    """A tenth of the histories is 10, 500 and 10^5 s; for some replicas up to a quarter longer, spread evenly."""
    standing, keys = Standing(100.0, 1000.0, 0.1), [replace(KEY, target=f"http://{n}") for n in range(400)]
    shares = [sum(standing.holds(key, history_s, stands_s * age) for key in keys) for age in (0.99, 1.125, 1.25)]
    assert shares == [400, pytest.approx(200, abs=40), 0]
    assert not standing.holds(KEY, history_s, -1.0)


def test_of_a_young_history_it_stands_for_as_long_as_that_is_and_a_minute_at_most() -> None:
    """A hundredth of an hour is less than a minute, of three hours more; without a history nothing stands."""
    standing = Standing(0.0, 900.0, 0.01, young_s=60.0)
    for history_s, stands_s in ((20.0, 20.0), (600.0, 60.0), (3600.0, 60.0), (10_800.0, 108.0)):
        assert standing.holds(KEY, history_s, 0.99 * stands_s)
        assert not standing.holds(KEY, history_s, 1.25 * stands_s)
    assert not standing.holds(KEY, 0.0, 0.0)
