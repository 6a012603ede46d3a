"""What stands between a scheme's figures and `worth_it`, strongest first, each with what would remove it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import isinf
from typing import TYPE_CHECKING

from analyzer.assumptions import Policy, QualityResult
from analyzer.evidence import Estimate, Evidence, Missing
from analyzer.verdict import Verdict
from analyzer.wording import signed_usd, usd

if TYPE_CHECKING:
    from analyzer.judge import Case


@dataclass(frozen=True, slots=True)
class Doubt:
    """A reason against. One that `blocks` keeps the verdict at `evaluate` at most; the others are said beside it."""

    text: str
    remedy: str
    blocks: bool = True


COMPLEXITY = Doubt(
    "lasting complexity: another model version to evaluate, serve and debug at every release", "", blocks=False
)
"""Stands against every scheme."""


def doubts(case: Case, policy: Policy) -> tuple[Doubt, ...]:
    """All doubts about a scheme that is not refused and has a speed-up; the strongest first, never empty."""
    found = [
        *_consolidation(case, policy),
        *_money(case, policy),
        *_quality(case, policy),
        *_capacity(case, policy),
        *_assumptions(case),
        *_context(case),
        COMPLEXITY,
    ]
    return (*(one for one in found if one.blocks), *(one for one in found if not one.blocks))


def _consolidation(case: Case, policy: Policy) -> Iterator[Doubt]:
    money, replicas = case.money, case.replicas
    needed, idle = money.replicas_needed, money.gpus_consolidated
    if money.capacity_computed and isinstance(needed, Estimate) and isinstance(idle, Estimate):
        if idle.value <= 0:
            return
        text = f"{needed.value:.0f} of {replicas} replicas carry today's peak as they are"
        if needed.value <= policy.idle_share * replicas:
            yield Doubt(f"consolidate first: {text}", "a fleet consolidated to what its peak needs")
        else:
            yield Doubt(f"{text}: the rest can go without it", "", blocks=False)
    elif isinstance(case.busy, Estimate) and case.busy.high < 0.4:
        text = f"the replicas are busy {case.busy.value:.0%} of the time: consolidate them first"
        yield Doubt(text, "a higher load")


def _money(case: Case, policy: Policy) -> Iterator[Doubt]:
    money, wanted = case.money, case.deployment.minimum_year_1_net_usd
    net, released, avoided = money.year_1_net_usd, money.gpus_released, money.gpus_avoided
    if isinstance(released, Estimate) and isinstance(avoided, Estimate) and max(released.low, avoided.low) < 1:
        yield Doubt("at the pessimistic end no whole GPU is released or avoided", "")
    if isinstance(net, Missing):
        yield Doubt(f"the first year's net is not known: {net.reason}", net.reason)
        return
    margin = 0.0
    if case.former is not Verdict.WORTH_IT and money.investment_usd is not None:
        margin = policy.hysteresis_ratio * money.investment_usd
    if net.low <= wanted:
        beyond = "" if wanted == 0 else f", where you want {usd(wanted)}"
        yield Doubt(f"at the pessimistic end the first year nets {signed_usd(net.low)}{beyond}", "")
    elif net.low <= wanted + margin:
        text = f"at the pessimistic end the first year nets {signed_usd(net.low)}"
        yield Doubt(f"{text}, too near to nothing to begin with", f"{usd(wanted + margin)} at the pessimistic end")
    payback = money.payback_months
    if isinstance(payback, Estimate) and not isinf(payback.high):
        text = f"at the pessimistic end it pays back after {payback.high:.0f} months"
        yield Doubt(text, "", blocks=False)


def _quality(case: Case, policy: Policy) -> Iterator[Doubt]:
    quality, remedy = case.quality, f"an evaluation entered under deployments[].quality.{case.scheme}"
    if quality is None or quality.result is QualityResult.PENDING:
        if case.prior is None:
            yield Doubt("no quality verdict was entered and nothing is published", remedy)
            return
        published = f"published relative loss {case.prior.median:.1%} (P90 {case.prior.p90:.1%})"
        yield Doubt(f"no quality verdict was entered; {published}", remedy)
    elif quality.relative_loss is not None and quality.relative_loss >= policy.max_quality_loss:
        yield Doubt(f"the entered quality loss of {quality.relative_loss:.1%} is large", "a better calibration")


def _capacity(case: Case, policy: Policy) -> Iterator[Doubt]:
    speedup = case.speedup
    assert isinstance(speedup, Estimate)
    if not case.money.capacity_computed:
        if speedup.evidence is Evidence.ASSUMED:
            text = "the speed-up is assumed from published figures, not modelled for this server"
            yield Doubt(text, "a measured canary")
        why = case.capacity if isinstance(case.capacity, Missing) else case.capacity.needed
        told = f": {why.reason}" if isinstance(why, Missing) else ""
        text = f"what fewer replicas carry within your latency objectives is not known{told}"
        yield Doubt(text, "a measured canary under the peak load")
        if speedup.low <= policy.worth_it_speedup:
            need = f"a speed-up that surely exceeds {policy.worth_it_speedup:g}x"
            yield Doubt(f"the speed-up may be as low as {speedup.low:.2f}x", need)
        return
    if case.deployment.objectives is None:
        text = "you state no latency objectives: capacity is taken as a share of what can be served at all"
        yield Doubt(text, "latency objectives stated under deployments[].objectives")
    needed = case.money.replicas_after
    if isinstance(needed, Estimate) and needed.evidence is Evidence.ASSUMED:
        yield Doubt("the capacity rests on what nobody told: see what is assumed", "the assumed facts stated")


def _assumptions(case: Case) -> Iterator[Doubt]:
    price = case.deployment.price
    if price is not None and price.shipped:
        yield Doubt(f"the price is a {price.source}", "your own price under deployments[].price")
    elif case.price_stale:
        yield Doubt("the price is older than 90 days", "", blocks=False)
    for text in case.deployment.costs.left_out:
        yield Doubt(text, "", blocks=False)
    if case.support.level == "weight_only":
        yield Doubt(case.support.reason, "", blocks=False)


def _context(case: Case) -> Iterator[Doubt]:
    context = case.deployment.context
    if context.quality_is_differentiator:
        yield Doubt("quality is why users choose you, you say: a loss costs more than GPUs save", "", blocks=False)
    if context.small_team:
        yield Doubt("the team is small, you say: other work may bring more", "", blocks=False)
