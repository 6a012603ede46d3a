"""Whole replicas and the operator's prices -> what a scheme saves, when it is paid back, and from where on it pays."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from math import inf

import numpy as np

from analyzer.assumptions import Deployment
from analyzer.evidence import Estimate, Figure, Missing, worst
from analyzer.money.break_even import HOURS_PER_MONTH, PaysFrom, Plan, least_ratio, pays_from
from analyzer.money.draws import Array, cases, summary
from analyzer.money.fleet import HORIZON_MONTHS, Load, Replicas
from analyzer.money.prices import NO_COSTS, NO_PRICE


class Mode(StrEnum):
    """How a scheme saves money, or that it does not."""

    RELEASED = "released"
    """GPUs that are owned are given back."""
    AVOIDED = "avoided"
    """GPUs need not be bought: for growth, or to keep objectives that are missed today."""
    LATENCY_ONLY = "latency_only"
    """Faster answers from the same GPUs: no money."""
    NONE = "none"
    """Neither."""


@dataclass(frozen=True, slots=True)
class Money:
    """What a scheme would be worth for one deployment: whole GPUs that are released or avoided, or nothing.

    All figures are beyond what consolidating the fleet gives without any scheme. Intervals are P10 and P90.
    """

    mode: Mode | Missing
    owned_replicas: int
    gpus_per_replica: int
    replicas_needed: Figure
    """That carry today's peak without the scheme."""
    replicas_after: Figure
    """That carry it with the scheme."""
    gpus_consolidated: Figure
    """Given back without any scheme: no saving of the scheme's."""
    gpus_released: Figure
    gpus_avoided: Figure
    """Not bought by the end of the first year."""
    saving_usd_per_month: Figure
    """Of GPUs released at today's load."""
    avoided_usd_per_month: Figure
    """Of GPUs not bought, the mean of the first year's months."""
    investment_usd: float | None
    requantization_usd_per_year: float | None
    payback_months: Figure
    year_1_net_usd: Figure
    break_even_ratio: Figure
    """Speed-up in capacity from which the first year's net exceeds the stated minimum; infinite where none does."""
    pays_from: PaysFrom | Missing
    capacity_computed: bool
    """Whether load and capacity were computed; else today's replicas count as just enough and the step speed-up as
    the capacity's.
    """


def money(deployment: Deployment, owned: int, gpus_per_replica: int, load: Load | Missing, ratio: Figure) -> Money:
    """Savings, payback and first-year net. `ratio` is the capacity of a replica after over before.

    Missing figures name what is to be stated. A negative saving is a cost: a slower scheme needs more GPUs.
    """
    if isinstance(load, Missing):
        return _unknown(deployment, owned, gpus_per_replica, load)
    if isinstance(ratio, Missing):
        return _unknown(deployment, owned, gpus_per_replica, ratio)
    if ratio.low <= 0:
        return _unknown(deployment, owned, gpus_per_replica, Missing("the speed-up's interval reaches zero"))
    drawn, change = cases(load.replicas, ratio, load.apart)
    plan = Plan(deployment, owned, gpus_per_replica)
    fleet = plan.fleet(drawn, change)
    evidence = worst(load.replicas.evidence, ratio.evidence)
    counted = replace(
        _unknown(deployment, owned, gpus_per_replica, NO_PRICE),
        mode=mode_of(fleet, ratio),
        replicas_needed=summary(fleet.without[:, 0], evidence, load.replicas.method),
        replicas_after=summary(fleet.under[:, 0], evidence, load.replicas.method),
        gpus_consolidated=summary(fleet.consolidated[:, 0] * gpus_per_replica, evidence, "whole_gpus"),
        gpus_released=summary(fleet.released[:, 0] * gpus_per_replica, evidence, "whole_gpus"),
        gpus_avoided=summary(fleet.avoided[:, -1] * gpus_per_replica, evidence, "whole_gpus"),
        capacity_computed=load.computed,
    )
    price, investment = deployment.price, deployment.costs.investment_usd
    if price is None:
        return counted
    evidence = worst(evidence, price.evidence)
    monthly = price.usd_per_gpu_hour * HOURS_PER_MONTH * gpus_per_replica
    saving = replace(
        counted,
        saving_usd_per_month=summary(fleet.released[:, 0] * monthly, evidence, "released_gpus"),
        avoided_usd_per_month=summary(fleet.avoided.mean(axis=1) * monthly, evidence, "avoided_gpus"),
    )
    if investment is None:
        return replace(
            saving, payback_months=NO_COSTS, year_1_net_usd=NO_COSTS, break_even_ratio=NO_COSTS, pays_from=NO_COSTS
        )
    flows = (fleet.released + fleet.avoided) * monthly - plan.yearly_usd / HORIZON_MONTHS
    net = flows.sum(axis=1) - investment
    ratios = least_ratio(plan, drawn)
    return replace(
        saving,
        payback_months=summary(payback_months(flows, investment), evidence, "cumulative_saving"),
        year_1_net_usd=summary(net, evidence, "year_1"),
        break_even_ratio=summary(ratios, evidence, "break_even"),
        pays_from=pays_from(plan, drawn, change, ratios),
    )


def _unknown(deployment: Deployment, owned: int, gpus_per_replica: int, why: Missing) -> Money:
    costs = deployment.costs
    return Money(
        mode=why,
        owned_replicas=owned,
        gpus_per_replica=gpus_per_replica,
        replicas_needed=why,
        replicas_after=why,
        gpus_consolidated=why,
        gpus_released=why,
        gpus_avoided=why,
        saving_usd_per_month=why,
        avoided_usd_per_month=why,
        investment_usd=costs.investment_usd,
        requantization_usd_per_year=costs.yearly_usd,
        payback_months=why,
        year_1_net_usd=why,
        break_even_ratio=why,
        pays_from=why,
        capacity_computed=False,
    )


def payback_months(flows: Array, investment_usd: float) -> Array:
    """Months until the cumulated flows (draws, months) reach the investment; infinite where they never do.

    Within a month money comes evenly. After the last month its flow goes on.
    """
    if investment_usd <= 0:
        return np.where(flows[:, 0] >= 0, 0.0, inf)
    before = np.concatenate([np.zeros((len(flows), 1)), np.cumsum(flows, axis=1)], axis=1)
    rate = np.concatenate([flows, flows[:, -1:]], axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        needs = (investment_usd - before) / rate
    last = np.full(rate.shape[1], 1.0)
    last[-1] = inf
    reached = (rate > 0) & (needs <= last)
    first = reached.argmax(axis=1)
    rows = np.arange(len(flows))
    return np.where(reached.any(axis=1), first + needs[rows, first], inf)


def mode_of(fleet: Replicas, ratio: Estimate) -> Mode:
    """What most draws say: released at today's load, else avoided within the year, else faster at best."""
    if np.median(fleet.released[:, 0]) > 0:
        return Mode.RELEASED
    if np.median(fleet.avoided[:, -1]) > 0:
        return Mode.AVOIDED
    return Mode.LATENCY_ONLY if ratio.value > 1 else Mode.NONE
