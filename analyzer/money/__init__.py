"""What a scheme is worth in money: whole GPUs that are given back or need not be bought, against the work it takes."""

from __future__ import annotations

from analyzer.money.break_even import HOURS_PER_MONTH, PaysFrom
from analyzer.money.fleet import Load, just_enough, load_of
from analyzer.money.prices import NO_COSTS, NO_PRICE, PRICE_STALE_S, is_stale, price_of
from analyzer.money.savings import Mode, Money, money
from analyzer.money.tokens import Costs, TokenCosts, token_costs

__all__ = [
    "HOURS_PER_MONTH",
    "NO_COSTS",
    "NO_PRICE",
    "PRICE_STALE_S",
    "Costs",
    "Load",
    "Mode",
    "Money",
    "PaysFrom",
    "TokenCosts",
    "is_stale",
    "just_enough",
    "load_of",
    "money",
    "price_of",
    "token_costs",
]
