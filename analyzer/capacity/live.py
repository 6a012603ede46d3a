"""One replica's decision span, step model and predictions -> what load it carries, as it is and under each scheme."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from analyzer.capacity.answer import CapacityReport, Change, Replica, Side, replica, under
from analyzer.capacity.costs import fitted_coefficients
from analyzer.capacity.demand import Demand
from analyzer.capacity.doubt import change_sd, doubt_of
from analyzer.capacity.memory import KvLimit, kv_limit, kv_tokens_after
from analyzer.capacity.mix import limits_of, mix_of
from analyzer.evidence import Estimate, Evidence, Figure, Missing
from analyzer.folded import Folded
from analyzer.hardware import Hardware
from analyzer.objectives import Objectives
from analyzer.predict import Prediction, transform
from analyzer.predict.formats import Format, format_of
from analyzer.samples import Identity
from analyzer.steptime.fit import StepModel
from analyzer.steptime.parts import Part
from analyzer.whatif import served_format

UNSPLIT = Missing("nothing tells weight reads from overhead, so no scheme's effect on capacity can be told")


@dataclass(frozen=True, slots=True)
class Stated:
    """What the operator states that bounds a replica; None: not stated."""

    objectives: Objectives | None = None
    seats: int | None = None
    chunk_tokens: float | None = None
    load_ratio: float = 1.0
    """What-if: the load over the observed one."""


@dataclass(frozen=True, slots=True)
class ReplicaCapacity:
    """What one replica carries, in requests a second of its own mix.

    `rate_per_s` is the mean over the decision span; latencies `today` are at that rate.
    """

    rate_per_s: Figure
    kv: KvLimit
    now: Side | Missing
    schemes: Mapping[str, CapacityReport | Missing] = field(metadata={"plain": False})
    """Not in a plain report: the deployment's has what matters of it."""
    objectives: Objectives
    stated: bool
    """Whether the operator stated the objectives; if not, capacity is a share of what can be served at all."""
    demand: Demand = field(metadata={"plain": False})


def replica_capacity(
    identity: Identity,
    hardware: Hardware | Missing,
    parts: Sequence[Part],
    model: StepModel | Missing,
    predicted: Mapping[str, Prediction | Missing],
    stated: Stated,
) -> ReplicaCapacity:
    """The capacity of a replica over the parts of its decision span; Missing says what is not known."""
    demand, kv = Demand.of_parts(parts).times(stated.load_ratio), kv_limit(parts)
    objectives, told = stated.objectives, stated.objectives is not None
    kept = Objectives() if objectives is None else objectives
    mix = model if isinstance(model, Missing) else mix_of(parts, identity, model.pair_ratio)
    if not isinstance(mix, Missing):
        mix = mix.at(mix.rate_per_s * stated.load_ratio)
    before = None if isinstance(model, Missing) else fitted_coefficients(model)
    if isinstance(model, Missing) or isinstance(mix, Missing) or before is None:
        why = mix if isinstance(mix, Missing) else UNSPLIT
        return ReplicaCapacity(demand.mean_per_s(), kv, why, dict.fromkeys(predicted, why), kept, told, demand)
    limits = limits_of(parts, identity, model, stated.seats, stated.chunk_tokens)
    one = replica(before, mix, limits, kept, doubt_of(model, _evidence(model, hardware)))
    rate = Estimate.exact(mix.rate_per_s, Evidence.MEASURED, "requests_counted")
    changes = {
        name: _change(one, prediction, identity, hardware)
        for name, prediction in predicted.items()
        if not isinstance(prediction, Missing)
    }
    found = under(one, changes)
    schemes = {name: each if isinstance(each, Missing) else found[name] for name, each in predicted.items()}
    # What is the same under all schemes is held once.
    return ReplicaCapacity(rate, kv, one.now, Folded(schemes, (one.now, kept)), kept, told, demand)


def _evidence(model: StepModel, hardware: Hardware | Missing) -> Evidence:
    """As a prediction has it: fitted where live data decide what a step costs."""
    if isinstance(hardware, Hardware) and hardware.assumed:
        return Evidence.ASSUMED
    return Evidence.FITTED if model.decided else Evidence.MODELLED


def _change(one: Replica, prediction: Prediction, identity: Identity, hardware: Hardware | Missing) -> Change:
    speedup = prediction.speedup
    fits = _kv_after(one, prediction.scheme, identity, hardware)
    return Change(transform(one.costs, prediction.factors), change_sd(speedup), speedup.evidence, fits)


def _kv_after(one: Replica, scheme: str, identity: Identity, hardware: Hardware | Missing) -> float | None:
    held = one.limits.kv_capacity_tokens
    if held is None or isinstance(hardware, Missing):
        return None
    before = served_format(identity, hardware)
    if not isinstance(before, Format):
        return None
    return kv_tokens_after(held, hardware.shape, before, format_of(scheme, before))
