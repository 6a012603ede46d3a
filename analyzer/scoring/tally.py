"""Predictions beside measurements -> error figures, for all rows and for each group, beside the rules' own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import log
from statistics import fmean, median

from analyzer.scoring.rules import RULES
from analyzer.scoring.scored import Answers, Scored

WORTH_IT = 1.1
"""The article's threshold of worth."""
ENOUGH_ROWS = 10


@dataclass(frozen=True, slots=True)
class Errors:
    """Errors over some rows, in per cent. `bias` is the mean log error: positive = too high; None without interval."""

    rows: int
    mape: float
    mape_source_mean: float
    median_ape: float
    bias: float
    agreement_1_1: float
    coverage_80: float | None


@dataclass(frozen=True, slots=True)
class Tally:
    """The predictor's errors and those of each rule over the rows that the rule can do, with the predictor's there."""

    ours: Errors
    rules: Mapping[str, Errors]
    ours_where: Mapping[str, Errors]

    def beaten(self) -> tuple[str, ...]:
        """Rules whose mean error is not above the predictor's on the rows that they can do."""
        return tuple(name for name, errors in self.rules.items() if errors.mape <= self.ours_where[name].mape)


GROUPS: Mapping[str, Callable[[Scored], str]] = {
    "source": lambda one: one.row.source,
    "scheme": lambda one: one.row.scheme,
    "GPU": lambda one: one.row.gpu if one.asked.machine.gpu is None else one.asked.machine.gpu.name,
    "batch": lambda one: one.batch_regime,
    "phase": lambda one: one.row.phase,
    "engine": lambda one: one.row.engine,
}
"""What errors are shown by."""


def tally(scored: Sequence[Scored]) -> Tally | None:
    """Figures over the rows that were measured; None when none was."""
    rows = [one for one in scored if one.measured is not None]
    if not rows:
        return None
    rules, where = {}, {}
    for name in RULES:
        able = [one for one in rows if one.rules[name] is not None]
        if able:
            rules[name] = _errors(able, [one.rules[name] or 0.0 for one in able], None)
            where[name] = _of(able)
    return Tally(_of(rows), rules, where)


def by_group(scored: Sequence[Scored], group: str) -> Mapping[str, Tally]:
    """The tally of each group's rows, largest group first."""
    found: dict[str, list[Scored]] = {}
    for one in scored:
        if one.measured is not None:
            found.setdefault(GROUPS[group](one), []).append(one)
    tallies = {name: tally(rows) for name, rows in sorted(found.items(), key=lambda item: -len(item[1]))}
    return {name: one for name, one in tallies.items() if one is not None}


def as_plain(answers: Answers) -> dict[str, object]:
    """The summary as JSON-ready values, all figures in per cent."""
    total = tally(answers.scored)
    plain: dict[str, object] = {
        "rows_scored": 0 if total is None else total.ours.rows,
        "rows_refused": len(answers.refused),
    }
    for name in ("mape", "mape_source_mean", "median_ape", "bias", "agreement_1_1", "coverage_80"):
        plain[name] = None if total is None else _rounded(getattr(total.ours, name))
    rules = {} if total is None else total.rules
    plain["rules"] = {
        name: {
            "rows": errors.rows,
            "mape": _rounded(errors.mape),
            "mape_source_mean": _rounded(errors.mape_source_mean),
            "median_ape": _rounded(errors.median_ape),
            "bias": _rounded(errors.bias),
            "agreement_1_1": _rounded(errors.agreement_1_1),
        }
        for name, errors in rules.items()
    }
    return plain


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def _of(rows: Sequence[Scored]) -> Errors:
    inside = [one.predicted.low <= one.measured <= one.predicted.high for one in rows if one.measured is not None]
    return _errors(rows, [one.predicted.value for one in rows], 100 * fmean(inside))


def _errors(rows: Sequence[Scored], said: Sequence[float], coverage: float | None) -> Errors:
    truths = [one.measured for one in rows if one.measured is not None]
    off = [abs(value / truth - 1) for value, truth in zip(said, truths, strict=True)]
    by_source: dict[str, list[float]] = {}
    for one, error in zip(rows, off, strict=True):
        by_source.setdefault(one.row.source, []).append(error)
    agree = [(value > WORTH_IT) == (truth > WORTH_IT) for value, truth in zip(said, truths, strict=True)]
    return Errors(
        rows=len(off),
        mape=100 * fmean(off),
        mape_source_mean=100 * fmean(fmean(errors) for errors in by_source.values()),
        median_ape=100 * median(off),
        bias=100 * fmean(log(value / truth) for value, truth in zip(said, truths, strict=True)),
        agreement_1_1=100 * fmean(agree),
        coverage_80=coverage,
    )
