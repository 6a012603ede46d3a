"""Stored reports -> which alerts they would have raised, when, for how long and for whom."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, floor

from collector.errors import StoreError
from collector.export.alert_rules import Alert, RuleFile
from collector.export.kept_series import KEPT, kept_series
from collector.export.render import REPORT_STALE_INTERVALS
from collector.jobs.promtool import Labels, Promtool, Run
from collector.store import REPORT_SPACING_S, Reader, StoredReport

STEP_S = 300
"""Distance between two evaluations: every duration of the shipped rules is a multiple of it, and so is an hour."""
_WEEK_S = 604_800
_SCRAPED = {"job": "breakeven", "instance": "replay"}
"""What Prometheus would put on each series."""


@dataclass(frozen=True, slots=True)
class Firing:
    """One stretch in which an alert fired; `until_s` is None where it still does at the end. Unix seconds."""

    labels: Mapping[str, str]
    since_s: float
    until_s: float | None
    lasted_s: float


@dataclass(frozen=True, slots=True)
class PastAlert:
    """An alert rule, and every time it fired, oldest first."""

    alert: str
    labels: Mapping[str, str]
    title: str
    firings: tuple[Firing, ...]
    fired_s: float


@dataclass(frozen=True, slots=True)
class NotReplayed:
    """An alert rule that history cannot answer, and the metrics that no stored report tells."""

    alert: str
    labels: Mapping[str, str]
    title: str
    metrics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Replay:
    """What the rules make of the reports made from `since_s` to `until_s` (unix time), asked every `step_s`.

    `gaps` are stretches (from, to) for which no report stands; `unread` counts reports that no longer can be read.
    """

    since_s: float
    until_s: float
    step_s: int
    reports: int
    unread: int
    simulated: bool
    evaluated_by: str
    gaps: tuple[tuple[float, float], ...]
    alerts: tuple[PastAlert, ...]
    not_replayed: tuple[NotReplayed, ...]


def replay(
    reader: Reader, rules: RuleFile, promtool: Promtool, since_s: float, now_s: float, evaluation_interval_s: float
) -> Replay:
    """Replay the rules over the reports that were made from `since_s` to `now_s`.

    Raises StoreError when there is none, BreakevenError when the rules cannot be evaluated.
    """
    able = rules.looking_at(KEPT)
    wanted = frozenset().union(*(one.metrics for one in able.alerts))
    stands_s = REPORT_SPACING_S + REPORT_STALE_INTERVALS * evaluation_interval_s
    past = _Past(wanted, stands_s, now_s)
    for report in reader.reports(since_s, now_s):
        past.add(report)
    past.end()
    if past.first_s is None:
        raise StoreError("no report was kept in that time: is the daemon running?")
    firing: Mapping[Labels, Sequence[int]] = {}
    if able.alerts:
        steps = floor((now_s - past.origin_s) / STEP_S) + 1
        firing = promtool.firing(able.groups, past.timelines, steps, STEP_S)
    return Replay(
        since_s=past.first_s,
        until_s=now_s,
        step_s=STEP_S,
        reports=past.reports,
        unread=past.unread,
        simulated=past.simulated,
        evaluated_by=promtool.version,
        gaps=tuple(past.gaps),
        alerts=tuple(_past_alert(one, firing, past.origin_s, now_s) for one in able.alerts),
        not_replayed=tuple(
            NotReplayed(one.name, one.labels, one.title, tuple(sorted(one.metrics - KEPT)))
            for one in rules.alerts
            if not one.metrics <= KEPT
        ),
    )


@dataclass(slots=True)
class _Past:
    """Reports in their order become runs of values on a grid of steps.

    A report stands until the next one, but no longer than /metrics would have shown it. The grid begins at a whole
    week before the first, so that hours and days of the week are those of then.
    """

    wanted: frozenset[str]
    stands_s: float
    now_s: float
    origin_s: int = 0
    first_s: float | None = None
    reports: int = 0
    unread: int = 0
    simulated: bool = False
    gaps: list[tuple[float, float]] = field(default_factory=list)
    timelines: dict[tuple[str, Labels], list[Run]] = field(default_factory=dict)
    _last: StoredReport | None = None

    def add(self, report: StoredReport) -> None:
        """Take the next report: the one before stood until now."""
        if self._last is not None:
            self._stood(self._last, report.made_at_s)
        else:
            self.first_s = report.made_at_s
            self.origin_s = floor(report.made_at_s / _WEEK_S) * _WEEK_S
        self._last = report
        self.reports += 1

    def end(self) -> None:
        """The last report stands until now."""
        if self._last is not None:
            self._stood(self._last, self.now_s + STEP_S)

    def _stood(self, report: StoredReport, next_s: float) -> None:
        until_s = min(next_s, report.made_at_s + self.stands_s)
        if until_s < min(next_s, self.now_s):
            self.gaps.append((until_s, min(next_s, self.now_s)))
        first, beyond = (ceil((at_s - self.origin_s) / STEP_S) for at_s in (report.made_at_s, until_s))
        beyond = min(beyond, floor((self.now_s - self.origin_s) / STEP_S) + 1)
        if first >= beyond:
            return
        try:
            series = [one for one in kept_series(report.body) if one[0] in self.wanted]
            self.simulated |= bool(report.body["simulated"])
        except (KeyError, TypeError, ValueError):
            self.unread += 1
            return
        for metric, labels, value in series:
            shifted = value - self.origin_s if metric.endswith("_timestamp_seconds") else value
            key = (metric, tuple(sorted({**labels, **_SCRAPED}.items())))
            runs = self.timelines.setdefault(key, [])
            if runs and runs[-1].to_step == first and runs[-1].value == shifted:
                runs[-1] = Run(runs[-1].from_step, beyond, shifted)
            else:
                runs.append(Run(first, beyond, shifted))


def _past_alert(alert: Alert, firing: Mapping[Labels, Sequence[int]], origin_s: int, now_s: float) -> PastAlert:
    last = floor((now_s - origin_s) / STEP_S)
    firings = []
    for labels, steps in firing.items():
        told = dict(labels)
        if told.pop("alertname") != alert.name or any(
            told.get(name) != one for name, one in alert.labels.items() if "{{" not in one
        ):
            continue
        about = {name: one for name, one in told.items() if name not in alert.labels and _SCRAPED.get(name) != one}
        for begin, end in _stretches(steps):
            since_s, until_s = (float(origin_s + step * STEP_S) for step in (begin, end + 1))
            still = end >= last
            until_s = min(until_s, now_s)
            firings.append(Firing(about, since_s, None if still else until_s, until_s - since_s))
    firings.sort(key=lambda one: (one.since_s, sorted(one.labels.items())))
    whole_s = sum(one.lasted_s for one in firings)
    return PastAlert(alert.name, alert.labels, alert.title, tuple(firings), whole_s)


def _stretches(steps: Iterable[int]) -> list[tuple[int, int]]:
    """First and last step of each unbroken stretch."""
    found: list[tuple[int, int]] = []
    for step in sorted(set(steps)):
        if found and found[-1][1] == step - 1:
            found[-1] = (found[-1][0], step)
        else:
            found.append((step, step))
    return found
