"""The price that counts: the operator's, else the shipped reference price of the GPU, which is said to be assumed."""

from __future__ import annotations

from analyzer.assumptions import Deployment, Price
from analyzer.evidence import Missing
from analyzer.facts.gpus import REFERENCE_PRICE_DATE, REFERENCE_PRICE_SOURCE, Gpu

NO_PRICE = Missing("no price: set deployments[].price")
NO_COSTS = Missing("the cost of the work is not stated: set deployments[].costs")
PRICE_STALE_S = 90 * 24 * 3600.0
REFERENCE_PRICE_AS_OF_S = 1_775_001_600.0
"""2026-04-01 00:00 UTC, the start of `REFERENCE_PRICE_DATE`."""


def price_of(deployment: Deployment, gpu: Gpu | None) -> Price | None:
    """What counts as the price of a GPU-hour; None where neither the operator nor the table has one."""
    if deployment.price is not None:
        return deployment.price
    return None if gpu is None else reference_price(gpu)


def reference_price(gpu: Gpu) -> Price | None:
    """The shipped price of a GPU model: what one cloud asked then."""
    usd = gpu.reference_price_usd_per_h
    if usd is None:
        return None
    source = f"shipped reference price of {REFERENCE_PRICE_DATE}, not yours ({REFERENCE_PRICE_SOURCE})"
    return Price(usd, source, REFERENCE_PRICE_AS_OF_S, shipped=True)


def is_stale(price: Price, now_s: float) -> bool:
    """Whether the price is older than 90 days."""
    return now_s - price.as_of_s > PRICE_STALE_S
