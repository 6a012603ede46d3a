"""The product's figures of simulated workloads against what was true in them: one row a workload, and a summary.

The way of a row: page text -> real scraper -> samples -> windows -> the analysis. The truth is joined to it last.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from statistics import fmean
from typing import Any

import numpy as np

from analyzer.assumptions import Deployment
from analyzer.columns import columns_of
from analyzer.evidence import Estimate, Evidence, Figure, Missing
from analyzer.replicas import ReplicaHistory, ReplicaReport, fit_replica, report_replica
from analyzer.samples import GpuSample
from analyzer.spans import sum_of_windows
from analyzer.steptime.counted import counted_by_span
from analyzer.steptime.parts import in_spans
from collector.jobs.duty import BUCKET_S
from collector.jobs.simulated_polls import Watched, watch
from collector.jobs.step_models import FINE_SPAN_S
from collector.simulator.truth import Truth
from collector.simulator.workloads import Workload

RELATIVE = frozenset({"decode_batch", "generation_tokens_per_s", "prefill_tokens_per_s", "step_s"})
"""Figures whose error is relative to the truth; the others are shares and err by a difference."""
WITH_INTERVAL = ("prefill_marginal", "prefill_exclusive", "memory_bound")
"""Figures whose 80 % intervals are counted, where they are estimates and not plain counts."""

CONTRAST = "request_seconds_prefill"
"""Prefill's share of request-seconds, as others take it for a phase mix: beside the marginal prefill share's truth."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One figure of the product beside the truth; `value` is None where the product gave none, for `reason`."""

    truth: float
    value: float | None
    low: float | None = None
    high: float | None = None
    evidence: str | None = None
    method: str | None = None
    reason: str | None = None
    error: float | None = None
    """Estimate less truth; for the figures in `RELATIVE` over the truth. None where either is missing."""


@dataclass(frozen=True, slots=True)
class Row:
    """One workload: what was asked of it, and each figure compared. `law` is how its steps' costs add up."""

    workload: str
    dialect: str
    law: str
    load: float
    poll_interval_s: float
    busy_noise: float
    seed: int
    figures: Mapping[str, Compared]


@dataclass(frozen=True, slots=True)
class Summary:
    """Errors over some workloads; None where no workload has the figure. Prefill is the marginal share.

    `coverage_80` is the share of truths within the 80 % intervals of marginal and exclusive prefill and memory-bound
    share, counted where the interval has a width: a measured share has none.
    """

    prefill_share_mae: float | None
    prefill_share_p95: float | None
    prefill_exclusive_mae: float | None
    memory_bound_mae: float | None
    memory_bound_p95: float | None
    busy_mae: float | None
    decode_batch_mape: float | None
    generation_tps_mape: float | None
    prefill_tps_mape: float | None
    coverage_80: float | None
    workloads: int
    evidence: Mapping[str, int]
    """How many workloads' marginal prefill share had which evidence."""
    steps_identified: int
    """Workloads whose step-time model declares `a`, the seconds of a step without a batch, to be identified."""
    identified_step_mape: float | None
    identified_step_worst: float | None
    """Relative errors of those; None where there is none."""


def score(workload: Workload) -> Row:
    """Runs one workload and compares. Raises SourceError when a simulated page cannot be read."""
    watched = asyncio.run(watch(workload))
    return compare(watched, estimate(watched))


def score_all(workloads: Sequence[Workload], processes: int | None = None) -> Iterator[Row]:
    """The rows of many workloads in their order, in parallel processes (as many as there are cores, if not said)."""
    count = min(len(workloads), processes if processes is not None else os.cpu_count() or 1)
    if count <= 1:
        yield from map(score, workloads)
        return
    with ProcessPoolExecutor(count, mp_context=get_context("spawn")) as pool:
        yield from pool.map(score, workloads)


def estimate(watched: Watched) -> ReplicaReport:
    """What the product says of these polls, its whole span taken as the live and as the decision span."""
    deployment = told(watched.workload)
    return report_replica(history_of(watched, deployment), deployment, watched.samples[-1].at_s)


def history_of(watched: Watched, deployment: Deployment) -> ReplicaHistory:
    """The history of a watched server as the daemon would know it, with its step-time model."""
    last = watched.samples[-1]
    totals = sum_of_windows(watched.samples)
    known = ReplicaHistory(
        replica=last.replica,
        job="simulated",
        deployment=deployment.name,
        identity=watched.identity,
        simulated=True,
        last=last,
        recent=totals,
        history=totals,
        joined_gpus=watched.workload.tensor_parallel,
        gpu_utilization_recent=_mean_utilization(watched.gpus),
        gpu_utilization_history=_mean_utilization(watched.gpus),
        lumpy=watched.lumpy,
        unreported=watched.unreported,
        parts=tuple(in_spans(watched.samples, watched.first_gpu, BUCKET_S)),
    )
    columns = columns_of(watched.samples)
    fine = None if columns is None else counted_by_span(columns, watched.first_gpu, FINE_SPAN_S)
    return replace(known, model=fit_replica(known, deployment, fine))


def told(workload: Workload) -> Deployment:
    """What an operator would write of this workload's server."""
    return Deployment(
        "simulated",
        gpu=workload.gpu.name,
        gpus_per_replica=workload.tensor_parallel,
        model=workload.model.name,
        weight_bits=16,
    )


def _mean_utilization(gpus: Iterable[GpuSample]) -> float | None:
    known = [one.utilization_ratio for one in gpus if one.utilization_ratio is not None]
    return fmean(known) if known else None


def compare(watched: Watched, report: ReplicaReport) -> Row:
    """Each figure of the product beside the truth."""
    workload, truth = watched.workload, watched.truth
    phases = report.phases
    figures: dict[str, Figure] = {
        "prefill_marginal": phases.prefill_marginal,
        "prefill_exclusive": phases.prefill_exclusive,
        "memory_bound": phases.memory_bound,
        CONTRAST: phases.request_seconds_prefill,
        "busy": phases.busy,
        "decode_batch": report.decode_batch,
        "generation_tokens_per_s": report.generation_tokens_per_s,
        "prefill_tokens_per_s": report.prefill_tokens_per_s,
        "step_s": _step(report),
    }
    true = {**true_figures(truth), "step_s": true_step_s(workload)}
    return Row(
        workload=workload.name,
        dialect=workload.dialect,
        law=workload.law.value,
        load=workload.load,
        poll_interval_s=workload.poll_interval_s,
        busy_noise=workload.busy_noise,
        seed=workload.seed,
        figures={name: _compared(name, true[name], figure) for name, figure in figures.items()},
    )


def _step(report: ReplicaReport) -> Figure:
    """`a` of the step-time model, `fitted` where it is declared to be identified."""
    told = report.step_time
    return told if isinstance(told, Missing) else told.coefficients["step_s"].estimate


def true_step_s(workload: Workload) -> float:
    """What a step costs before any sequence: weights read, launches, drafts."""
    drafted_s = 0.0 if workload.speculation is None else workload.speculation.draft_step_s
    return workload.costs.weight_read_s + workload.costs.overhead_s + drafted_s


def true_figures(truth: Truth) -> Mapping[str, float]:
    """The figures as they were; shares are of busy time, `busy` of wall time."""
    return {
        "prefill_marginal": truth.marginal_prefill_s / truth.busy_s,
        "prefill_exclusive": truth.exclusive_prefill_s / truth.busy_s,
        "memory_bound": truth.memory_bound_s / truth.busy_s,
        CONTRAST: truth.marginal_prefill_s / truth.busy_s,
        "busy": truth.busy_s / truth.at_s,
        "decode_batch": truth.decode_sequence_steps / truth.decode_steps,
        "generation_tokens_per_s": truth.generated_tokens / truth.at_s,
        "prefill_tokens_per_s": (truth.computed_tokens + truth.recomputed_tokens) / truth.at_s,
    }


def _compared(name: str, truth: float, figure: Figure) -> Compared:
    if not isinstance(figure, Estimate):
        return Compared(truth, None, reason=figure.reason)
    error = figure.value - truth
    return Compared(
        truth=truth,
        value=figure.value,
        low=figure.low,
        high=figure.high,
        evidence=figure.evidence.value,
        method=figure.method,
        error=error / truth if name in RELATIVE else error,
    )


def summarise(rows: Sequence[Row]) -> Summary:
    """The errors of all these rows."""
    prefill = _errors(rows, "prefill_marginal")
    memory = _errors(rows, "memory_bound")
    found = [row.figures["prefill_marginal"].evidence or "none" for row in rows]
    steps = [one for row in rows if (one := row.figures["step_s"]).evidence == Evidence.FITTED]
    missed = [abs(one.error) for one in steps if one.error is not None]
    return Summary(
        prefill_share_mae=_mean(prefill),
        prefill_share_p95=_p95(prefill),
        prefill_exclusive_mae=_mean(_errors(rows, "prefill_exclusive")),
        memory_bound_mae=_mean(memory),
        memory_bound_p95=_p95(memory),
        busy_mae=_mean(_errors(rows, "busy")),
        decode_batch_mape=_mean(_errors(rows, "decode_batch")),
        generation_tps_mape=_mean(_errors(rows, "generation_tokens_per_s")),
        prefill_tps_mape=_mean(_errors(rows, "prefill_tokens_per_s")),
        coverage_80=_mean(list(_covered(rows))),
        workloads=len(rows),
        evidence={one: found.count(one) for one in dict.fromkeys(found)},
        steps_identified=len(steps),
        identified_step_mape=_mean(missed),
        identified_step_worst=max(missed, default=None),
    )


def _errors(rows: Iterable[Row], name: str) -> list[float]:
    errors = [row.figures[name].error for row in rows]
    return [abs(error) for error in errors if error is not None]


def _mean(values: list[float]) -> float | None:
    return fmean(values) if values else None


def _p95(values: list[float]) -> float | None:
    return float(np.quantile(values, 0.95)) if values else None


def _covered(rows: Iterable[Row]) -> Iterator[float]:
    for row in rows:
        for name in WITH_INTERVAL:
            one = row.figures[name]
            if one.low is not None and one.high is not None and one.low < one.high:
                yield float(one.low <= one.truth <= one.high)


def by_dialect(rows: Iterable[Row]) -> Mapping[str, tuple[Row, ...]]:
    """The rows of each dialect, in their order."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.dialect, []).append(row)
    return {dialect: tuple(mine) for dialect, mine in found.items()}


def as_plain(rows: Sequence[Row], headline: str) -> dict[str, Any]:
    """The result as JSON takes it: the headline dialect's summary at the top, all dialects' and the rows below."""
    parts = by_dialect(rows)
    return {
        **asdict(summarise(parts.get(headline, tuple(rows)))),
        "dialects": {dialect: asdict(summarise(mine)) for dialect, mine in parts.items()},
        "rows": [asdict(row) for row in rows],
    }
