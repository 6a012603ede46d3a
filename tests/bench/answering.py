"""What our HTTP side takes for an answer: /metrics of a thousand replicas, the page's first sight of two hundred."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from analyzer.report import Report
from collector.export.answers import compressed
from collector.export.exposition import Exposition, joined
from collector.export.render import live_series, report_series
from collector.export.snapshot import State
from collector.health import DaemonHealth, TargetHealth
from tests.bench.measure import paired, timed
from tests.bench.table import Row
from tests.fakes.hand_clock import HandClock
from tests.fakes.metrics_text import client_text


def state_of(report: Report) -> State:
    """A daemon that has just made the report, all of its targets up."""
    clock = HandClock()
    health = DaemonHealth(started_s=clock.wall_s())
    for one in report.replicas:
        up = TargetHealth(url=one.replica.target, job=one.job, engine="vllm")
        up.succeeded(clock.wall_s(), 0.01)
        health.targets[up.url] = up
    state = State(version="bench", health=health, ready=True)
    state.report = replace(report, made_at_s=clock.wall_s())
    return state


def metrics_rows(report: Report, runs: int) -> list[Row]:
    """A scrape right after a recomputation, one between two of them, and the same series in prometheus_client."""
    state, exposition = state_of(report), Exposition(openmetrics=False)
    reported = exposition.blocks(report_series(report))

    def first() -> bytes:
        return joined(exposition.blocks(live_series(state)), exposition.blocks(report_series(report)))

    def between() -> bytes:
        return joined(exposition.blocks(live_series(state)), reported)

    def theirs() -> str:
        return client_text([*live_series(state), *report_series(report)])

    whole = first()
    made: list[Callable[[], object]] = [first, between, theirs]
    times = paired(made, runs)
    lines = len(whole.splitlines())
    size = f"{len(report.replicas):,} replicas, {lines:,} lines, {len(whole) / 1e6:.1f} MB"
    return [
        Row(f"one answer of /metrics right after a recomputation: {size}", times[0], "s"),
        Row("one between two recomputations", times[1], "s"),
        Row("gzip of it, in a thread beside the event loop", timed(lambda: compressed(whole), runs), "s"),
        Row("the same series in prometheus_client", times[2], "s"),
    ]
