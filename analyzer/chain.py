"""From raw counters to shares: what a replica's figures were made of, kept in the report for whoever asks how.

The ladder says of each rung which figures it gave, and of those above the lowest used why they did not give more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import exp, log, sqrt

from analyzer.evidence import Estimate, Evidence, Missing
from analyzer.folded import Folded
from analyzer.hardware import Hardware
from analyzer.packed import Figures
from analyzer.phases import STEP_MODEL, PhaseAccount, measured_prefill
from analyzer.roofline import work
from analyzer.steptime.account import StepTime
from analyzer.steptime.coefficients import (
    COEFFICIENT_ERROR,
    COMPONENTS_OF,
    IDENTIFIED_SD,
    NARROWED,
    Z80,
    Coefficient,
    foretold,
)
from analyzer.steptime.fit import StepModel
from analyzer.steptime.lengths import Lengths
from analyzer.windows import COUNTERS, GAUGES, Totals

FIGURES = ("busy", "prefill_marginal", "prefill_exclusive", "memory_bound")


@dataclass(frozen=True, slots=True)
class Rung:
    """One rung of the evidence ladder: `gave` names the figures of the account that rest on it.

    `reason` is why it gave no share of the busy time, or one of less evidence; else None.
    """

    evidence: Evidence
    source: str
    gave: tuple[str, ...]
    reason: str | None


@dataclass(frozen=True, slots=True)
class SpanChain:
    """A span's increases by counter and means by gauge; what is not named was not reported throughout.

    `gpu_utilization` is the joined GPUs' mean duty cycle, `active_s` the seconds with requests running at both ends of
    a window. `refused` counts pairs of samples that made no window, by reason.
    """

    start_s: float
    end_s: float
    covered_s: float
    windows: int
    refused: Mapping[str, int]
    deltas: Mapping[str, float]
    means: Mapping[str, float]
    active_s: float | None
    gpu_utilization: float | None
    ladder: tuple[Rung, ...]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a coefficient's value (seconds) comes from: the prior, and by how much live data narrowed it.

    `sd` and `prior_sd` are relative standard deviations; `why_not` is why live data do not decide it, None if they do.
    """

    prior: Estimate
    prior_sd: float
    sd: float
    why_not: str | None


@dataclass(frozen=True, slots=True)
class Assumption:
    """One law of how a step's costs add up with one limit of prompt tokens per step, and its posterior weight."""

    law: str
    chunk_tokens: float
    weight: float


@dataclass(frozen=True, slots=True)
class FitChain:
    """What the step-time model rests on. `drafts` are draft tokens per sequence and step."""

    lengths: Lengths
    drafts: float
    origins: Mapping[str, Origin]
    assumptions: tuple[Assumption, ...]


@dataclass(frozen=True, slots=True)
class Chain:
    """Both spans and the model, or why there is none."""

    recent: SpanChain | Missing
    history: SpanChain | Missing
    fit: FitChain | Missing


def span_chain(
    totals: Totals | None,
    account: PhaseAccount,
    hardware: Hardware | Missing,
    gpu_utilization: float | None,
    model: StepModel | Missing,
) -> SpanChain | Missing:
    """What one span's account was made of."""
    if totals is None or totals.windows == 0:
        return Missing("no usable pair of samples in this span yet")
    return SpanChain(
        start_s=totals.start_s,
        end_s=totals.end_s,
        covered_s=totals.covered_s,
        windows=totals.windows,
        refused={reason.value: count for reason, count in totals.refusals.items()},
        deltas=Figures(COUNTERS, map(totals.deltas.__getitem__, COUNTERS)),
        means=Figures(GAUGES, map(totals.mean, GAUGES)),
        active_s=totals.active_s,
        gpu_utilization=gpu_utilization,
        ladder=ladder(totals, account, hardware, model),
    )


def ladder(
    totals: Totals, account: PhaseAccount, hardware: Hardware | Missing, model: StepModel | Missing
) -> tuple[Rung, ...]:
    """Every rung, best first, with what it gave to this account."""
    known = [
        (name, one.method, one.evidence) for name in FIGURES if isinstance(one := getattr(account, name), Estimate)
    ]
    whole = hardware if isinstance(hardware, Missing) else work(totals)
    return _ladder(tuple(known), *map(_reason, (measured_prefill(totals, account.busy), whole, model)))


def _reason(one: object) -> str | None:
    return one.reason if isinstance(one, Missing) else None


@lru_cache(maxsize=1024)
def _ladder(
    told: tuple[tuple[str, str, Evidence], ...], no_timers: str | None, no_roofline: str | None, no_model: str | None
) -> tuple[Rung, ...]:
    """The ladder of figures told by name, method and evidence, and why there is none of a kind: one for all alike."""

    def gave(*sources: str) -> tuple[str, ...]:
        return tuple(name for name, method, _ in told if method.startswith(sources))

    evidence = {name: one for name, _, one in told}
    timers = gave("engine_", "gpu_duty_cycle")
    fitted, modelled = gave(STEP_MODEL), gave("roofline", "steps_times", "requests_running")
    assumed = gave("article_")
    better = "not needed: a better rung told them"
    lowest = better if _shares(fitted) or no_timers is None or no_roofline is None else no_roofline
    unfitted = better if "prefill_marginal" in evidence else "this span has too little to apply it to"
    weaker = {evidence[name] for name in _shares(fitted) if name != "memory_bound"} - {Evidence.FITTED}
    undecided = f"live data do not decide what a step costs: {weaker.pop().value} only" if weaker else None
    return (
        _rung(
            Evidence.MEASURED,
            "the engine's timers and the GPU's duty cycle",
            timers,
            no_timers,
        ),
        _rung(
            Evidence.FITTED,
            "the step-time model, fitted to this server",
            fitted,
            undecided if _shares(fitted) else unfitted if no_model is None else no_model,
        ),
        _rung(
            Evidence.MODELLED,
            "the roofline, from token counts, model shape and GPU facts",
            modelled,
            None if _shares(modelled) else lowest,
        ),
        _rung(
            Evidence.ASSUMED,
            "the article's rule that decode is memory-bound",
            assumed,
            None
            if assumed
            else better
            if "memory_bound" in evidence
            else "prefill is not measured, or the batch is large",
        ),
    )


@lru_cache(maxsize=1024)
def _rung(evidence: Evidence, source: str, gave: tuple[str, ...], reason: str | None) -> Rung:
    """The same one for all replicas that have the same to say."""
    return Rung(evidence, source, gave, reason)


def _shares(gave: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in gave if name != "busy")


def fit_chain(model: StepModel | Missing, told: StepTime | Missing) -> FitChain | Missing:
    """What the model rests on; `told` are its own figures."""
    if isinstance(model, Missing):
        return model
    if isinstance(told, Missing):
        return told
    priors_s, prior_sds = foretold(model.prior)
    priors = zip(COMPONENTS_OF, priors_s.tolist(), prior_sds.tolist(), strict=True)
    source = "roofline_prior" if model.prior.split else "vague_prior"
    return FitChain(
        lengths=model.seen.lengths,
        drafts=model.seen.drafts,
        origins=Folded({name: _origin(told.coefficients[name], prior_s, sd, source) for name, prior_s, sd in priors}),
        assumptions=tuple(Assumption(one.law.value, one.chunk_tokens, one.weight) for one in model.hypotheses),
    )


def _origin(one: Coefficient, prior_s: float, prior_sd: float, source: str) -> Origin:
    spread = exp(Z80 * prior_sd)
    whole_sd = log(one.estimate.high / one.estimate.value) / Z80
    sd = sqrt(max(0.0, whole_sd**2 - COEFFICIENT_ERROR**2))
    why_not = None
    if not one.identified:
        why_not = _why_not(whole_sd, sd, prior_sd)
    return Origin(
        Estimate(prior_s, prior_s / spread, prior_s * spread, Evidence.MODELLED, source), prior_sd, whole_sd, why_not
    )


def _why_not(whole_sd: float, sd: float, prior_sd: float) -> str:
    if whole_sd > IDENTIFIED_SD:
        return (
            f"known to {whole_sd:.1%} only, {IDENTIFIED_SD:.1%} are needed: "
            "the batch, the context or the prompts did not vary enough on their own"
        )
    return f"live data narrow the prior's {prior_sd:.1%} to {sd:.1%} only, not by {1 / NARROWED:.0f} times"
