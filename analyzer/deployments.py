"""The replicas of one deployment -> its mix, cost and, per scheme, speed-up, money and verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analyzer.article import identify_bottleneck, quantization_roi
from analyzer.assumptions import DEFAULT_SCHEMES, Deployment, Policy, Quality
from analyzer.capacity.fleet import FleetCapacity, SchemeCapacity, fleet_capacity, scheme_capacity
from analyzer.combine import total, weighted_mean
from analyzer.evidence import Estimate, Figure, Missing
from analyzer.facts.gpus import Gpu, find_gpu
from analyzer.facts.quality import QualityPrior, quality_prior
from analyzer.facts.schemes import SCHEMES, Support, is_quantized, memory_bound_speedup, scheme_of, support
from analyzer.hardware import Hardware, model_shape
from analyzer.predict import Prediction
from analyzer.replicas import ReplicaReport
from analyzer.roi import PRICE_STALE_S, Money, cost_usd_per_million_tokens, money
from analyzer.samples import Identity
from analyzer.speedup import amdahl_speedup, article_speedup, spread
from analyzer.verdict import Case, Judgement, Verdict, VerdictState, judge, settle

Rates = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class SchemeReport:
    """What one scheme would be worth here.

    `speedup` is the model's, Amdahl's law over published figures where it has none; both rules stand beside it.
    `prediction` is the model's for the busiest replica.
    """

    scheme: str
    state: VerdictState
    judged: Judgement
    already_served: bool
    support: Support
    speedup: Figure
    amdahl_speedup: Figure
    article_speedup: Figure
    prediction: Prediction | Missing
    capacity: SchemeCapacity
    """The load that the replicas carry under it, and how many of them the peak needs."""
    money: Money
    quality: Quality | None
    prior: QualityPrior | None
    article: Mapping[str, Any] | Missing
    """The article's `quantization_roi` on the live figures, as published."""

    @property
    def verdict(self) -> Verdict:
        """The verdict shown."""
        return self.state.verdict


@dataclass(frozen=True, slots=True)
class DeploymentReport:
    """One deployment's figures; shares are weighted by each replica's busy time over the decision span."""

    name: str
    replicas: int
    fresh_replicas: int
    simulated: bool
    gpus: int | None
    gpu: str | None
    model: str | None
    busy: Figure
    prefill_marginal: Figure
    prefill_exclusive: Figure
    memory_bound: Figure
    decode_batch: Figure
    bottleneck: str | Missing
    generation_tokens_per_s: Figure
    capacity: FleetCapacity
    """The peak load, what a replica carries of it, and how many replicas it needs as they are."""
    usd_per_hour: float | None
    usd_per_million_tokens: Figure
    price_source: str | None
    price_as_of_s: float | None
    price_stale: bool | None
    assumed: tuple[str, ...]
    """What nobody told and was assumed, with what to state instead."""
    schemes: tuple[SchemeReport, ...]


def report_deployment(
    deployment: Deployment,
    replicas: Sequence[ReplicaReport],
    former: Mapping[str, VerdictState],
    policy: Policy,
    now_s: float,
) -> DeploymentReport:
    """The report of one deployment; `former` holds the last verdict states by scheme."""
    replicas = sorted(replicas, key=lambda one: not one.fresh)
    decided = [one for one in replicas if _long_enough(one, policy)]
    busy = weighted_mean([one.decision.busy for one in decided], [1.0] * len(decided))
    weights = [_weight(one) for one in decided]
    memory_bound = weighted_mean([one.decision.memory_bound for one in decided], weights)
    batch = weighted_mean([one.history_decode_batch for one in decided], weights)
    marginal = weighted_mean([one.decision.prefill_marginal for one in decided], weights)
    tokens = total([one.history_generation_tokens_per_s for one in replicas])
    gpus = sum(_gpus(one) for one in replicas)
    price = deployment.price
    usd_per_hour = None if price is None else price.usd_per_gpu_hour * gpus
    cost: Figure = Missing("no price: set deployments[].price")
    if usd_per_hour is not None:
        cost = cost_usd_per_million_tokens(usd_per_hour, tokens)
    missing = _missing_data(replicas, decided, busy, policy)
    figures = (busy, memory_bound, tokens)
    schemes = deployment.schemes or DEFAULT_SCHEMES
    fleet = fleet_capacity([one.capacity for one in decided], len(replicas))
    return DeploymentReport(
        name=deployment.name,
        replicas=len(replicas),
        fresh_replicas=sum(one.fresh for one in replicas),
        simulated=any(one.simulated for one in replicas),
        gpus=gpus if replicas else None,
        gpu=_first([deployment.gpu, *(one.identity.gpu for one in replicas)]),
        model=_first([*(one.replica.model for one in replicas), deployment.model]),
        busy=busy,
        prefill_marginal=marginal,
        prefill_exclusive=weighted_mean([one.decision.prefill_exclusive for one in decided], weights),
        memory_bound=memory_bound,
        decode_batch=batch,
        bottleneck=_bottleneck(marginal, batch),
        generation_tokens_per_s=tokens,
        capacity=fleet,
        usd_per_hour=usd_per_hour,
        usd_per_million_tokens=cost,
        price_source=None if price is None else price.source,
        price_as_of_s=None if price is None else price.as_of_s,
        assumed=_assumed(replicas),
        price_stale=None if price is None else now_s - price.as_of_s > PRICE_STALE_S,
        schemes=tuple(
            _scheme(name, deployment, replicas, decided, fleet, figures, missing, former.get(name), policy, now_s)
            for name in schemes
        ),
    )


def _scheme(
    name: str,
    deployment: Deployment,
    replicas: Sequence[ReplicaReport],
    decided: Sequence[ReplicaReport],
    fleet: FleetCapacity,
    figures: tuple[Figure, Figure, Figure],
    missing: tuple[str, ...],
    former: VerdictState | None,
    policy: Policy,
    now_s: float,
) -> SchemeReport:
    busy, memory_bound, tokens = figures
    identity = replicas[0].identity if replicas else None
    gpu_name = _first([deployment.gpu, *(one.identity.gpu for one in replicas)])
    gpu: Gpu | None = None if gpu_name is None else find_gpu(gpu_name)
    able = support(name, gpu, None if identity is None else identity.engine)
    rates = _published(name, able, identity)
    amdahl = _spread(amdahl_speedup, memory_bound, rates, "amdahl")
    article = _spread(article_speedup, memory_bound, rates, "article")
    prediction, predicted = _predicted(name, decided)
    busiest = max(decided, key=_weight).capacity if decided else None
    speedup = amdahl if isinstance(predicted, Missing) else predicted
    per_replica = max((_gpus(one) for one in replicas), default=1)
    worth = money(deployment, len(replicas), per_replica, speedup)
    quality = deployment.quality.get(name)
    shape = None if identity is None else model_shape(identity, deployment)
    prior = quality_prior(name, None if shape is None or isinstance(shape, Missing) else shape.parameters)
    case = Case(
        deployment=deployment,
        scheme=name,
        already_served=bool(replicas) and all(_serves(one, name) for one in replicas),
        support=able,
        replicas=len(replicas),
        missing_data=missing,
        busy=busy,
        memory_bound=memory_bound,
        speedup=speedup,
        quality=quality,
        prior=prior,
        money=worth,
    )
    judged = judge(case, policy)
    return SchemeReport(
        scheme=name,
        state=settle(former, judged.verdict, now_s, policy, at_once=judged.settled),
        judged=judged,
        already_served=case.already_served,
        support=able,
        speedup=speedup,
        amdahl_speedup=amdahl,
        article_speedup=article,
        prediction=prediction,
        capacity=scheme_capacity(name, [one.capacity for one in decided], fleet, busiest),
        money=worth,
        quality=quality,
        prior=prior,
        article=_article(deployment, len(replicas) * per_replica, memory_bound, tokens, rates, quality, prior),
    )


def _article(
    deployment: Deployment,
    gpus: int,
    memory_bound: Figure,
    tokens: Figure,
    rates: Rates | Missing,
    quality: Quality | None,
    prior: QualityPrior | None,
) -> Mapping[str, Any] | Missing:
    """The article's rule on the live figures; each input it lacks is named."""
    if isinstance(memory_bound, Missing):
        return memory_bound
    if isinstance(tokens, Missing):
        return tokens
    if tokens.value <= 0:
        return Missing("no token was generated in this span")
    if isinstance(rates, Missing):
        return rates
    if deployment.price is None:
        return Missing("no price: set deployments[].price")
    loss = quality.relative_loss if quality is not None and quality.relative_loss is not None else None
    if loss is None and prior is not None:
        loss = prior.median
    if loss is None:
        return Missing("no quality loss entered or published")
    usd_per_hour = deployment.price.usd_per_gpu_hour * gpus
    return quantization_roi(tokens.value, usd_per_hour, memory_bound.value, rates[1], loss)


def _gpus(one: ReplicaReport) -> int:
    """GPUs of a replica, one where nobody told: `assumed` says so."""
    return 1 if one.gpus is None else one.gpus


def _assumed(replicas: Sequence[ReplicaReport]) -> tuple[str, ...]:
    found = [text for one in replicas if isinstance(one.hardware, Hardware) for text in one.hardware.assumed]
    if any(one.gpus is None for one in replicas):
        found.append("one GPU a replica: set deployments[].gpus_per_replica")
    return tuple(dict.fromkeys(found))


def _serves(one: ReplicaReport, scheme: str) -> bool:
    return one.identity.quantization is not None and scheme_of(one.identity.quantization) == scheme


def _published(scheme: str, able: Support, identity: Identity | None) -> Rates | Missing:
    """Published (P10, P50, P90) of the memory-bound part: of the fallback where the GPU lacks native support."""
    told = None if identity is None else identity.quantization
    if told is not None and is_quantized(told) is not False:
        return Missing(f"the replicas serve {told}, and published speed-ups are ratios to 16 bits")
    fallback = SCHEMES[scheme].weight_only_as
    as_run = fallback if able.level == "weight_only" and fallback is not None else scheme
    found = memory_bound_speedup(as_run)
    if found is None:
        return Missing(f"no measured speed-up of {scheme} is published")
    return found.p10, found.p50, found.p90


def _predicted(name: str, decided: Sequence[ReplicaReport]) -> tuple[Prediction | Missing, Figure]:
    """The busiest replica's prediction, and the step speed-up of all of them, weighted by busy time."""
    if not decided:
        why = Missing("no replica has a history long enough")
        return why, why
    busiest = max(decided, key=_weight).predicted[name]
    each = [one.predicted[name] for one in decided]
    figures = [one if isinstance(one, Missing) else one.speedup for one in each]
    return busiest, weighted_mean(figures, [_weight(one) for one in decided])


def _spread(rule: Any, memory_bound: Figure, rates: Rates | Missing, method: str) -> Figure:
    if isinstance(memory_bound, Missing):
        return memory_bound
    if isinstance(rates, Missing):
        return rates
    return spread(rule, memory_bound, rates, method)


def _long_enough(one: ReplicaReport, policy: Policy) -> bool:
    coverage = one.history_coverage
    return one.history_span_s >= policy.min_history_s and coverage is not None and coverage >= policy.min_coverage_ratio


def _missing_data(
    replicas: Sequence[ReplicaReport], decided: Sequence[ReplicaReport], busy: Figure, policy: Policy
) -> tuple[str, ...]:
    if not replicas:
        return ("no replica of this deployment has been seen",)
    if not any(one.fresh for one in replicas):
        return ("no replica answers: the figures would be old",)
    if not decided:
        longest = max(replicas, key=lambda one: one.history_covered_s)
        covered_h, cycle_h = longest.history_covered_s / 3600, policy.min_history_s / 3600
        return (f"{covered_h:.1f} h covered of the {cycle_h:.0f} h that make a daily cycle, in the current epoch",)
    if isinstance(busy, Estimate) and busy.high < policy.min_busy_ratio:
        return (f"the replicas were busy {busy.value:.1%} of the time: there is no workload to judge",)
    return ()


def _bottleneck(marginal: Figure, batch: Figure) -> str | Missing:
    """The article's `identify_bottleneck`, its phase the one that takes most of the busy time."""
    if isinstance(marginal, Missing):
        return marginal
    phase = "prefill" if marginal.value > 0.5 else "decode"
    if phase == "decode" and isinstance(batch, Missing):
        return batch
    return identify_bottleneck({"phase": phase, "batch_size": batch.value if isinstance(batch, Estimate) else 1})


def _weight(one: ReplicaReport) -> float:
    busy = one.decision.busy
    return busy.value * one.history_covered_s if isinstance(busy, Estimate) else 0.0


def _first(names: Sequence[str | None]) -> str | None:
    return next((name for name in names if name), None)
