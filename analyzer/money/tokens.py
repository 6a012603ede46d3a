"""What a million tokens cost: all of them, input and output apart by GPU time, idle time included and not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from analyzer.assumptions import Price
from analyzer.evidence import Estimate, Figure, Missing, worst
from analyzer.money.prices import NO_PRICE

PER_MILLION_HOURS = 1e6 / 3600
"""($/h) / (tokens/s) times this is $ per million tokens."""
_NO_TOKENS = Missing("no token was processed in this span")


@dataclass(frozen=True, slots=True)
class TokenCosts:
    """$ per million tokens on one basis. `input` are prompt tokens, cached ones included, as they are billed.

    `input` bears prefill's share of the GPU time and `output` decode's; `blended` is all time over all tokens, and
    `generated` all time over the generated ones, which is the article's figure.
    """

    blended: Figure
    input: Figure
    output: Figure
    generated: Figure


@dataclass(frozen=True, slots=True)
class Costs:
    """On the allocation basis idle GPU-hours are paid for by the tokens; on the usage basis only busy ones are."""

    allocation: TokenCosts
    usage: TokenCosts


def token_costs(
    price: Price | None, gpus: int, generated_per_s: Figure, prompt_per_s: Figure, prefill: Figure, busy: Figure
) -> Costs:
    """The costs of `gpus` GPUs that process so many tokens a second; `prefill` is its (marginal) share of busy time."""
    if price is None:
        none = TokenCosts(NO_PRICE, NO_PRICE, NO_PRICE, NO_PRICE)
        return Costs(none, none)
    whole = Estimate.exact(price.usd_per_gpu_hour * gpus, price.evidence, "price")
    used = _combined(lambda usd, share: usd * share, "usage", whole, busy)
    return Costs(
        _costs(whole, "allocation", generated_per_s, prompt_per_s, prefill),
        _costs(used, "usage", generated_per_s, prompt_per_s, prefill),
    )


def _costs(usd_per_hour: Figure, basis: str, generated: Figure, prompt: Figure, prefill: Figure) -> TokenCosts:
    return TokenCosts(
        blended=_combined(lambda usd, out, into: _per_million(usd, out + into), basis, usd_per_hour, generated, prompt),
        input=_combined(lambda usd, share, into: _per_million(usd * share, into), basis, usd_per_hour, prefill, prompt),
        output=_combined(
            lambda usd, share, out: _per_million(usd * (1 - share), out), basis, usd_per_hour, prefill, generated
        ),
        generated=_combined(_per_million, basis, usd_per_hour, generated),
    )


def _per_million(usd_per_hour: float, tokens_per_s: float) -> float:
    """Raises ZeroDivisionError where there is no token."""
    return usd_per_hour / tokens_per_s * PER_MILLION_HOURS


def _combined(rule: Callable[..., float], method: str, *figures: Figure) -> Figure:
    """The rule at the central figures; its interval reaches over every combination of the inputs' ends."""
    known: list[Estimate] = []
    for one in figures:
        if isinstance(one, Missing):
            return one
        known.append(one)
    combinations: list[tuple[float, ...]] = [()]
    for one in known:
        ends = (one.low,) if one.low == one.high else (one.low, one.high)
        combinations = [(*former, end) for former in combinations for end in ends]
    try:
        value = rule(*(one.value for one in known))
        values = [rule(*one) for one in combinations]
    except ZeroDivisionError:
        return _NO_TOKENS
    evidence = worst(*(one.evidence for one in known))
    return Estimate(value, min(value, *values), max(value, *values), evidence, method)
