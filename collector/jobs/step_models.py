"""Each replica's step-time model: what it is fitted to, and when it is fitted anew."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from analyzer.assumptions import Deployment
from analyzer.capacity.live import ReplicaCapacity
from analyzer.evidence import Missing
from analyzer.hours import ReplicaHours, replica_hours
from analyzer.predict import Prediction
from analyzer.replicas import NO_BUSY, ReplicaHistory, capacity_of_replica, fit_replica, predict_replica
from analyzer.samples import GpuSample, ReplicaKey
from analyzer.steptime.counted import Counted, counted_by_span
from analyzer.steptime.fit import StepModel
from analyzer.steptime.parts import Part
from analyzer.windows import Totals
from collector.jobs.duty import DutyCycles, duty_within
from collector.store.read import Reader

WARM_UP_S = 300.0
"""What an engine does right after its start, compiling and filling caches, is no evidence of what its steps cost."""
REFIT_S = 900.0
"""A model stands this long: some windows more change little."""
CAPACITY_S = 3600.0
"""A capacity stands this long: it is that of a week's mix, and costs fifty times what a fit does."""
CAPACITIES_AT_ONCE = 20
"""At most so many capacities are computed for one report; the others' come with the next ones."""
FINE_SPAN_S = 60.0
"""Of the last hour the fit sees every minute: as the mix of prompt and decode tokens swings, so do their costs."""
FINE_HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class _Fitted:
    """A model with what it was fitted to; `told` is what the operator and the server said then."""

    epoch: int
    at_s: float
    told: tuple[object, ...]
    model: StepModel | Missing
    seen_to_s: float | None
    """Unix time up to which the model has seen traffic; None without a model."""
    hours: ReplicaHours | Missing
    predicted: Mapping[str, Prediction | Missing] | None
    """None: to be computed with the report, since there is no model that would outlast it."""
    capacity: ReplicaCapacity | None
    """None as above."""
    capacity_at_s: float | None
    """When the capacity was computed; None where it waits for its turn."""


_IN_TURNS = Missing("capacities are computed in turns: this one comes with one of the next reports")


class StepModels:
    """The models of a fleet. Used by one thread."""

    def __init__(self, reader: Reader, duty: DutyCycles) -> None:
        self._reader = reader
        self._duty = duty
        self._fitted: dict[ReplicaKey, _Fitted] = {}
        self._turns = CAPACITIES_AT_ONCE

    def keep(self, replicas: Collection[ReplicaKey], capacities: int | None = None) -> None:
        """Before the replicas of one report: forget all other ones. `capacities`: at most so many, not the usual."""
        self._turns = CAPACITIES_AT_ONCE if capacities is None else capacities
        self._fitted = {key: one for key, one in self._fitted.items() if key in replicas}

    def prepared(self, known: ReplicaHistory, deployment: Deployment, epoch: int, now_s: float) -> ReplicaHistory:
        """With the model of the replica's epoch and what it predicts of each scheme.

        Both are made anew when the former ones are old or rest on other facts. Raises StoreError.
        """
        told = (known.identity, deployment, known.joined_gpus)
        former = self._fitted.get(known.replica)
        if former is not None and (former.epoch, former.told) != (epoch, told):
            former = None
        if former is None or _stale(former, now_s):
            fine = self._fine(known, epoch, now_s)
            model, predicted = _made(known, deployment, fine)
            hours = _hours(model, known)
            seen_to_s = None if isinstance(model, Missing) else _last_traffic_s(known.parts, fine)
            load, load_at_s = None, None
            if former is not None and not isinstance(model, Missing):
                load, load_at_s = former.capacity, former.capacity_at_s
            former = _Fitted(epoch, now_s, told, model, seen_to_s, hours, predicted, load, load_at_s)
        if _capacity_stale(former, now_s):
            former = self._with_capacity(former, known, deployment, now_s)
        self._fitted[known.replica] = former
        return replace(
            known,
            model=former.model,
            hours=former.hours,
            predicted=former.predicted,
            capacity=former.capacity,
            calibrated_to_s=former.seen_to_s,
        )

    def _with_capacity(self, former: _Fitted, known: ReplicaHistory, deployment: Deployment, now_s: float) -> _Fitted:
        """Computed anew if its turn has come; else the old one stands, or word that it comes later."""
        known = replace(known, model=former.model)
        predicted = {} if former.predicted is None else former.predicted
        if self._turns <= 0:
            if former.capacity is not None:
                return former
            later = capacity_of_replica(replace(known, model=_IN_TURNS), deployment, predicted)
            return replace(former, capacity=later)
        self._turns -= 1
        try:
            return replace(former, capacity=capacity_of_replica(known, deployment, predicted), capacity_at_s=now_s)
        except (ArithmeticError, LookupError, ValueError) as error:
            why = Missing(f"the capacity could not be computed: {error}")
            none = capacity_of_replica(replace(known, model=why), deployment, predicted)
            return replace(former, capacity=none, capacity_at_s=now_s)

    def parts(self, stored: Sequence[tuple[float, Totals]], uuids: Sequence[str], now_s: float) -> tuple[Part, ...]:
        """Stored totals by start, with the duty cycle of the joined GPUs in each, without the epoch's warm-up."""
        if not stored:
            return ()
        begun_s = min(totals.start_s for _, totals in stored)
        warm = [(start_s, totals) for start_s, totals in stored if totals.start_s >= begun_s + WARM_UP_S - 1]
        duties = [self._duty.by_bucket(uuid, begun_s, now_s) for uuid in uuids]
        parts = []
        for start_s, totals in warm:
            # A gap or another epoch may lie between the start of the hour and that of its totals, either way round.
            since_s = max(start_s, totals.start_s)
            told = [one for duty in duties if (one := duty_within(duty, since_s, totals.end_s)) is not None]
            if told and len(told) == len(duties):
                parts.append(Part(totals, sum(one.mean for one in told) / len(told), max(one.error for one in told)))
            else:
                parts.append(Part(totals))
        return tuple(parts)

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


def _made(
    known: ReplicaHistory, deployment: Deployment, fine: Counted | None
) -> tuple[StepModel | Missing, Mapping[str, Prediction | Missing] | None]:
    """A model that cannot be computed leaves the replica without one and touches no other."""
    try:
        model = fit_replica(known, deployment, fine)
        if isinstance(model, Missing):
            return model, None
        return model, predict_replica(replace(known, model=model), deployment, NO_BUSY)
    except (ArithmeticError, LookupError, ValueError) as error:
        return Missing(f"the step-time model could not be computed: {error}"), None


def _hours(model: StepModel | Missing, known: ReplicaHistory) -> ReplicaHours | Missing:
    try:
        return replica_hours(model, known.parts)
    except (ArithmeticError, LookupError, ValueError) as error:
        return Missing(f"the hours could not be computed: {error}")


def _last_traffic_s(parts: Sequence[Part], fine: Counted | None) -> float | None:
    """When the last span ended in which a step was counted."""
    ends_s = [part.totals.end_s for part in parts if part.totals.deltas["steps_total"]]
    if fine is not None:
        ends_s += fine["end_s"][fine["steps_total"] > 0].tolist()
    return max(ends_s, default=None)


def _stale(former: _Fitted, now_s: float) -> bool:
    return isinstance(former.model, Missing) or not 0 <= now_s - former.at_s < REFIT_S


def _capacity_stale(former: _Fitted, now_s: float) -> bool:
    """Without a model the report says itself why there is none."""
    if isinstance(former.model, Missing) or former.predicted is None:
        return False
    return former.capacity_at_s is None or not 0 <= now_s - former.capacity_at_s < CAPACITY_S
