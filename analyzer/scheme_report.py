"""One scheme for one deployment: speed-up, money, quality and verdict, with the article's answer beside ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from analyzer.article_beside import Beside, Inputs, beside
from analyzer.assumptions import Deployment, Policy, Quality
from analyzer.canary import Canary, Tried, canary_of
from analyzer.capacity.fleet import FleetCapacity, SchemeCapacity, scheme_capacity
from analyzer.capacity.live import ReplicaCapacity
from analyzer.combine import weighted_mean
from analyzer.evidence import Figure, Missing
from analyzer.facts.gpus import Gpu
from analyzer.facts.quality import QualityPrior
from analyzer.facts.schemes import (
    Support,
    is_quantized,
    memory_bound_speedup,
    parts_of,
    quality_prior_of,
    schemes_named,
    support_of,
)
from analyzer.folded import part
from analyzer.hardware import model_shape
from analyzer.judge import Case, judge
from analyzer.money import Money, just_enough, load_of, money
from analyzer.predict import Prediction
from analyzer.replicas import ReplicaReport, busy_weight
from analyzer.samples import Identity
from analyzer.speedup import amdahl_speedup, article_speedup, spread
from analyzer.verdict import Judgement, Verdict, VerdictState, settle

Rates = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of a deployment before any scheme is asked about. `decided` replicas have a history long enough.

    `deployment` has the price that counts. `gpus_per_replica` is 1 where nobody told.
    """

    deployment: Deployment
    replicas: Sequence[ReplicaReport]
    decided: Sequence[ReplicaReport]
    gpu: Gpu | None
    gpus_per_replica: int
    busy: Figure
    memory_bound: Figure
    tokens_per_s: Figure
    fleet: FleetCapacity
    price_stale: bool | None
    missing: tuple[str, ...]
    tried: Sequence[Tried]
    """Replicas of different formats, whose steps are compared."""


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
    canary: Canary | Missing
    """What it did on a replica that serves it, beside what was predicted."""
    capacity: SchemeCapacity
    """The load that the replicas carry under it, and how many of them the peak needs."""
    money: Money
    quality: Quality | None
    prior: QualityPrior | None
    article: Beside
    """The article's answer on the live figures, as published, and why ours is another."""

    @property
    def verdict(self) -> Verdict:
        """The verdict shown."""
        return self.state.verdict


def report_scheme(name: str, seen: Seen, former: VerdictState | None, policy: Policy, now_s: float) -> SchemeReport:
    """The report of one scheme; `former` is its last verdict state."""
    deployment, replicas = seen.deployment, seen.replicas
    identity = replicas[0].identity if replicas else None
    able = support_of(name, seen.gpu, None if identity is None else identity.engine)
    rates = _published(name, able, identity)
    amdahl = _spread(amdahl_speedup, seen.memory_bound, rates, "amdahl")
    article = _spread(article_speedup, seen.memory_bound, rates, "article")
    prediction, predicted = _predicted(name, seen.decided)
    speedup = amdahl if isinstance(predicted, Missing) else predicted
    carried = scheme_capacity(name, [one.capacity for one in seen.decided], seen.fleet, _busiest(seen))
    worth = _money(seen, carried, speedup)
    quality = deployment.quality.get(name)
    shape = None if identity is None else model_shape(identity, deployment)
    prior = quality_prior_of(name, None if shape is None or isinstance(shape, Missing) else shape.parameters)
    case = Case(
        deployment=deployment,
        scheme=name,
        already_served=bool(replicas) and all(_serves(one, name) for one in replicas),
        support=able,
        replicas=len(replicas),
        missing_data=seen.missing,
        busy=seen.busy,
        memory_bound=seen.memory_bound,
        speedup=speedup,
        capacity=carried,
        quality=quality,
        prior=prior,
        money=worth,
        price_stale=seen.price_stale,
        former=None if former is None else former.verdict,
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
        canary=canary_of(name, seen.tried),
        capacity=carried,
        money=worth,
        quality=quality,
        prior=prior,
        article=beside(_inputs(seen, rates, quality, prior), deployment, amdahl, speedup, worth),
    )


def _money(seen: Seen, carried: SchemeCapacity, speedup: Figure) -> Money:
    """From the computed capacity; where there is none, as if replicas were just enough and steps were all."""
    owned = len(seen.replicas)
    load, ratio = load_of(seen.fleet, carried.replica), carried.ratio
    if isinstance(load, Missing) or isinstance(ratio, Missing):
        ratio = speedup
        load = just_enough(owned) if owned > 0 else Missing("no replica of this deployment has been seen")
    return money(seen.deployment, owned, seen.gpus_per_replica, load, ratio)


def _busiest(seen: Seen) -> ReplicaCapacity | None:
    return max(seen.decided, key=busy_weight).capacity if seen.decided else None


def _inputs(seen: Seen, rates: Rates | Missing, quality: Quality | None, prior: QualityPrior | None) -> Inputs:
    """What the article's rules take of this scheme: its published speed-up, the loss entered or else published."""
    loss = quality.relative_loss if quality is not None and quality.relative_loss is not None else None
    if loss is None and prior is not None:
        loss = prior.median
    return Inputs(
        tokens_per_s=seen.tokens_per_s,
        memory_bound=seen.memory_bound,
        gpus=seen.gpus_per_replica * len(seen.replicas),
        price=seen.deployment.price,
        rate=rates if isinstance(rates, Missing) else rates[1],
        loss=loss,
    )


def _serves(one: ReplicaReport, scheme: str) -> bool:
    served = schemes_named(one.identity.quantization, one.identity.kv_dtype)
    return all(part.name in served for part in parts_of(scheme))


def _published(scheme: str, able: Support, identity: Identity | None) -> Rates | Missing:
    """Published (P10, P50, P90) of the memory-bound part: of the fallback where the GPU lacks native support."""
    told = None if identity is None else identity.quantization
    if told is not None and is_quantized(told) is not False:
        return Missing(f"the replicas serve {told}, and published speed-ups are ratios to 16 bits")
    parts = parts_of(scheme)
    if len(parts) > 1:
        return Missing(f"no measured speed-up of {scheme} is published, only of its parts")
    fallback = parts[0].weight_only_as
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
    busiest = max(decided, key=busy_weight).predicted[name]
    figures = [part(one.predicted, name, "speedup") for one in decided]
    return busiest, weighted_mean(figures, [busy_weight(one) for one in decided])


def _spread(rule: Any, memory_bound: Figure, rates: Rates | Missing, method: str) -> Figure:
    if isinstance(memory_bound, Missing):
        return memory_bound
    if isinstance(rates, Missing):
        return rates
    return spread(rule, memory_bound, rates, method)
