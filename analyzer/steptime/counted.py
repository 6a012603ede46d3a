"""Spans of one replica as columns, an entry for each: what its counters counted and its GPUs said in it.

They come from parts, or straight from samples: an hour by the minute would be sixty objects, each read once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from analyzer.columns import SERIES, Column, Columns
from analyzer.histograms import BUCKETS
from analyzer.samples import GpuSample
from analyzer.spans import sums_by_span
from analyzer.steptime.parts import Part, duties_within, in_spans, numbered

COUNTERS = (
    *("steps_total", "decode_sequence_steps_total", "prefill_tokens_total", "prompt_tokens_total", "prefills_total"),
    *("inter_token_s_total", "preemptions_total", "draft_tokens_total", "draft_steps_total"),
    *("busy_s_total", "prefill_s_total", "decode_s_total", "request_prefill_s_total", "requests_finished_total"),
    *("generation_tokens_total", "finished_prompt_tokens_total", "finished_generation_tokens_total"),
)
GAUGES = ("waiting_requests", "running_requests")
"""The series by which a step's cost is told."""
FIGURES = ("start_s", "end_s", "covered_s", "windows", "active_s", "duty", "duty_error", *COUNTERS, *GAUGES)
LENGTHS = ("prompt_lengths", "generation_lengths")
"""Histograms of finished requests by their tokens."""

_ROW = {name: row for row, name in enumerate(FIGURES)}
_of_counters = slice(_ROW[COUNTERS[0]], _ROW[COUNTERS[-1]] + 1)
_deltas_of = itemgetter(*COUNTERS)
_integrals_of = itemgetter(*GAUGES)
_AT = [SERIES.index(name) for name in (*COUNTERS, *GAUGES)]
_NOTHING = {name: (0.0,) * BUCKETS[name] for name in LENGTHS}


@dataclass(frozen=True, slots=True)
class Counted:
    """n spans in order of time: `figures` has a row for each of `FIGURES` (shape (figures, n)), NaN where not known.

    Counters are increases and gauges integrals; `active_s` are the seconds with requests running at both ends of a
    window, `duty` the GPUs' mean duty cycle and `duty_error` its standard error (0..1). `lengths` has the increases of
    histograms by bucket (shape (n, buckets)), 0 where nothing was told.
    """

    figures: Column
    lengths: Mapping[str, Column]

    def __len__(self) -> int:
        return len(self.figures[0])

    def __getitem__(self, name: str) -> Column:
        """One of `FIGURES` by span."""
        column: Column = self.figures[_ROW[name]]
        return column

    def mean(self, gauge: str) -> Column:
        """A gauge's mean in each span; the spans must cover some time."""
        return self[gauge] / self["covered_s"]

    def sums(self) -> Mapping[str, float | None]:
        """Each counter's increase over the spans that report it; None when none does."""
        counters = self.figures[_of_counters]
        known = ~np.isnan(counters)
        sums: list[float] = np.where(known, counters, 0.0).sum(axis=1).tolist()
        told: list[int] = np.count_nonzero(known, axis=1).tolist()
        return {name: one if spans else None for name, one, spans in zip(COUNTERS, sums, told, strict=True)}

    def take(self, chosen: NDArray[np.bool_]) -> Counted:
        """The chosen spans only."""
        if chosen.all():
            return self
        return Counted(self.figures[:, chosen], {name: one[chosen] for name, one in self.lengths.items()})

    def then(self, later: Counted) -> Counted:
        """These spans and later ones."""
        lengths = {name: np.concatenate([one, later.lengths[name]]) for name, one in self.lengths.items()}
        return Counted(np.hstack([self.figures, later.figures]), lengths)


def counted_in(parts: Sequence[Part]) -> Counted:
    """Parts as columns."""
    rows = [
        (
            *(one.start_s, one.end_s, one.covered_s, one.windows, one.active_s, part.gpu_utilization, part.gpu_error),
            *_deltas_of(one.deltas),
            *_integrals_of(one.integrals),
        )
        for part in parts
        for one in (part.totals,)
    ]
    lengths = {}
    for name, nothing in _NOTHING.items():
        told = [nothing if (one := part.totals.histograms[name]) is None else one for part in parts]
        lengths[name] = np.array(told, dtype=np.float64).reshape(len(parts), len(nothing))
    return Counted(np.array(rows, dtype=np.float64).reshape(len(parts), len(FIGURES)).T, lengths)


def counted_by_span(samples: Columns, gpus: Sequence[GpuSample], span_s: float) -> Counted:
    """One epoch's windows added up into spans of about `span_s`, each with what its GPUs said, as `in_spans` does."""
    sums = sums_by_span(samples, numbered(float(samples.at_s[0]), span_s)) if len(samples.at_s) > 1 else None
    if sums is None:
        return counted_in(in_spans(samples, gpus, span_s))
    means, errors = duties_within(gpus, sums.start_s, sums.end_s)
    covered_s, windows = sums.made[:, 0], sums.made[:, 1]
    figures = (sums.start_s, sums.end_s, covered_s, windows, sums.reported[:, -1], means, errors)
    increases = {name: sums.increases(name) for name in LENGTHS}
    lengths = {name: np.where(np.isnan(one), 0.0, one) for name, one in increases.items()}
    return Counted(np.vstack([*figures, sums.reported[:, _AT].T]), lengths)
