"""Predicted capacity of simulated fleets against what their servers really take, with and without a scheme's effect.

The estimator has the polls of one replica of a fleet and what an operator states (GPU, model, seats, tokens per step,
objectives). The truth is found by running the simulator, with the true costs and with these under the scheme: the
factors that the product predicts for it are applied to the true costs as they are to the fitted ones. So what is
scored is the step model and the capacity solver, not the factors, which published measurements judge.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from math import ceil
from multiprocessing import get_context
from statistics import fmean, median
from typing import Any

from analyzer.capacity import CapacityReport, kv_tokens_after
from analyzer.capacity.live import Stated, replica_capacity
from analyzer.evidence import Estimate, Figure, Missing
from analyzer.facts.models import find_model
from analyzer.hardware import resolve
from analyzer.predict import Prediction, format_of, unquantized
from analyzer.steptime.fit import fit
from analyzer.steptime.parts import in_spans
from analyzer.whatif import predict_schemes
from collector.jobs.found_capacity import REQUESTS, Served, largest_rate, mean_gap_s
from collector.jobs.score_simulated import told
from collector.jobs.simulated_polls import Watched, watch
from collector.jobs.step_models import FINE_SPAN_S
from collector.simulator.changed import Change, changed_costs
from collector.simulator.fleets import Fleet


@dataclass(frozen=True, slots=True)
class Sides:
    """Before and after the scheme: requests a second of one replica, replicas that today's load needs, mean gap."""

    before_per_s: float
    after_per_s: float
    needed_before: int
    needed_after: int
    gap_before_s: float | None
    gap_after_s: float | None

    @property
    def ratio(self) -> float:
        """Capacity after over before."""
        return self.after_per_s / self.before_per_s


@dataclass(frozen=True, slots=True)
class FleetRow:
    """One fleet: `predicted` is None where the product predicts nothing, for `reason`."""

    fleet: str
    replicas: int
    load: float
    scheme: str
    law: str
    bound: str | None
    truth: Sides | None
    predicted: Sides | None
    ratio_low: float | None
    ratio_high: float | None
    evidence: str | None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class CapacitySummary:
    """Errors over fleets, relative; None where none was predicted. Shares are of the fleets with a prediction."""

    fleets: int
    predicted: int
    ratio_error_median: float | None
    ratio_error_worst: float | None
    capacity_error_median: float | None
    needed_exact: float | None
    needed_before_exact: float | None
    gap_error_median: float | None
    gap_error_worst: float | None
    gap_before_error_median: float | None
    coverage_80: float | None


def score_fleet(fleet: Fleet, requests: int = REQUESTS) -> FleetRow:
    """Predicts, then finds the truth. Raises SourceError when a simulated page cannot be read."""
    watched = asyncio.run(watch(fleet.workload))
    found = estimate(replace(watched, truths=()), fleet)
    if isinstance(found, Missing):
        return _row(fleet, None, None, None, found.reason)
    report, prediction, rate_per_s = found
    # The load is counted, not estimated: arrivals of this replica stand for each of the others.
    load_per_s = (watched.truth.arrivals - watched.truth.rejections) / watched.truth.at_s
    near = (_value(report.before.capacity_per_s), _value(report.after.capacity_per_s))
    truth = _truth(fleet, prediction, load_per_s, requests, near)
    return _row(fleet, truth, report, rate_per_s, None)


def score_fleets(fleets: Sequence[Fleet], processes: int | None = None) -> Iterator[FleetRow]:
    """The rows in their order, in parallel processes (as many as there are cores, if not said)."""
    count = min(len(fleets), processes if processes is not None else os.cpu_count() or 1)
    if count <= 1:
        yield from map(score_fleet, fleets)
        return
    with ProcessPoolExecutor(count, mp_context=get_context("spawn")) as pool:
        yield from pool.map(score_fleet, fleets)


def estimate(watched: Watched, fleet: Fleet) -> tuple[CapacityReport, Prediction, float] | Missing:
    """What the product says of these polls: the report, the prediction behind it, and today's rate."""
    workload, identity = fleet.workload, watched.identity
    parts = in_spans(watched.samples, [one for one in watched.gpus if one.uuid == watched.gpus[0].uuid], FINE_SPAN_S)
    hardware = resolve(identity, told(workload), workload.tensor_parallel)
    if isinstance(hardware, Missing):
        return hardware
    model = fit(parts, hardware, mixed=identity.mixed_steps is not False)
    if isinstance(model, Missing):
        return model
    predicted = predict_schemes((fleet.scheme,), identity, hardware, parts, model, Missing("not asked"))
    prediction = predicted[fleet.scheme]
    if isinstance(prediction, Missing):
        return prediction
    # The factors are applied to the true costs too: their own doubt does not count here.
    sure = Estimate.exact(prediction.speedup.value, prediction.speedup.evidence, prediction.speedup.method)
    stated = Stated(fleet.objectives, workload.seats, workload.chunk_tokens)
    exact = {fleet.scheme: replace(prediction, speedup=sure)}
    found = replica_capacity(identity, hardware, parts, model, exact, stated)
    report = found.schemes[fleet.scheme]
    if isinstance(report, Missing) or isinstance(found.rate_per_s, Missing):
        return report if isinstance(report, Missing) else Missing("no rate")
    return report, prediction, found.rate_per_s.value


def _truth(
    fleet: Fleet, prediction: Prediction, load_per_s: float, requests: int, near: tuple[float | None, float | None]
) -> Sides:
    workload, factors = fleet.workload, prediction.factors
    # The same requests as were watched, at any rate.
    before = Served(workload.costs, workload.settings, workload.traffic, workload.seed)
    change = Change(
        factors.weight_read,
        factors.kv_read,
        factors.sequence_compute,
        factors.prefill_token,
        factors.step_s,
        factors.token_s,
    )
    shape = find_model(workload.model.name)
    assert shape is not None
    plain = unquantized()
    held = kv_tokens_after(workload.settings.kv_capacity_tokens, shape, plain, format_of(fleet.scheme, plain))
    after = replace(
        before,
        costs=changed_costs(workload.costs, change),
        settings=replace(workload.settings, kv_capacity_tokens=int(held)),
    )
    first, second = (
        largest_rate(served, fleet.objectives, guess or workload.capacity_per_s, requests)
        for served, guess in zip((before, after), near, strict=True)
    )
    gaps = (mean_gap_s(one, load_per_s, requests) for one in (before, after))
    return _sides(fleet, first, second, load_per_s, *gaps)


def _sides(fleet: Fleet, before_per_s: float, after_per_s: float, load_per_s: float, *gaps: float | None) -> Sides:
    whole = fleet.replicas * load_per_s
    needed = [ceil(whole / one) if one > 0 else 0 for one in (before_per_s, after_per_s)]
    return Sides(before_per_s, after_per_s, needed[0], needed[1], gaps[0], gaps[1])


def _row(
    fleet: Fleet, truth: Sides | None, report: CapacityReport | None, rate_per_s: float | None, reason: str | None
) -> FleetRow:
    predicted: Sides | None = None
    ratio: Figure = Missing("not predicted")
    if report is not None and rate_per_s is not None:
        before, after = _value(report.before.capacity_per_s), _value(report.after.capacity_per_s)
        ratio = report.ratio
        if isinstance(ratio, Missing) or not before or not after:
            reason = ratio.reason if isinstance(ratio, Missing) else "no load keeps the objectives"
        else:
            gaps = [_value(one.today.token_gap_mean_s) for one in (report.before, report.after)]
            predicted = _sides(fleet, before, after, rate_per_s, *gaps)
    known = ratio if isinstance(ratio, Estimate) else None
    return FleetRow(
        fleet=fleet.name,
        replicas=fleet.replicas,
        load=fleet.workload.load,
        scheme=fleet.scheme,
        law=fleet.workload.law.value,
        bound=None if report is None else f"{report.before.bound} > {report.after.bound}",
        truth=truth,
        predicted=predicted,
        ratio_low=None if known is None else known.low,
        ratio_high=None if known is None else known.high,
        evidence=None if known is None else known.evidence.value,
        reason=reason,
    )


def _value(figure: Figure) -> float | None:
    return figure.value if isinstance(figure, Estimate) else None


def summarise(rows: Sequence[FleetRow]) -> CapacitySummary:
    """The errors of these rows."""
    both = [(row, row.truth, row.predicted) for row in rows if row.truth is not None and row.predicted is not None]
    ratios = [abs(one.ratio / true.ratio - 1) for _, true, one in both]
    capacities = [abs(one.before_per_s / true.before_per_s - 1) for _, true, one in both]
    after = [_off(one.gap_after_s, true.gap_after_s) for _, true, one in both]
    before = [_off(one.gap_before_s, true.gap_before_s) for _, true, one in both]
    gaps, gaps_before = ([one for one in each if one is not None] for each in (after, before))
    held = [
        float(row.ratio_low <= true.ratio <= row.ratio_high)
        for row, true, _ in both
        if row.ratio_low is not None and row.ratio_high is not None
    ]
    return CapacitySummary(
        fleets=len(rows),
        predicted=len(both),
        ratio_error_median=median(ratios) if ratios else None,
        ratio_error_worst=max(ratios, default=None),
        capacity_error_median=median(capacities) if capacities else None,
        needed_exact=fmean(one.needed_after == true.needed_after for _, true, one in both) if both else None,
        needed_before_exact=fmean(one.needed_before == true.needed_before for _, true, one in both) if both else None,
        gap_error_median=median(gaps) if gaps else None,
        gap_error_worst=max(gaps, default=None),
        gap_before_error_median=median(gaps_before) if gaps_before else None,
        coverage_80=fmean(held) if held else None,
    )


def _off(value: float | None, truth: float | None) -> float | None:
    return None if value is None or truth is None else abs(value / truth - 1)


def as_plain(rows: Sequence[FleetRow]) -> Mapping[str, Any]:
    """The result as JSON takes it: the summary, and the rows below."""
    return {**asdict(summarise(rows)), "rows": [asdict(row) for row in rows]}
