"""Spans of one replica with what its GPUs said, cut from windows and added up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isnan, sqrt
from operator import attrgetter

import numpy as np

from analyzer.columns import Column, Columns
from analyzer.samples import GpuSample, ReplicaSample
from analyzer.spans import SpanOf, totals_by_span, totals_of_columns
from analyzer.windows import Totals, add_up

_READING = (attrgetter("at_s"), attrgetter("utilization_ratio"))
READING_ERROR = 0.01
"""A duty cycle comes in whole percent."""


@dataclass(frozen=True, slots=True)
class Part:
    """A span's totals with what its GPUs said: their mean duty cycle and its standard error (0..1), None = no GPU."""

    totals: Totals
    gpu_utilization: float | None = None
    gpu_error: float = 0.0


def together(parts: Sequence[Part]) -> Part:
    """All spans as one; the duty cycle is that of the seconds it is known of. Raises ValueError as adding `Totals`."""
    whole = add_up(part.totals for part in parts)
    assert whole is not None
    known = [
        (part.gpu_utilization, part.gpu_error, part.totals.covered_s)
        for part in parts
        if part.gpu_utilization is not None
    ]
    known_s = sum(span_s for _, _, span_s in known)
    if known_s <= 0:
        return Part(whole)
    mean = sum(value * span_s for value, _, span_s in known) / known_s
    return Part(whole, mean, sqrt(sum((error * span_s) ** 2 for _, error, span_s in known)) / known_s)


def duty_of(readings: Sequence[float]) -> tuple[float | None, float]:
    """Mean of duty-cycle readings and its standard error, by how much they scatter; (None, 0) without any.

    A driver that samples a part of each interval scatters more than one that covers it, and says so by that.
    """
    if not readings:
        return None, 0.0
    count = len(readings)
    mean = sum(readings) / count
    if count == 1:
        return mean, sqrt(mean * (1 - mean) + READING_ERROR**2)
    variance = sum((one - mean) ** 2 for one in readings) / (count - 1)
    return mean, sqrt((variance + READING_ERROR**2) / count)


def merged(parts: Sequence[Part], limit: int) -> list[Part]:
    """At most `limit` parts, of about equal covered time however long each of these was: neighbours are added up."""
    enough_s = sum(part.totals.covered_s for part in parts) / limit * (1 - 1e-9)
    groups: list[list[Part]] = []
    filled_s = inf
    for part in parts:
        if filled_s >= enough_s and len(groups) < limit:
            groups.append([])
            filled_s = 0.0
        groups[-1].append(part)
        filled_s += part.totals.covered_s
    return list(map(together, groups))


def in_spans(samples: Columns | Sequence[ReplicaSample], gpus: Sequence[GpuSample], span_s: float) -> list[Part]:
    """One epoch's windows added up into spans of about `span_s`, each with what its GPUs said during it.

    Raises ValueError for samples of several replicas or epochs.
    """
    if isinstance(samples, Columns):
        spans = totals_of_columns(samples, numbered(float(samples.at_s[0]), span_s))
    else:
        spans = totals_by_span(samples, numbered(min((one.at_s for one in samples), default=0.0), span_s))
    starts_s, ends_s = (np.array([getattr(one, end) for one in spans.values()]) for end in ("start_s", "end_s"))
    duties = (one.tolist() for one in duties_within(gpus, starts_s, ends_s))
    return [
        Part(totals) if isnan(mean) else Part(totals, mean, error)
        for totals, mean, error in zip(spans.values(), *duties, strict=True)
    ]


def numbered(begin_s: float, span_s: float) -> SpanOf:
    """Spans of `span_s` from `begin_s` on, by number."""
    return lambda ends_s: (ends_s - begin_s - 1e-6) // span_s


def _readings(gpus: Sequence[GpuSample]) -> tuple[Column, Column]:
    """When duty cycles were read, in order, and what they were."""
    times, ratios = (np.fromiter(map(figure_of, gpus), np.float64, len(gpus)) for figure_of in _READING)
    known = ~np.isnan(ratios)
    if not known.all():
        times, ratios = times[known], ratios[known]
    if (times[1:] >= times[:-1]).all():
        return times, ratios
    order = np.argsort(times, kind="stable")
    return times[order], ratios[order]


def duties_within(gpus: Sequence[GpuSample], starts_s: Column, ends_s: Column) -> tuple[Column, Column]:
    """`duty_of` the readings after each start up to its end (shape (n,) each); NaN and 0 where there are none."""
    times, ratios = _readings(gpus)
    begins = np.searchsorted(times, starts_s, side="right")
    ends = np.searchsorted(times, ends_s, side="right")
    told = ends - begins
    counts = np.maximum(told, 1)
    sums, squares = (np.concatenate([[0.0], np.cumsum(one)]) for one in (ratios, ratios**2))
    means = (sums[ends] - sums[begins]) / counts
    scatter = np.maximum(squares[ends] - squares[begins] - counts * means**2, 0.0) / np.maximum(counts - 1, 1)
    variance = np.where(counts == 1, means * (1 - means), scatter / counts)
    errors = np.sqrt(variance + READING_ERROR**2 / counts)
    return np.where(told > 0, means, np.nan), np.where(told > 0, errors, 0.0)
