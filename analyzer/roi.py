"""Speed-up and the operator's prices -> cost per million tokens, whole GPUs given back, payback."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, inf

from analyzer.assumptions import Deployment
from analyzer.evidence import Estimate, Evidence, Figure, Missing, worst

HOURS_PER_MONTH = 730.0
"""365 days / 12 months * 24 hours."""
PRICE_STALE_S = 90 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Money:
    """What a scheme would be worth for one deployment. Savings count whole GPUs that can be given back, or nothing."""

    replicas_after: Figure
    gpus_released: Figure
    saving_usd_per_month: Figure
    payback_months: Figure
    year_1_net_usd: Figure
    article_saving_usd_per_month: Figure
    """The article's `cost * (1 - 1/s)`, which assumes that any fraction of a GPU can be given back."""


def cost_usd_per_million_tokens(usd_per_hour: float, tokens_per_s: Figure) -> Figure:
    """Allocation basis: all GPU-hours, idle ones included, over the generated tokens."""
    if isinstance(tokens_per_s, Missing):
        return tokens_per_s
    if tokens_per_s.low <= 0:
        return Missing("no token was generated in this span")
    return _priced(tokens_per_s.map(lambda rate: usd_per_hour / (rate * 3600) * 1e6, "allocation"))


def replicas_needed(replicas: int, speedup: float, minimum: int) -> int:
    """Replicas that carry today's load after the speed-up, today's number being just enough.

    The floor never raises the number above today's. Raises ValueError for a speed-up that is not positive.
    """
    if speedup <= 0:
        raise ValueError(f"a speed-up is positive: {speedup}")
    return max(ceil(replicas / speedup - 1e-9), min(minimum, replicas))


def money(deployment: Deployment, replicas: int, gpus_per_replica: int, speedup: Figure) -> Money:
    """Savings, payback and first-year net, each with the interval that the speed-up's interval gives it."""
    if isinstance(speedup, Missing):
        return Money(speedup, speedup, speedup, speedup, speedup, speedup)
    if speedup.low <= 0:
        why = Missing("the speed-up's interval reaches zero")
        return Money(why, why, why, why, why, why)
    after = speedup.map(lambda s: float(replicas_needed(replicas, s, deployment.minimum_replicas)), "whole_replicas")
    released = after.map(lambda n: (replicas - n) * gpus_per_replica, "whole_gpus")
    price = deployment.price
    if price is None:
        why = Missing("no price: set deployments[].price")
        return Money(after, released, why, why, why, why)
    monthly = price.usd_per_gpu_hour * HOURS_PER_MONTH
    saving = _priced(released.map(lambda n: n * monthly, "released_gpus"))
    whole_usd = replicas * gpus_per_replica * monthly
    article = _priced(speedup.map(lambda s: whole_usd * (1 - 1 / s), "article_total_cost_analysis"))
    investment = deployment.costs.investment_usd
    if investment is None:
        why = Missing("the cost of the work is not stated: set deployments[].costs")
        return Money(after, released, saving, why, why, article)
    payback = saving.map(lambda usd: investment / usd if usd > 0 else inf, "investment_per_saving")
    net = saving.map(lambda usd: 12 * usd - investment, "year_1")
    return Money(after, released, saving, payback, net, article)


def _priced(figure: Estimate) -> Estimate:
    """A price is the operator's word, so money is at best assumed."""
    return Estimate(figure.value, figure.low, figure.high, worst(figure.evidence, Evidence.ASSUMED), figure.method)
