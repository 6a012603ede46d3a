"""Figures -> the verdict as today's figures give it, with the reasons for, those against and what would change it."""

from __future__ import annotations

from dataclasses import dataclass

from analyzer.assumptions import Deployment, Policy, Quality, QualityResult
from analyzer.capacity.fleet import SchemeCapacity
from analyzer.doubts import Doubt, doubts
from analyzer.evidence import Estimate, Figure, Missing
from analyzer.facts.quality import QualityPrior
from analyzer.facts.schemes import Support
from analyzer.money import Money
from analyzer.verdict import Judgement, Verdict
from analyzer.wording import factor, gpus, signed_usd, usd


@dataclass(frozen=True, slots=True)
class Case:
    """Everything the judgement of one scheme for one deployment rests on.

    `deployment` has the price that counts. `speedup` is the step's, `capacity` what the replicas carry under the
    scheme, `former` the verdict that is shown now. `price_stale` is None where there is no price.
    """

    deployment: Deployment
    scheme: str
    already_served: bool
    support: Support
    replicas: int
    missing_data: tuple[str, ...]
    busy: Figure
    memory_bound: Figure
    speedup: Figure
    capacity: SchemeCapacity | Missing
    quality: Quality | None
    prior: QualityPrior | None
    money: Money
    price_stale: bool | None = None
    former: Verdict | None = None


def judge(case: Case, policy: Policy) -> Judgement:
    """The verdict of today's figures. Missing data never give a `no`: they give `insufficient_data`.

    `worth_it` needs a pessimistic first-year net above what is wanted, which takes a whole GPU released or avoided, at
    a capacity computed within stated latency objectives, a quality that was evaluated and did not fail, and a stated
    price and cost. What is missing of that makes it `evaluate`; what no doubt can turn makes it `no`.
    """
    refusal = _refusal(case)
    if refusal is not None:
        return Judgement(Verdict.NO, (), (refusal,), (), settled=True)
    missing = list(case.missing_data)
    for name, figure in (("memory-bound share", case.memory_bound), ("speed-up", case.speedup)):
        if isinstance(figure, Missing) and figure.reason not in missing:
            missing.append(f"no {name}: {figure.reason}")
    if missing or isinstance(case.speedup, Missing):
        return Judgement(Verdict.INSUFFICIENT_DATA, (), tuple(missing), ("the missing data above",))
    found = doubts(case, policy)
    reasons, change = _reasons_for(case, case.speedup), _would_change(case, found)
    against = tuple(one.text for one in found)
    denial = _denial(case, case.speedup)
    if denial is not None:
        others = tuple(text for text in against if text != denial)
        return Judgement(Verdict.NO, reasons, (denial, *others), change)
    if any(one.blocks for one in found):
        return Judgement(Verdict.EVALUATE, reasons, against, change)
    return Judgement(Verdict.WORTH_IT, reasons, against, _would_turn(case))


def _refusal(case: Case) -> str | None:
    """What settles the question whatever the traffic is."""
    if case.already_served:
        return f"{case.scheme} is what is served already"
    if case.support.level == "unsupported":
        return case.support.reason
    if case.quality is not None and case.quality.result is QualityResult.FAIL:
        return f"quality failed: {case.quality.metric}, judged by {case.quality.owner}"
    return None


def _denial(case: Case, speedup: Estimate) -> str | None:
    """What makes it a `no` even at the optimistic end; None where the optimistic end saves something."""
    unreachable = _unreachable(case)
    if unreachable is not None:
        return unreachable
    money = case.money
    ratio = case.capacity.ratio if isinstance(case.capacity, SchemeCapacity) else Missing("")
    if money.capacity_computed and isinstance(ratio, Estimate):
        if ratio.high <= 1:
            return f"even at the optimistic end a replica carries no more load ({factor(ratio)})"
    elif speedup.high <= 1:
        return f"even at the optimistic end it is no faster ({factor(speedup)})"
    released, avoided = money.gpus_released, money.gpus_avoided
    if isinstance(released, Estimate) and isinstance(avoided, Estimate) and max(released.high, avoided.high) <= 0:
        return _no_gpu(case)
    net, wanted = money.year_1_net_usd, case.deployment.minimum_year_1_net_usd
    if isinstance(net, Estimate) and net.high <= wanted:
        need = "" if wanted == 0 else f", where you want {usd(wanted)}"
        return f"even at the optimistic end the first year nets {signed_usd(net.high)}{need}"
    return None


def _unreachable(case: Case) -> str | None:
    """Latency objectives that no load keeps."""
    if not isinstance(case.capacity, SchemeCapacity) or isinstance(case.capacity.replica, Missing):
        return None
    before, after = case.capacity.replica.before, case.capacity.replica.after
    if after.bound != "unreachable":
        return None
    if before.bound == "unreachable":
        return "no load keeps your latency objectives, with it or without: correct deployments[].objectives"
    return "under it no load keeps your latency objectives"


def _no_gpu(case: Case) -> str:
    """Why no whole GPU comes free, with the arithmetic."""
    money, floor = case.money, case.deployment.minimum_replicas
    if case.replicas <= floor:
        return f"no GPU can be given back: {case.replicas} replica(s) with a floor of {floor}"
    if not money.capacity_computed:
        return f"no whole GPU can be given back: the speed-up does not free one of {case.replicas} replica(s)"
    needed, after = money.replicas_needed, money.replicas_after
    assert isinstance(needed, Estimate)
    assert isinstance(after, Estimate)
    if needed.value <= floor:
        return f"no GPU can be given back: the peak needs {needed.value:.0f} replica(s), the floor is {floor}"
    return (
        f"no whole GPU can be given back: the peak needs {needed.value:.0f} of {case.replicas} replica(s) as it is "
        f"and {after.value:.0f} with {case.scheme}"
    )


def _reasons_for(case: Case, speedup: Estimate) -> tuple[str, ...]:
    money = case.money
    released, avoided = money.gpus_released, money.gpus_avoided
    saving, later = money.saving_usd_per_month, money.avoided_usd_per_month
    reasons = []
    if isinstance(released, Estimate) and released.value > 0:
        worth = f", {usd(saving.value)} a month" if isinstance(saving, Estimate) else ""
        reasons.append(f"{gpus(released.value)} given back{worth}")
    elif isinstance(released, Estimate) and released.high > 0:
        reasons.append(f"up to {gpus(released.high)} could be given back")
    if isinstance(avoided, Estimate) and avoided.value > 0:
        worth = f", {usd(later.value)} a month on average" if isinstance(later, Estimate) else ""
        reasons.append(f"{gpus(avoided.value)} fewer to buy within a year{worth}")
    elif isinstance(avoided, Estimate) and avoided.high > 0:
        reasons.append(f"up to {gpus(avoided.high)} fewer to buy within a year")
    if newly_met(case):
        reasons.append(f"your latency objectives, missed at today's peak, are kept with the {case.replicas} replicas")
    reasons.extend(_speed(case, speedup))
    if case.quality is not None and case.quality.result is QualityResult.PASS:
        reasons.append(f"quality passed: {case.quality.metric}, judged by {case.quality.owner}")
    return tuple(reasons)


def newly_met(case: Case) -> bool:
    """Whether today's replicas miss the stated objectives at the peak, and keep them under the scheme."""
    needed, after = case.money.replicas_needed, case.money.replicas_after
    if case.deployment.objectives is None or not case.money.capacity_computed:
        return False
    if isinstance(needed, Missing) or isinstance(after, Missing):
        return False
    return needed.low > case.replicas >= after.high


def _speed(case: Case, speedup: Estimate) -> list[str]:
    reasons = []
    ratio = case.capacity.ratio if isinstance(case.capacity, SchemeCapacity) else Missing("")
    if isinstance(ratio, Estimate) and ratio.value > 1:
        reasons.append(f"a replica carries {factor(ratio)} the load within its limits")
    if speedup.value > 1 and isinstance(case.memory_bound, Estimate):
        share = f"{case.memory_bound.value:.0%} of busy time is memory-bound"
        reasons.append(f"{share}: steps {factor(speedup)} as fast")
    return reasons


def _would_change(case: Case, found: tuple[Doubt, ...]) -> tuple[str, ...]:
    """What would lead to `worth_it`: where money would begin, in figures, and the remedy of each doubt that stands."""
    told: list[str] = []
    pays, net = case.money.pays_from, case.money.year_1_net_usd
    short = isinstance(net, Estimate) and net.low <= case.deployment.minimum_year_1_net_usd
    if short and not isinstance(pays, Missing):
        if pays.usd_per_gpu_hour is not None:
            told.append(f"a price of ${pays.usd_per_gpu_hour:,.2f} per GPU-hour or more")
        if pays.load_ratio is not None and pays.load_ratio > 1:
            told.append(f"a peak of {pays.load_ratio:.1f} times today's or more ({pays.replicas} replicas' worth)")
        if pays.ratio is not None:
            told.append(f"a replica that surely carries {pays.ratio:.2f}x the load")
        if pays.usd_per_gpu_hour is None and pays.load_ratio is None:
            told.append("no price and no load up to 20 times today's: only a larger speed-up")
    told += [one.remedy for one in found if one.blocks and one.remedy]
    return tuple(dict.fromkeys(told))


def _would_turn(case: Case) -> tuple[str, ...]:
    """What would take a `worth_it` back."""
    told = []
    pays = case.money.pays_from
    if not isinstance(pays, Missing):
        if pays.usd_per_gpu_hour is not None:
            told.append(f"a price below ${pays.usd_per_gpu_hour:,.2f} per GPU-hour")
        if pays.ratio is not None:
            told.append(f"a replica that carries less than {pays.ratio:.2f}x the load")
    told.append("a failed evaluation of quality")
    return tuple(told)
