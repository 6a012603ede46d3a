"""The article's scenarios, hidden costs, decision matrix and skip checklist, answered from telemetry and configuration.

The article gives no bounds for most of its words; those used here are ours and stand beside each answer. Its own rules
are in `article.py`, as published.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from analyzer.article import (
    LARGE_BATCH,
    high_roi_scenarios,
    low_roi_scenarios,
    quantization_hidden_costs,
    should_quantize,
    skip_quantization_checklist,
)
from analyzer.assumptions import Context, Costs, Deployment
from analyzer.capacity.fleet import FleetCapacity
from analyzer.evidence import Estimate, Evidence, Figure, Missing
from analyzer.facts.schemes import is_quantized
from analyzer.wording import usd

LOW_BATCH = 4.0
"""Our bound for the article's "low batch size"; its own rule knows 1 and above 16 only."""
HALF = 0.5
"""Of busy time: the phase that takes more is the heavy one. Of a request's tokens: more generated than read is long."""
SMALL_PART = 0.1
"""Our bound for "a small part of total cost"."""
OFTEN_PER_YEAR = 4.0
"""Our bound for models that "change often"."""
MANY_GPUS = 8
"""Our bound for the article's "high volume", in GPUs of the deployment; two and more are "moderate"."""

TRAITS = ("decode_heavy", "low_batch_size", "long_outputs", "prefill_heavy", "large_batch", "already_memory_efficient")
CONDITIONS = ("quality_is_differentiator", "compute_small", "latency_met", "small_team", "models_change_often")
"""The skip checklist's lines, in the article's order."""


@dataclass(frozen=True, slots=True)
class Line:
    """One of the article's statements as it holds here; `holds` is None where nobody and nothing tells."""

    name: str
    holds: bool | None
    why: str
    evidence: Evidence | None


@dataclass(frozen=True, slots=True)
class HiddenCost:
    """A cost that no benchmark shows; `usd` is None where nobody stated it or no figure exists."""

    name: str
    meant_for: str
    usd: float | None
    why: str


@dataclass(frozen=True, slots=True)
class Scenario:
    """The article's scenario nearest to this workload by memory-bound share, of those that can be meant here."""

    name: str
    high_roi: bool
    memory_bound_fraction: float | None
    """The article's; None where it says that it varies."""
    typical_speedup: str


@dataclass(frozen=True, slots=True)
class ArticleAnswers:
    """The article's questions about one deployment."""

    traits: tuple[Line, ...]
    scenario: Scenario | Missing
    hidden_costs: tuple[HiddenCost, ...]
    matrix: tuple[Line, ...]
    """The decision matrix's boxes."""
    decision: str
    """`should_quantize` of the boxes that are ticked."""
    checklist: tuple[Line, ...]
    """Reasons to leave quantization alone; any one of them may be enough."""


@dataclass(frozen=True, slots=True)
class Workload:
    """What the answers rest on, over the decision span; `weights` is how the engine names the served precision."""

    memory_bound: Figure
    prefill_exclusive: Figure
    decode_batch: Figure
    generation_tokens_per_s: Figure
    prompt_tokens_per_s: Figure
    weights: str | None
    kv_limited: bool | None
    """Whether queueing or preemption shows that KV memory limits any replica."""
    gpus: int | None
    fleet: FleetCapacity


def article_answers(deployment: Deployment, seen: Workload) -> ArticleAnswers:
    """All of them."""
    traits = _traits(seen)
    matrix = _matrix(deployment.context, seen, traits)
    return ArticleAnswers(
        traits=traits,
        scenario=_nearest(traits, seen.memory_bound),
        hidden_costs=_hidden_costs(deployment),
        matrix=matrix,
        decision=should_quantize({one.name: one.holds for one in matrix}),
        checklist=_checklist(deployment, seen),
    )


def _compared(name: str, figure: Figure, bound: float, told: str, *, above: bool) -> Line:
    """Whether a figure lies above (or at most at) a bound; `told` has places for value and bound."""
    if isinstance(figure, Missing):
        return Line(name, None, figure.reason, None)
    holds = figure.value > bound if above else figure.value <= bound
    return Line(name, holds, told.format(figure.value, bound), figure.evidence)


def _traits(seen: Workload) -> tuple[Line, ...]:
    prefill, batch = seen.prefill_exclusive, seen.decode_batch
    share = "steps with prompt tokens are {:.0%} of busy time, bound {:.0%}"
    of_batch = "decode batch {:.1f}, bound {:g}"
    served = None if seen.weights is None else is_quantized(seen.weights)
    told = "no engine tells the served precision" if served is None else f"the replicas serve {seen.weights}"
    return (
        _compared("decode_heavy", prefill, HALF, share, above=False),
        _compared("low_batch_size", batch, LOW_BATCH, of_batch, above=False),
        _long_outputs(seen.generation_tokens_per_s, seen.prompt_tokens_per_s),
        _compared("prefill_heavy", prefill, HALF, share, above=True),
        _compared("large_batch", batch, LARGE_BATCH, of_batch, above=True),
        Line("already_memory_efficient", served, told, None if served is None else Evidence.MEASURED),
    )


def _long_outputs(generated: Figure, prompts: Figure) -> Line:
    for figure in (generated, prompts):
        if isinstance(figure, Missing):
            return Line("long_outputs", None, figure.reason, None)
    assert isinstance(generated, Estimate)
    assert isinstance(prompts, Estimate)
    if generated.value + prompts.value <= 0:
        return Line("long_outputs", None, "no token was processed in this span", None)
    share = generated.value / (generated.value + prompts.value)
    told = f"{share:.0%} of the tokens are generated, bound {HALF:.0%}"
    return Line("long_outputs", share > HALF, told, generated.evidence)


def _nearest(traits: Sequence[Line], memory_bound: Figure) -> Scenario | Missing:
    """The scenario with the nearest memory-bound fraction, of those that can be meant.

    Decode-heavy and prefill-heavy are told apart by that fraction itself; the others need their trait. One whose
    fraction "varies" is taken where its trait holds: a server that is quantized already is that first of all.
    """
    if isinstance(memory_bound, Missing):
        return memory_bound
    holding = {one.name for one in traits if one.holds} | {"decode_heavy", "prefill_heavy"}
    found: list[tuple[float, Scenario]] = []
    for high, table in ((True, high_roi_scenarios()), (False, low_roi_scenarios())):
        for name, told in table.items():
            if name in holding:
                fraction = told["memory_bound_fraction"]
                known = float(fraction) if isinstance(fraction, int | float) else None
                far = 0.0 if known is None else abs(memory_bound.value - known)
                found.append((far, Scenario(name, high, known, told["typical_speedup"])))
    return min(found, key=lambda one: one[0])[1]


def _hidden_costs(deployment: Deployment) -> tuple[HiddenCost, ...]:
    costs, told = deployment.costs, quantization_hidden_costs()
    evaluated = ", ".join(f"{name}: {one.result.value}" for name, one in deployment.quality.items())
    amounts: dict[str, tuple[float | None, str]] = {
        "engineering_time": _engineering(costs),
        "quality_regression_risk": (costs.evaluation_usd, evaluated or "no evaluation entered: deployments[].quality"),
        "complexity": (costs.yearly_usd, "quantizing each model release again, in a year: deployments[].costs"),
        "debugging_difficulty": (None, "nobody has put a figure on it"),
    }
    return tuple(HiddenCost(name, one["for"], *amounts[name]) for name, one in told.items())


def _engineering(costs: Costs) -> tuple[float | None, str]:
    hours, rate = costs.engineering_hours, costs.engineering_usd_per_hour
    if hours is None or rate is None:
        return None, "not stated: deployments[].costs.engineering_hours and engineering_usd_per_hour"
    return costs.engineering_usd, f"stated: {hours:,.0f} hours at {usd(rate)}"


def _stated(name: str, flag: bool | None, key: str) -> Line:
    if flag is None:
        return Line(name, None, f"not stated: deployments[].context.{key}", None)
    return Line(name, flag, f"stated: deployments[].context.{key}", Evidence.MEASURED)


def _matrix(context: Context, seen: Workload, traits: Sequence[Line]) -> tuple[Line, ...]:
    memory = _memory(context, seen)
    decode = next(one for one in traits if one.name == "decode_heavy")
    free = None if memory.holds is None else not memory.holds
    gpus = "how many GPUs there are is not known" if seen.gpus is None else f"{seen.gpus} GPU(s), bound {MANY_GPUS}"
    counted = None if seen.gpus is None else Evidence.MEASURED
    engineers = _stated("engineering_capacity", context.engineering_capacity, "engineering_capacity")
    return (
        memory,
        decode,
        _stated("quality_critical", context.quality_is_differentiator, "quality_is_differentiator"),
        Line("not_memory_constrained", free, memory.why, memory.evidence),
        Line("moderate_volume", None if seen.gpus is None else 1 < seen.gpus < MANY_GPUS, gpus, counted),
        engineers,
        Line("high_volume", None if seen.gpus is None else seen.gpus >= MANY_GPUS, gpus, counted),
    )


def _memory(context: Context, seen: Workload) -> Line:
    if context.memory_constrained is not None or seen.kv_limited is None:
        return _stated("memory_constrained", context.memory_constrained, "memory_constrained")
    told = "shows" if seen.kv_limited else "does not show"
    why = f"queueing or preemption {told} that KV memory limits a replica"
    return Line("memory_constrained", seen.kv_limited, why, Evidence.MEASURED)


def _checklist(deployment: Deployment, seen: Workload) -> tuple[Line, ...]:
    context = deployment.context
    lines = (
        _stated(CONDITIONS[0], context.quality_is_differentiator, "quality_is_differentiator"),
        _compute(context),
        _latency_met(deployment, seen.fleet),
        _stated(CONDITIONS[3], context.small_team, "small_team"),
        _releases(context, deployment.costs),
    )
    assert len(lines) == len(skip_quantization_checklist())
    return lines


def _compute(context: Context) -> Line:
    share = context.compute_share_of_cost
    if context.compute_is_small_part_of_cost is None and share is not None:
        told = f"stated: compute is {share:.0%} of the cost, bound {SMALL_PART:.0%}"
        return Line(CONDITIONS[1], share <= SMALL_PART, told, Evidence.MEASURED)
    return _stated(CONDITIONS[1], context.compute_is_small_part_of_cost, "compute_share_of_cost")


def _latency_met(deployment: Deployment, fleet: FleetCapacity) -> Line:
    if deployment.context.latency_targets_met is not None or not fleet.stated:
        if deployment.objectives is None and deployment.context.latency_targets_met is None:
            return Line(CONDITIONS[2], None, "no objectives stated: deployments[].objectives", None)
        return _stated(CONDITIONS[2], deployment.context.latency_targets_met, "latency_targets_met")
    told = "the peak is {:.0%} of what the replicas carry within the objectives, bound {:.0%}"
    return _compared(CONDITIONS[2], fleet.load, 1.0, told, above=False)


def _releases(context: Context, costs: Costs) -> Line:
    count = costs.model_releases_per_year
    if context.models_change_often is None and count is not None:
        told = f"stated: {count:g} releases a year, bound {OFTEN_PER_YEAR:g}"
        return Line(CONDITIONS[4], count >= OFTEN_PER_YEAR, told, Evidence.MEASURED)
    return _stated(CONDITIONS[4], context.models_change_often, "models_change_often")
