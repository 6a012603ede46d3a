"""What our HTTP side takes for an answer: /metrics of a thousand replicas, the page's first sight of two hundred."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from urllib.request import Request, urlopen

from analyzer.evidence import Evidence
from analyzer.hours import PLAIN, MixHours
from analyzer.report import Report
from collector.export.assets import PAGES, assets
from collector.export.exposition import Exposition, joined
from collector.export.pressed import gzipped, plain
from collector.export.render import live_series, report_series
from collector.export.snapshot import State
from collector.health import DaemonHealth, TargetHealth
from tests.bench.measure import paired
from tests.bench.table import Row
from tests.fakes.hand_clock import HandClock
from tests.fakes.metrics_text import client_text
from tests.fakes.served_state import served

SHOWN_REPLICAS, SHOWN_DEPLOYMENTS = 200, 50
WEEK_HOURS = 168


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
    reported = exposition.pressed(report_series(report))

    def first() -> bytes:
        return gzipped(joined(exposition.blocks(live_series(state)), exposition.pressed(report_series(report))))

    def between() -> bytes:
        return gzipped(joined(exposition.blocks(live_series(state)), reported))

    def unpacked() -> bytes:
        return plain(joined(exposition.blocks(live_series(state)), reported))

    def theirs() -> str:
        return client_text([*live_series(state), *report_series(report)])

    whole = unpacked()
    made: list[Callable[[], object]] = [first, between, unpacked, theirs]
    times = paired(made, runs)
    lines = len(whole.splitlines())
    size = f"{len(report.replicas):,} replicas, {lines:,} lines, {len(whole) / 1e6:.1f} MB"
    return [
        Row(f"one gzipped answer of /metrics right after a recomputation: {size}", times[0], "s"),
        Row("one between two recomputations", times[1], "s"),
        Row("the same for a client that takes no gzip", times[2], "s"),
        Row("the same series in prometheus_client, not gzipped", times[3], "s"),
    ]


def a_week_of(report: Report) -> Report:
    """At most 200 of its replicas, in 50 deployments, each with 168 hours of mix."""
    names = [f"fleet-{number}" for number in range(SHOWN_DEPLOYMENTS)]
    shares = {name: (1 / len(PLAIN),) * WEEK_HOURS for name in PLAIN}
    starts = tuple(3600.0 * hour for hour in range(WEEK_HOURS))
    hours = MixHours(starts, (3600.0,) * WEEK_HOURS, shares, 4, Evidence.FITTED)
    replicas = tuple(
        replace(one, deployment=names[number % len(names)])
        for number, one in enumerate(report.replicas[:SHOWN_REPLICAS])
    )
    known = replace(report.workloads[report.deployments[0].name], hours=hours)
    return replace(
        report,
        replicas=replicas,
        deployments=tuple(replace(report.deployments[0], name=name) for name in names),
        workloads=dict.fromkeys(names, known),
    )


def page_rows(report: Report, runs: int) -> list[Row]:
    """All that a browser asks until the page is whole, over a real connection: right after a recomputation, and later.

    The asking itself is in it. The page's own files are read once by a browser, and here every time.
    """
    state = state_of(a_week_of(report))
    clock = HandClock()
    files = [one.path for one in assets() if one.path not in PAGES or one.path == "/"]
    paths = [*files, "/api/v1/overview", "/api/v1/history", "/api/v1/health"]
    made_at_s = (clock.wall_s() - number / 1000 for number in count())
    with served(state, clock) as url:

        def asked() -> int:
            sent = 0
            for path in paths:
                with urlopen(Request(url + path, headers={"Accept-Encoding": "gzip"})) as answer:
                    sent += len(answer.read())
            return sent

        def anew() -> int:
            assert state.report is not None
            state.report = replace(state.report, made_at_s=next(made_at_s))
            return asked()

        size = f"{len(state.report.replicas) if state.report else 0} replicas, {SHOWN_DEPLOYMENTS} deployments, 7 days"
        sent = f"{anew() / 1e6:.2f} MB sent"
        works: list[Callable[[], object]] = [anew, asked]
        first, later = paired(works, runs)
    return [
        Row(f"the page whole, right after a recomputation: {size}, {sent}", first, "s"),
        Row("the page whole, between two recomputations", later, "s"),
    ]
