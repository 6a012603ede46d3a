"""Each replica's step-time model and what follows from it: what it is made of, and when it is made anew."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import ParamSpec, TypeVar

from analyzer.assumptions import Deployment
from analyzer.capacity.live import ReplicaCapacity
from analyzer.decision import Decision
from analyzer.evidence import Missing
from analyzer.hours import ReplicaHours, replica_hours
from analyzer.predict import Prediction
from analyzer.replicas import (
    NO_BUSY,
    ModelFigures,
    ReplicaHistory,
    capacity_of_replica,
    decision_of_replica,
    demand_of_replica,
    figures_of_replica,
    fit_replica,
    predict_replica,
)
from analyzer.samples import GpuSample, ReplicaKey
from analyzer.steptime.counted import Counted, counted_by_span
from analyzer.steptime.fit import StepModel
from analyzer.steptime.parts import Part
from collector.jobs.standing import ABSENCE_STANDS, CAPACITY_STANDS, DECISION_STANDS, MODEL_STANDS
from collector.store.read import Reader

P = ParamSpec("P")
T = TypeVar("T")
CAPACITIES_AT_ONCE = 20
"""At most so many capacities are computed for one report; the others' come with the next ones."""
FINE_SPAN_S = 60.0
"""Of the last hour the fit sees every minute: as the mix of prompt and decode tokens swings, so do their costs."""
FINE_HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class _Fitted:
    """A model with what follows from it; `told` is what the operator and the server said then."""

    epoch: int
    told: tuple[object, ...]
    at_s: float
    """When the model was fitted, or was tried to be."""
    history_s: float
    """How long the history was; 0 where the model could not be computed, so that it is tried with every report."""
    model: StepModel | Missing
    figures: ModelFigures
    seen_to_s: float | None
    """Unix time up to which the model has seen traffic; None without a model."""
    hours: ReplicaHours | Missing
    predicted: Mapping[str, Prediction | Missing] | None = None
    """None where it cannot be computed: the report is to say why."""
    decision: Decision | None = None
    """None as above."""
    decided_at_s: float = 0.0
    capacity: ReplicaCapacity | None = None
    """None as above."""
    capacity_at_s: float | None = None
    """When the capacity was computed; None where it waits for its turn. Its demand is as new as the model."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """A replica's newest sample; it may be older than its live span."""

    at_s: float
    interval_s: float


_IN_TURNS = Missing("capacities are computed in turns: this one comes with one of the next reports")
_UNCOMPUTED = (ArithmeticError, LookupError, ValueError)


class StepModels:
    """The models of a fleet, and what follows from them. Used by one thread."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._fitted: dict[ReplicaKey, _Fitted] = {}
        self._seen: dict[ReplicaKey, _Seen] = {}
        self._turns = CAPACITIES_AT_ONCE
        self._promised = frozenset[ReplicaKey]()

    def keep(self, replicas: Collection[ReplicaKey], capacities: int | None = None) -> None:
        """Before the replicas of one report: forget all other ones. `capacities`: at most so many, not the usual."""
        self._turns = CAPACITIES_AT_ONCE if capacities is None else capacities
        self._promised = frozenset()
        self._fitted = {key: one for key, one in self._fitted.items() if key in replicas}
        self._seen = {key: one for key, one in self._seen.items() if key in replicas}

    def forget(self) -> None:
        """Make everything anew, of all replicas."""
        self._fitted = {}

    def due(self, epochs: Mapping[ReplicaKey, int], now_s: float) -> set[ReplicaKey]:
        """The replicas of which something has to be computed anew from their whole history.

        The turns of capacities go to those first that have waited longest, and first of all to those without one.
        """
        found, waiting = set[ReplicaKey](), dict[ReplicaKey, float]()
        for key, epoch in epochs.items():
            one = self._fitted.get(key)
            if one is None or one.epoch != epoch or _stale(key, one, now_s) or _decision_stale(key, one, now_s):
                found.add(key)
            if one is not None and _capacity_stale(key, one, now_s):
                waiting[key] = -inf if one.capacity_at_s is None else one.capacity_at_s
        self._promised = frozenset(sorted(waiting, key=waiting.__getitem__)[: self._turns])
        self._turns -= len(self._promised)
        return found | self._promised

    def stands(self, known: ReplicaHistory, deployment: Deployment) -> bool:
        """Whether what was computed rests on the same facts as are told now."""
        one = self._fitted.get(known.replica)
        return one is not None and one.told == _told(known, deployment)

    def with_former(self, known: ReplicaHistory) -> ReplicaHistory:
        """A replica without its history, with what was computed of it. Raises KeyError where nothing was."""
        if known.last is None:
            known = replace(known, last=self._seen.get(known.replica))
        self._see(known)
        return _with(known, self._fitted[known.replica])

    def _see(self, known: ReplicaHistory) -> None:
        if known.last is not None:
            self._seen[known.replica] = _Seen(known.last.at_s, known.last.interval_s)

    def prepared(self, known: ReplicaHistory, deployment: Deployment, epoch: int, now_s: float) -> ReplicaHistory:
        """With the model of the replica's epoch, what it predicts of each scheme, and the decision span's figures.

        What is old or rests on other facts is made anew. Raises StoreError.
        """
        key, former = known.replica, self._fitted.get(known.replica)
        self._seen.pop(key, None)
        self._see(known)
        if former is not None and (former.epoch, former.told) != (epoch, _told(known, deployment)):
            former = None
        if former is None or _stale(key, former, now_s):
            former = self._refitted(former, known, deployment, epoch, now_s)
        elif _decision_stale(key, former, now_s):
            decision = _computed(decision_of_replica, _with(known, former), deployment)
            former = replace(former, decision=decision, decided_at_s=now_s)
        if _capacity_stale(key, former, now_s):
            former = self._with_capacity(former, known, deployment, now_s)
        self._fitted[key] = former
        return _with(known, former)

    def _refitted(
        self, former: _Fitted | None, known: ReplicaHistory, deployment: Deployment, epoch: int, now_s: float
    ) -> _Fitted:
        fine, history_s = self._fine(known, epoch, now_s), _length_s(known)
        predicted: Mapping[str, Prediction | Missing] | None = None
        try:
            model = fit_replica(known, deployment, fine)
            known = replace(known, model=model)
            figures = figures_of_replica(known)
            if not isinstance(model, Missing):
                predicted = predict_replica(known, deployment, NO_BUSY)
        except _UNCOMPUTED as error:  # the replica has none then, and no other is touched
            model, history_s = Missing(f"the step-time model could not be computed: {error}"), 0.0
            known = replace(known, model=model)
            figures = figures_of_replica(known)
        known = replace(known, figures=figures)
        seen_to_s = None if isinstance(model, Missing) else _last_traffic_s(known.parts, fine)
        decision = _computed(decision_of_replica, known, deployment)
        if predicted is None and decision is not None:
            predicted = _computed(predict_replica, known, deployment, decision.account.busy)
        told, hours = _told(known, deployment), _hours(model, known)
        one = _Fitted(epoch, told, now_s, history_s, model, figures, seen_to_s, hours, predicted, decision, now_s)
        if isinstance(model, Missing):
            # Without a model a capacity is no more than the reason why there is none.
            capacity = None
            if predicted is not None:
                capacity = _computed(capacity_of_replica, known, deployment, predicted)
            return replace(one, capacity=capacity)
        if former is not None and former.capacity is not None and former.capacity_at_s is not None:
            # The load of the last hours may be the peak, however well the mix is known.
            demand = _computed(demand_of_replica, known, deployment)
            capacity = former.capacity if demand is None else replace(former.capacity, demand=demand)
            one = replace(one, capacity=capacity, capacity_at_s=former.capacity_at_s)
        return one

    def _with_capacity(self, former: _Fitted, known: ReplicaHistory, deployment: Deployment, now_s: float) -> _Fitted:
        """Computed anew if its turn has come; else the old one stands, or word that it comes later."""
        known = replace(known, model=former.model)
        predicted = {} if former.predicted is None else former.predicted
        if known.replica not in self._promised:
            if self._turns <= 0:
                if former.capacity is not None:
                    return former
                later = capacity_of_replica(replace(known, model=_IN_TURNS), deployment, predicted)
                return replace(former, capacity=later)
            self._turns -= 1
        try:
            return replace(former, capacity=capacity_of_replica(known, deployment, predicted), capacity_at_s=now_s)
        except _UNCOMPUTED as error:
            why = Missing(f"the capacity could not be computed: {error}")
            none = capacity_of_replica(replace(known, model=why), deployment, predicted)
            return replace(former, capacity=none, capacity_at_s=now_s)

    def _fine(self, known: ReplicaHistory, epoch: int, now_s: float) -> Counted | None:
        """The last hour by the minute, as far as it lies within the warm parts."""
        if not known.parts:
            return None
        since_s = max(now_s - FINE_HOUR_S, known.parts[0].totals.start_s)
        found = self._reader.columns(since_s, now_s + 1, {epoch: known.replica})
        if epoch not in found:
            return None
        gpus = [self._reader.gpu_samples(since_s, now_s + 1, uuid) for uuid in known.gpu_uuids]
        return counted_by_span(found[epoch], mean_gpu(gpus), FINE_SPAN_S)


def mean_gpu(gpus: Sequence[Sequence[GpuSample]]) -> Sequence[GpuSample]:
    """The readings that stand for all joined GPUs: of one, since the engine keeps all of them equally busy."""
    return gpus[0] if gpus else ()


def _computed(compute: Callable[P, T], *of: P.args, **named: P.kwargs) -> T | None:
    """None where it cannot be computed: the report tries again, and says why."""
    try:
        return compute(*of, **named)
    except _UNCOMPUTED:
        return None


def _hours(model: StepModel | Missing, known: ReplicaHistory) -> ReplicaHours | Missing:
    try:
        return replica_hours(model, known.parts)
    except _UNCOMPUTED as error:
        return Missing(f"the hours could not be computed: {error}")


def _last_traffic_s(parts: Sequence[Part], fine: Counted | None) -> float | None:
    """When the last span ended in which a step was counted."""
    ends_s = [part.totals.end_s for part in parts if part.totals.deltas["steps_total"]]
    if fine is not None:
        ends_s += fine["end_s"][fine["steps_total"] > 0].tolist()
    return max(ends_s, default=None)


def _told(known: ReplicaHistory, deployment: Deployment) -> tuple[object, ...]:
    return known.identity, deployment, known.gpu_uuids


def _with(known: ReplicaHistory, one: _Fitted) -> ReplicaHistory:
    return replace(
        known,
        model=one.model,
        figures=one.figures,
        hours=one.hours,
        predicted=one.predicted,
        decision=one.decision,
        capacity=one.capacity,
        calibrated_to_s=one.seen_to_s,
    )


def _length_s(known: ReplicaHistory) -> float:
    """Of the warm parts; before there are any, of what there is."""
    if known.parts:
        return known.parts[-1].totals.end_s - known.parts[0].totals.start_s
    return 0.0 if known.history is None else known.history.end_s - known.history.start_s


def _stale(key: ReplicaKey, one: _Fitted, now_s: float) -> bool:
    standing = ABSENCE_STANDS if isinstance(one.model, Missing) else MODEL_STANDS
    return not standing.holds(key, one.history_s, now_s - one.at_s)


def _decision_stale(key: ReplicaKey, one: _Fitted, now_s: float) -> bool:
    """What could not be computed is tried with every report, which says why."""
    lacking = one.decision is None or one.predicted is None or (isinstance(one.model, Missing) and one.capacity is None)
    return lacking or not DECISION_STANDS.holds(key, one.history_s, now_s - one.decided_at_s)


def _capacity_stale(key: ReplicaKey, one: _Fitted, now_s: float) -> bool:
    """Without a model the report says itself why there is none."""
    if isinstance(one.model, Missing) or one.predicted is None:
        return False
    return one.capacity_at_s is None or not CAPACITY_STANDS.holds(key, one.history_s, now_s - one.capacity_at_s)
