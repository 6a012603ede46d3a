"""Figures -> `worth_it`, `evaluate`, `no` or `insufficient_data`, with reasons; hysteresis over the former verdict."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from analyzer.assumptions import Deployment, Policy, Quality, QualityResult
from analyzer.evidence import Estimate, Evidence, Figure, Missing
from analyzer.facts.quality import QualityPrior
from analyzer.facts.schemes import Support
from analyzer.money import Money


class Verdict(StrEnum):
    """The answer for one scheme in one deployment."""

    WORTH_IT = "worth_it"
    EVALUATE = "evaluate"
    NO = "no"
    INSUFFICIENT_DATA = "insufficient_data"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict as today's figures give it, the strongest reason first on either side."""

    verdict: Verdict
    reasons_for: tuple[str, ...]
    reasons_against: tuple[str, ...]
    would_change: tuple[str, ...]
    settled: bool = False
    """A fact that no traffic changes, such as failed quality: it replaces the former verdict at once."""


@dataclass(frozen=True, slots=True)
class VerdictState:
    """The verdict that is shown, since when, the one that would replace it, and when data last allowed one."""

    verdict: Verdict
    since_s: float
    last_data_s: float | None
    candidate: Verdict | None = None
    candidate_since_s: float | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """Everything the judgement of one scheme for one deployment rests on."""

    deployment: Deployment
    scheme: str
    already_served: bool
    support: Support
    replicas: int
    missing_data: tuple[str, ...]
    busy: Figure
    memory_bound: Figure
    speedup: Figure
    quality: Quality | None
    prior: QualityPrior | None
    money: Money
    capacity_known: bool = False
    """Whether the load that fewer replicas carry within the latency objectives was computed."""


def judge(case: Case, policy: Policy) -> Judgement:
    """The verdict of today's figures. Missing data never give a `no`: they give `insufficient_data`."""
    refusal = _refusal(case)
    if refusal is not None:
        return Judgement(Verdict.NO, (), (refusal,), (), settled=True)
    missing = list(case.missing_data)
    for name, figure in (("memory-bound share", case.memory_bound), ("speed-up", case.speedup)):
        if isinstance(figure, Missing) and figure.reason not in missing:
            missing.append(f"no {name}: {figure.reason}")
    if missing or isinstance(case.speedup, Missing):
        return Judgement(Verdict.INSUFFICIENT_DATA, (), tuple(missing), ("the missing data above",))
    against, change = _against(case, case.speedup, policy)
    reasons = _reasons_for(case, case.speedup)
    if case.speedup.high <= 1.0:
        first = f"even at the optimistic end it is no faster ({_interval(case.speedup)})"
        return Judgement(Verdict.NO, reasons, (first, *against), change)
    released = case.money.gpus_released
    if isinstance(released, Estimate) and released.high <= 0:
        return Judgement(Verdict.NO, reasons, (_no_gpu(case), *against), change)
    if not against:
        return Judgement(Verdict.WORTH_IT, reasons, (_residual_risk(case),), ())
    return Judgement(Verdict.EVALUATE, reasons, against, change)


def _refusal(case: Case) -> str | None:
    """What settles the question whatever the traffic is."""
    if case.already_served:
        return f"{case.scheme} is what is served already"
    if case.support.level == "unsupported":
        return case.support.reason
    if case.quality is not None and case.quality.result is QualityResult.FAIL:
        return f"quality failed: {case.quality.metric}, judged by {case.quality.owner}"
    return None


def _reasons_for(case: Case, speedup: Estimate) -> tuple[str, ...]:
    reasons = []
    released, saving = case.money.gpus_released, case.money.saving_usd_per_month
    if isinstance(saving, Estimate) and isinstance(released, Estimate) and released.value > 0:
        reasons.append(f"{released.value:.0f} GPU(s) given back save {_usd(saving.value)} a month")
    elif isinstance(released, Estimate) and released.high > 0:
        reasons.append(f"up to {released.high:.0f} GPU(s) could be given back")
    if speedup.value > 1 and isinstance(case.memory_bound, Estimate):
        reasons.append(
            f"{case.memory_bound.value:.0%} of busy time is memory-bound: steps {_interval(speedup)} as fast"
        )
    if case.quality is not None and case.quality.result is QualityResult.PASS:
        reasons.append(f"quality passed: {case.quality.metric}, judged by {case.quality.owner}")
    return tuple(reasons)


def _against(case: Case, speedup: Estimate, policy: Policy) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What stands between these figures and `worth_it`, and what would remove it; strongest first."""
    found: list[tuple[str, str]] = []
    net, released = case.money.year_1_net_usd, case.money.gpus_released
    if isinstance(net, Missing):
        found.append((f"the first year's net is not known: {net.reason}", net.reason))
    elif net.low <= 0:
        found.append(
            (f"the first year may lose money ({_usd(net.low)} at the pessimistic end)", "a narrower speed-up interval")
        )
    if isinstance(released, Estimate) and released.low < 1:
        found.append(("at the pessimistic end no whole GPU is given back", "more replicas, or a larger speed-up"))
    if speedup.low <= policy.worth_it_speedup:
        need = f"a speed-up that surely exceeds {policy.worth_it_speedup:g}x"
        found.append((f"the speed-up may be as low as {speedup.low:.2f}x", need))
    found.extend(_quality_doubts(case, policy))
    if speedup.evidence is Evidence.ASSUMED:
        found.append(
            ("the speed-up is assumed from published figures, not modelled for this server", "a measured canary")
        )
    elif not case.capacity_known:
        text = "what fewer replicas carry within your latency objectives is not computed, only how fast a step is"
        found.append((text, "a measured canary under the peak load"))
    if case.support.level == "weight_only":
        found.append((case.support.reason, "a GPU with native support"))
    if isinstance(case.busy, Estimate) and case.busy.high < 0.4:
        first = (f"the replicas are busy {case.busy.value:.0%} of the time: consolidate them first", "a higher load")
        found.insert(0, first)
    return tuple(what for what, _ in found), tuple(dict.fromkeys(remedy for _, remedy in found))


def _quality_doubts(case: Case, policy: Policy) -> list[tuple[str, str]]:
    quality, remedy = case.quality, f"an evaluation entered under deployments[].quality.{case.scheme}"
    if quality is None or quality.result is QualityResult.PENDING:
        prior = case.prior
        if prior is None:
            return [("no quality verdict was entered and nothing is published", remedy)]
        text = f"no quality verdict was entered; published relative loss {prior.median:.1%} (P90 {prior.p90:.1%})"
        return [(text, remedy)]
    if quality.relative_loss is not None and quality.relative_loss >= policy.max_quality_loss:
        return [(f"the entered quality loss of {quality.relative_loss:.1%} is large", "a better calibration")]
    return []


def _no_gpu(case: Case) -> str:
    floor = case.deployment.minimum_replicas
    if case.replicas <= floor:
        return f"no GPU can be given back: {case.replicas} replica(s) with a floor of {floor}"
    return f"no whole GPU can be given back: the speed-up does not free one of {case.replicas} replica(s)"


def _residual_risk(case: Case) -> str:
    return "lasting complexity: another model version to evaluate, serve and debug at every release"


def _usd(amount: float) -> str:
    return f"-${-amount:,.0f}" if amount < 0 else f"${amount:,.0f}"


def _interval(figure: Estimate) -> str:
    return f"{figure.value:.2f}x ({figure.low:.2f} to {figure.high:.2f})"


def settle(
    former: VerdictState | None, judged: Verdict, now_s: float, policy: Policy, *, at_once: bool = False
) -> VerdictState:
    """The verdict to show: a new one must hold for `dwell_s`; missing data keep the former one for `hold_s`.

    Time without data does not count towards the dwell. `at_once` adopts a different verdict without any.
    """
    missing = judged is Verdict.INSUFFICIENT_DATA
    last_data_s = (former.last_data_s if former is not None else None) if missing else now_s
    adopted = VerdictState(judged, now_s, last_data_s)
    if former is None or former.verdict is Verdict.INSUFFICIENT_DATA:
        return adopted if former is None or judged is not former.verdict else replace(former, last_data_s=last_data_s)
    if judged is former.verdict:
        return VerdictState(former.verdict, former.since_s, last_data_s)
    if missing:
        held = former.last_data_s is not None and now_s - former.last_data_s < policy.hold_s
        return replace(former, candidate=None, candidate_since_s=None) if held else adopted
    if at_once:
        return adopted
    if former.candidate is judged and former.candidate_since_s is not None:
        if now_s - former.candidate_since_s >= policy.dwell_s:
            return adopted
        return replace(former, last_data_s=last_data_s)
    return replace(former, last_data_s=last_data_s, candidate=judged, candidate_since_s=now_s)
