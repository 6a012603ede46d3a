"""What a million tokens cost: blended, input and output apart by GPU time, with idle time and without."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.assumptions import Deployment, Price
from analyzer.evidence import Estimate, Evidence, Figure, Missing
from analyzer.facts.gpus import find_gpu
from analyzer.money import is_stale, price_of, token_costs
from tests.fakes.histories import CHAT, PRICE


def sure(value: float) -> Estimate:
    return Estimate.exact(value, Evidence.MEASURED, "test")


def value(figure: Figure) -> float:
    assert isinstance(figure, Estimate), figure
    return figure.value


def test_the_articles_figure_by_hand() -> None:
    """4.50 $/h at 30 tokens/s: 4.5 / (30 * 3600) * 1e6 = 41.667."""
    price = Price(4.5, "article", 0.0)
    costs = token_costs(price, 1, sure(30), sure(0.001), sure(0.0), sure(1.0))

    assert value(costs.allocation.generated) == pytest.approx(41.667, abs=1e-3)


def test_input_and_output_bear_the_gpu_time_they_take() -> None:
    """Two GPUs at $2: $4/h. Prefill takes a quarter: $1 over 3,000 prompt tokens/s = $0.0926 per million; decode $3
    over 500 tokens/s = $1.6667; all over 3,500 = $0.3175. Half busy: half of each on the usage basis.
    """
    costs = token_costs(PRICE, 2, sure(500), sure(3000), sure(0.25), sure(0.5))

    assert value(costs.allocation.input) == pytest.approx(0.092593, rel=1e-4)
    assert value(costs.allocation.output) == pytest.approx(1.666667, rel=1e-4)
    assert value(costs.allocation.blended) == pytest.approx(0.317460, rel=1e-4)
    assert value(costs.usage.output) == pytest.approx(0.833333, rel=1e-4)


def test_what_is_missing_leaves_the_rest_standing() -> None:
    costs = token_costs(PRICE, 1, sure(500), Missing("no prompts"), Missing("no phases"), sure(0.5))

    assert value(costs.allocation.generated) > 0
    assert costs.allocation.input == Missing("no phases")
    assert costs.allocation.blended == Missing("no prompts")
    assert isinstance(token_costs(None, 1, sure(1), sure(1), sure(0), sure(1)).usage.output, Missing)


def test_no_tokens_have_no_cost_per_token() -> None:
    costs = token_costs(PRICE, 1, sure(0), sure(0), sure(0), sure(0.1))

    assert costs.allocation.generated == costs.allocation.blended == Missing("no token was processed in this span")


@given(st.floats(0, 1), st.floats(0.1, 1e4), st.floats(0.1, 1e4), st.floats(0, 1))
def test_input_and_output_add_up_to_the_bill(prefill: float, out: float, into: float, busy: float) -> None:
    """Cost per million of each kind times its tokens is the whole hour's price, or its busy part."""
    costs = token_costs(PRICE, 3, sure(out), sure(into), sure(prefill), sure(busy))

    for one, bill in ((costs.allocation, 6.0), (costs.usage, 6.0 * busy)):
        paid = (value(one.input) * into + value(one.output) * out) * 3600 / 1e6
        assert paid == pytest.approx(bill, rel=1e-9, abs=1e-12)
        assert value(one.blended) * (into + out) * 3600 / 1e6 == pytest.approx(bill, rel=1e-9, abs=1e-12)


@given(st.floats(0, 0.5), st.floats(0, 0.5))
def test_the_interval_holds_every_combination(low: float, more: float) -> None:
    prefill = Estimate(low + more / 2, low, low + more, Evidence.FITTED, "test")
    figure = token_costs(PRICE, 1, sure(100), sure(100), prefill, sure(1)).allocation.output
    assert isinstance(figure, Estimate)

    ends = [value(token_costs(PRICE, 1, sure(100), sure(100), sure(end), sure(1)).allocation.output)
            for end in (low, low + more)]  # fmt: skip
    assert (figure.low, figure.high) == pytest.approx((min(ends), max(ends)))


def test_a_shipped_price_stands_in_and_says_so() -> None:
    """H100: $2.49 in April 2026; nobody lists the H100 PCIe."""
    gpu = find_gpu("H100")
    unpriced = Deployment("chat")
    price = price_of(unpriced, gpu)

    assert price is not None
    assert (price.usd_per_gpu_hour, price.shipped, price.evidence) == (2.49, True, Evidence.ASSUMED)
    assert "not yours" in price.source
    assert price_of(unpriced, find_gpu("H100 PCIe 80GB")) is None
    assert price_of(CHAT, gpu) is PRICE


def test_a_price_is_stale_after_ninety_days() -> None:
    assert not is_stale(PRICE, PRICE.as_of_s + 90 * 86_400)
    assert is_stale(PRICE, PRICE.as_of_s + 90 * 86_400 + 1)
