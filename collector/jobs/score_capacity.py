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
from dataclasses import dataclass, replace
from math import ceil
from multiprocessing import get_context
from statistics import fmean

from analyzer.assumptions import Costs, Policy, Price, Quality, QualityResult
from analyzer.capacity import CapacityReport, kv_tokens_after
from analyzer.capacity.demand import BUCKET_S, Demand
from analyzer.capacity.live import ReplicaCapacity, Stated, replica_capacity
from analyzer.evidence import Estimate, Figure, Missing
from analyzer.facts.models import find_model
from analyzer.hardware import resolve
from analyzer.predict import Prediction, format_of, unquantized
from analyzer.replicas import ReplicaHistory
from analyzer.report import analyse
from analyzer.samples import ReplicaKey
from analyzer.scheme_report import SchemeReport
from analyzer.steptime.fit import StepModel, fit
from analyzer.steptime.parts import Part, in_spans
from analyzer.whatif import predict_schemes
from analyzer.windows import add_up_whole
from collector.jobs.fleet_rows import Answer, FleetRow, Sides
from collector.jobs.found_capacity import REQUESTS, Served, mean_gap_s, rate_that_tells
from collector.jobs.score_simulated import told
from collector.jobs.simulated_polls import ADDRESS, Watched, watch
from collector.jobs.step_models import FINE_HOUR_S, FINE_SPAN_S
from collector.simulator.changed import Change, changed_costs
from collector.simulator.fleets import Fleet

DAY_S = 86_400.0
USD_PER_GPU_HOUR = 2.0
WORK = Costs(engineering_hours=100, engineering_usd_per_hour=100, requantization_hours=0, model_releases_per_year=0)
"""$10,000 once: one GPU given back pays that in seven months, so that whole GPUs decide, not their price."""


def score_fleet(fleet: Fleet, requests: int = REQUESTS) -> FleetRow:
    """Predicts, then finds the truth. Raises SourceError when a simulated page cannot be read."""
    watched = asyncio.run(watch(fleet.workload))
    found = estimate(replace(watched, truths=()), fleet)
    if isinstance(found, Missing):
        return _row(fleet, None, None, found.reason)
    # The load is counted, not estimated: arrivals of this replica stand for each of the others.
    load_per_s = (watched.truth.arrivals - watched.truth.rejections) / watched.truth.at_s
    near = (_value(found.report.before.capacity_per_s), _value(found.report.after.capacity_per_s))
    truth = _truth(fleet, found.prediction, load_per_s, requests, near)
    return _row(fleet, truth, found, None)


def score_fleets(fleets: Sequence[Fleet], processes: int | None = None) -> Iterator[FleetRow]:
    """The rows in their order, in parallel processes (as many as there are cores, if not said)."""
    count = min(len(fleets), processes if processes is not None else os.cpu_count() or 1)
    if count <= 1:
        yield from map(score_fleet, fleets)
        return
    with ProcessPoolExecutor(count, mp_context=get_context("spawn")) as pool:
        yield from pool.map(score_fleet, fleets)


@dataclass(frozen=True, slots=True)
class Estimated:
    """What the product says of a fleet: a replica's report, the prediction behind it, today's rate, the answer."""

    report: CapacityReport
    prediction: Prediction
    rate_per_s: float
    answer: SchemeReport
    peak_per_s: Figure


def estimate(watched: Watched, fleet: Fleet) -> Estimated | Missing:
    """What the product says of these polls."""
    workload, identity = fleet.workload, watched.identity
    parts = _parts(watched)
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
    answer, peak_per_s = _judged(watched, fleet, parts, model, exact, found)
    return Estimated(report, prediction, found.rate_per_s.value, answer, peak_per_s)


def _parts(watched: Watched) -> list[Part]:
    """As the daemon has them: the last hour by the minute, what was before by its buckets."""
    since_s, gpu = watched.samples[-1].at_s - FINE_HOUR_S, watched.first_gpu
    old = [one for one in watched.samples if one.at_s <= since_s]
    # The last of the old ones begins the first window of these.
    fine = [one for one in watched.samples if one.at_s >= since_s]
    return [
        *in_spans(old, [one for one in gpu if one.at_s <= since_s], BUCKET_S),
        *in_spans(fine, [one for one in gpu if one.at_s > since_s], FINE_SPAN_S),
    ]


def _judged(
    watched: Watched,
    fleet: Fleet,
    parts: Sequence[Part],
    model: StepModel,
    predicted: Mapping[str, Prediction],
    found: ReplicaCapacity,
) -> tuple[SchemeReport, Figure]:
    """The deployment's report as the daemon makes it, every replica polled as this one was, and its peak load."""
    last, name = watched.samples[-1], "fleet"
    passed = Quality(QualityResult.PASS, "simulated", "the simulator", last.at_s)
    deployment = replace(
        told(fleet.workload),
        name=name,
        objectives=fleet.objectives,
        seats=fleet.workload.seats,
        chunk_tokens=fleet.workload.chunk_tokens,
        schemes=(fleet.scheme,),
        price=Price(USD_PER_GPU_HOUR, "stated", last.at_s),
        costs=WORK,
        quality={fleet.scheme: passed},
    )
    history = add_up_whole([part.totals for part in parts])
    busy = [part.gpu_utilization for part in parts if part.gpu_utilization is not None]
    known = ReplicaHistory(
        replica=ReplicaKey(ADDRESS, last.replica.model, "0"),
        job="simulated",
        deployment=name,
        identity=watched.identity,
        simulated=True,
        last=last,
        recent=history,
        history=history,
        joined_gpus=fleet.workload.tensor_parallel,
        gpu_utilization_recent=fmean(busy) if busy else None,
        gpu_utilization_history=fmean(busy) if busy else None,
        parts=tuple(parts),
        model=model,
        predicted=predicted,
        capacity=replace(found, demand=_all_day(Demand.of_parts(in_spans(watched.samples, [], BUCKET_S)))),
    )
    members = [replace(known, replica=replace(known.replica, rank=str(number))) for number in range(fleet.replicas)]
    policy = Policy(min_history_s=0.5 * fleet.workload.span_s)
    span_s = fleet.workload.span_s
    report = analyse(members, [deployment], {}, policy, now_s=last.at_s, recent_s=span_s, history_s=span_s)
    (one,) = report.deployments
    (scheme,) = one.schemes
    return scheme, one.capacity.peak_per_s


def _all_day(seen: Demand) -> Demand:
    """What was seen, over and over for a day: a peak takes longer than some workloads are watched."""
    if not seen.spans:
        return seen
    begin_s = seen.spans[0].start_s
    # Whole buckets apart, so that repeated spans fall into buckets as the first ones did.
    period_s = ceil(seen.span_s / BUCKET_S) * BUCKET_S
    again = [begin_s + period_s * number for number in range(ceil(DAY_S / period_s))]
    return Demand(tuple(replace(one, start_s=one.start_s - begin_s + at_s) for at_s in again for one in seen.spans))


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
    whole = fleet.replicas * load_per_s
    first, second = (
        rate_that_tells(served, fleet.objectives, guess or workload.capacity_per_s, whole, requests)
        for served, guess in zip((before, after), near, strict=True)
    )
    gaps = (mean_gap_s(one, load_per_s, requests) for one in (before, after))
    return _sides(fleet, first, second, load_per_s, *gaps)


def _sides(fleet: Fleet, before_per_s: float, after_per_s: float, load_per_s: float, *gaps: float | None) -> Sides:
    whole = fleet.replicas * load_per_s
    needed = [ceil(whole / one) if one > 0 else 0 for one in (before_per_s, after_per_s)]
    return Sides(before_per_s, after_per_s, needed[0], needed[1], gaps[0], gaps[1])


def _row(fleet: Fleet, truth: Sides | None, found: Estimated | None, reason: str | None) -> FleetRow:
    row = FleetRow(
        fleet=fleet.name,
        replicas=fleet.replicas,
        load=fleet.workload.load,
        scheme=fleet.scheme,
        law=fleet.workload.law.value,
        bound=None,
        truth=truth,
        predicted=None,
        ratio_low=None,
        ratio_high=None,
        evidence=None,
        reason=reason,
    )
    if found is None:
        return row
    report = found.report
    row = replace(row, bound=f"{report.before.bound} > {report.after.bound}")
    before, after, ratio = report.before.capacity_per_s, report.after.capacity_per_s, report.ratio
    if isinstance(ratio, Missing):
        return replace(row, reason=ratio.reason)
    if isinstance(before, Missing) or isinstance(after, Missing) or not before.value or not after.value:
        return replace(row, reason="no load keeps the objectives")
    gaps = [_value(one.today.token_gap_mean_s) for one in (report.before, report.after)]
    whole = fleet.replicas * found.rate_per_s
    return replace(
        row,
        predicted=_sides(fleet, before.value, after.value, found.rate_per_s, *gaps),
        ratio_low=ratio.low,
        ratio_high=ratio.high,
        evidence=ratio.evidence.value,
        needed_low=ceil(whole / after.high),
        needed_high=ceil(whole / after.low),
        answer=None if truth is None else _answer(found, truth),
    )


def _answer(found: Estimated, truth: Sides) -> Answer | None:
    money, judged = found.answer.money, found.answer.judged
    each = [money.gpus_released, money.gpus_avoided]
    known = [one for one in each if isinstance(one, Estimate)]
    if len(known) < len(each) or isinstance(found.peak_per_s, Missing):
        return None
    needed = [ceil(found.peak_per_s.value / one) if one > 0 else 0 for one in (truth.before_per_s, truth.after_per_s)]
    return Answer(
        verdict=judged.verdict.value,
        against=judged.reasons_against[0] if judged.reasons_against else None,
        peak_per_s=found.peak_per_s.value,
        saved=sum(one.value for one in known) / money.gpus_per_replica,
        saved_low=sum(one.low for one in known) / money.gpus_per_replica,
        truly_saved=needed[0] - needed[1],
    )


def _value(figure: Figure) -> float | None:
    return figure.value if isinstance(figure, Estimate) else None
