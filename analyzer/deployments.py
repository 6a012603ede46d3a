"""The replicas of one deployment -> its mix, cost and, per scheme, speed-up, money and verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from analyzer.article import identify_bottleneck
from analyzer.article_answers import ArticleAnswers, Workload, article_answers
from analyzer.assumptions import DEFAULT_SCHEMES, Deployment, Policy
from analyzer.canary import Tried
from analyzer.capacity.fleet import FleetCapacity, fleet_capacity
from analyzer.combine import total, weighted_mean
from analyzer.elsewhere import Elsewhere, Option, options
from analyzer.evidence import Estimate, Figure, Missing
from analyzer.facts.gpus import find_gpu
from analyzer.hardware import Hardware
from analyzer.money import Costs, is_stale, price_of, token_costs
from analyzer.replicas import ReplicaReport, busy_weight
from analyzer.scheme_report import SchemeReport, Seen, report_scheme
from analyzer.verdict import VerdictState


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
    prompt_tokens_per_s: Figure
    """Cached ones included."""
    capacity: FleetCapacity
    """The peak load, what a replica carries of it, and how many replicas it needs as they are."""
    usd_per_hour: float | None
    usd_per_million_tokens: Figure
    """All GPU-hours over the generated tokens, as the article has it."""
    token_costs: Costs
    price_source: str | None
    price_stale: bool | None
    price_as_of_s: float | None
    price_shipped: bool | None
    """Whether the shipped reference price stands in, since none was stated."""
    assumed: tuple[str, ...]
    """What nobody told and was assumed, with what to state instead."""
    article: ArticleAnswers
    """The article's scenarios, hidden costs, matrix and checklist as they hold here."""
    schemes: tuple[SchemeReport, ...]
    options: tuple[Option, ...]
    """Other GPUs or tensor parallel sizes that the operator could have; empty where none is stated."""


def report_deployment(
    deployment: Deployment,
    replicas: Sequence[ReplicaReport],
    former: Mapping[str, VerdictState],
    policy: Policy,
    now_s: float,
    found: Sequence[Elsewhere] = (),
    tried: Sequence[Tried] = (),
) -> DeploymentReport:
    """The report of one deployment.

    `former` holds the last verdict states by scheme, `found` what its busiest replica would carry on other GPUs,
    `tried` the replicas whose steps are compared.
    """
    replicas = sorted(replicas, key=lambda one: not one.fresh)
    decided = [one for one in replicas if _long_enough(one, policy)]
    busy = weighted_mean([one.decision.busy for one in decided], [1.0] * len(decided))
    weights = [busy_weight(one) for one in decided]
    memory_bound = weighted_mean([one.decision.memory_bound for one in decided], weights)
    batch = weighted_mean([one.history_decode_batch for one in decided], weights)
    marginal = weighted_mean([one.decision.prefill_marginal for one in decided], weights)
    tokens = total([one.history_generation_tokens_per_s for one in replicas])
    prompts = total([one.history_prompt_tokens_per_s for one in replicas])
    gpus = sum(_gpus(one) for one in replicas)
    gpu_name = _first([deployment.gpu, *(one.identity.gpu for one in replicas)])
    gpu = None if gpu_name is None else find_gpu(gpu_name)
    price = price_of(deployment, gpu)
    usd_per_hour = None if price is None else price.usd_per_gpu_hour * gpus
    costs = token_costs(price, gpus, tokens, prompts, marginal, busy)
    busiest = max(decided, key=busy_weight).capacity if decided else None
    fleet = fleet_capacity([one.capacity for one in decided], len(replicas), busiest)
    seen = Seen(
        deployment=replace(deployment, price=price),
        replicas=replicas,
        decided=decided,
        gpu=gpu,
        gpus_per_replica=max((_gpus(one) for one in replicas), default=1),
        busy=busy,
        memory_bound=memory_bound,
        tokens_per_s=tokens,
        fleet=fleet,
        price_stale=None if price is None else is_stale(price, now_s),
        missing=_missing_data(replicas, decided, busy, policy),
        tried=tried,
    )
    schemes = deployment.schemes or DEFAULT_SCHEMES
    exclusive = weighted_mean([one.decision.prefill_exclusive for one in decided], weights)
    article = Workload(
        memory_bound=memory_bound,
        prefill_exclusive=exclusive,
        decode_batch=batch,
        generation_tokens_per_s=tokens,
        prompt_tokens_per_s=prompts,
        weights=_first([one.identity.quantization for one in replicas] + [one.identity.dtype for one in replicas]),
        kv_limited=_any([one.capacity.kv.limits for one in decided]),
        gpus=gpus if replicas else None,
        fleet=fleet,
    )
    return DeploymentReport(
        name=deployment.name,
        replicas=len(replicas),
        fresh_replicas=sum(one.fresh for one in replicas),
        simulated=any(one.simulated for one in replicas),
        gpus=gpus if replicas else None,
        gpu=gpu_name,
        model=_first([*(one.replica.model for one in replicas), deployment.model]),
        busy=busy,
        prefill_marginal=marginal,
        prefill_exclusive=exclusive,
        memory_bound=memory_bound,
        decode_batch=batch,
        bottleneck=_bottleneck(marginal, batch),
        generation_tokens_per_s=tokens,
        prompt_tokens_per_s=prompts,
        capacity=fleet,
        usd_per_hour=usd_per_hour,
        usd_per_million_tokens=costs.allocation.generated,
        token_costs=costs,
        price_source=None if price is None else price.source,
        assumed=_assumed(replicas),
        price_stale=seen.price_stale,
        price_as_of_s=None if price is None else price.as_of_s,
        price_shipped=None if price is None else price.shipped,
        article=article_answers(seen.deployment, article),
        schemes=tuple(report_scheme(name, seen, former.get(name), policy, now_s) for name in schemes),
        options=options(found, fleet, deployment.minimum_replicas, usd_per_hour),
    )


def _any(told: Sequence[bool | None]) -> bool | None:
    """True where one is, else None where none is known."""
    known = [one for one in told if one is not None]
    return any(known) if known else None


def _gpus(one: ReplicaReport) -> int:
    """GPUs of a replica, one where nobody told: `assumed` says so."""
    return 1 if one.gpus is None else one.gpus


def _assumed(replicas: Sequence[ReplicaReport]) -> tuple[str, ...]:
    found = [text for one in replicas if isinstance(one.hardware, Hardware) for text in one.hardware.assumed]
    if any(one.gpus is None for one in replicas):
        found.append("one GPU a replica: set deployments[].gpus_per_replica")
    return tuple(dict.fromkeys(found))


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


def _first(names: Sequence[str | None]) -> str | None:
    return next((name for name in names if name), None)
