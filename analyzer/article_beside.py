"""The article's return on investment and payback on the live figures of one scheme, and where ours part from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from analyzer.article import quantization_roi, total_cost_analysis
from analyzer.assumptions import Deployment, Price
from analyzer.evidence import Estimate, Figure, Missing
from analyzer.money import HOURS_PER_MONTH, NO_COSTS, NO_PRICE, Money
from analyzer.wording import usd


@dataclass(frozen=True, slots=True)
class Beside:
    """Both results as published, on live figures; `differs` says why ours are others."""

    roi: Mapping[str, Any] | Missing
    """`quantization_roi`."""
    costs: Mapping[str, float] | Missing
    """`total_cost_analysis`, its speed-up the article's."""
    differs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the article's rules take. `rate` is the published speed-up of the memory-bound part, `loss` of quality."""

    tokens_per_s: Figure
    memory_bound: Figure
    gpus: int
    price: Price | None
    rate: float | Missing
    loss: float | None


def beside(inputs: Inputs, deployment: Deployment, amdahl: Figure, ours: Figure, money: Money) -> Beside:
    """Each input that a rule lacks is named. `ours` is the step speed-up that the verdict rests on."""
    roi = _roi(inputs)
    if isinstance(roi, Missing):
        return Beside(roi, roi, ())
    costs = _costs(inputs, deployment, float(roi["speedup"]))
    return Beside(roi, costs, tuple(_differences(float(roi["speedup"]), costs, amdahl, ours, money)))


def _roi(inputs: Inputs) -> Mapping[str, Any] | Missing:
    for figure in (inputs.memory_bound, inputs.tokens_per_s):
        if isinstance(figure, Missing):
            return figure
    assert isinstance(inputs.memory_bound, Estimate)
    assert isinstance(inputs.tokens_per_s, Estimate)
    if isinstance(inputs.rate, Missing):
        return inputs.rate
    if inputs.tokens_per_s.value <= 0:
        return Missing("no token was generated in this span")
    if inputs.price is None:
        return NO_PRICE
    if inputs.loss is None:
        return Missing("no quality loss entered or published")
    usd_per_hour = inputs.price.usd_per_gpu_hour * inputs.gpus
    return quantization_roi(
        inputs.tokens_per_s.value, usd_per_hour, inputs.memory_bound.value, inputs.rate, inputs.loss
    )


def _costs(inputs: Inputs, deployment: Deployment, speedup: float) -> Mapping[str, float] | Missing:
    hours, rate = deployment.costs.engineering_hours, deployment.costs.engineering_usd_per_hour
    if inputs.price is None:
        return NO_PRICE
    if hours is None or rate is None:
        return NO_COSTS
    monthly_usd = inputs.price.usd_per_gpu_hour * inputs.gpus * HOURS_PER_MONTH
    return total_cost_analysis(monthly_usd, hours, rate, speedup)


def _differences(
    speedup: float, costs: Mapping[str, float] | Missing, amdahl: Figure, ours: Figure, money: Money
) -> list[str]:
    told = []
    if isinstance(amdahl, Estimate):
        told.append(
            f"the article adds the gain of the memory-bound part ({speedup:.3f}x); by Amdahl's law only that part of "
            f"the time shrinks ({amdahl.value:.3f}x)"
        )
    if isinstance(ours, Estimate):
        told.append(f"ours is predicted from what this server's steps cost ({ours.value:.3f}x, {ours.evidence.value})")
    if not isinstance(costs, Missing) and isinstance(money.saving_usd_per_month, Estimate):
        told.append(
            f"the article saves a share of the whole bill ({usd(costs['monthly_savings'])} a month); ours saves whole "
            f"GPUs beyond what consolidating gives ({usd(money.saving_usd_per_month.value)} a month)"
        )
    return told
