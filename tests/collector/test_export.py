"""The exported page: every series in the catalogue, stale and missing ones absent, hostile names harmless."""

from __future__ import annotations

import asyncio
import io
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console

from analyzer.assumptions import Policy
from analyzer.report import Report, analyse, as_plain
from analyzer.samples import GpuSample, ReplicaKey
from collector.errors import Kind, SourceError
from collector.export.catalogue import by_name
from collector.export.render import live_series, report_series
from collector.export.snapshot import State
from collector.export.text import print_report
from collector.export.web import make_app
from collector.health import DaemonHealth, TargetHealth
from tests.fakes.hand_clock import HandClock
from tests.fakes.histories import CHAT, DAY_S, decode_heavy, replica
from tests.fakes.metrics_text import OPENMETRICS, client_text, served_text

HOSTILE = '<script>alert(1)</script>"\\\n\udc80\x00{}'


def a_report(now_s: float, **changes: object) -> Report:
    fleet = [replica(decode_heavy(), number=number) for number in range(4)]
    made = analyse(fleet, [CHAT], {}, Policy(), now_s=DAY_S + 1, recent_s=300, history_s=7 * DAY_S)
    return replace(made, made_at_s=now_s, **changes)  # type: ignore[arg-type]


def a_state(clock: HandClock) -> State:
    health = DaemonHealth(started_s=clock.wall_s())
    up = TargetHealth(url="http://127.0.0.1:8000/metrics", job="vllm", engine="vllm")
    up.succeeded(clock.wall_s(), 0.01)
    down = TargetHealth(url="http://127.0.0.1:8001/metrics", job="vllm")
    down.refused(clock.wall_s(), SourceError(Kind.TIMEOUT, "too slow"), 1.0)
    health.targets = {up.url: up, down.url: down}
    state = State(version="1.2.3", health=health, ready=True)
    state.report = a_report(clock.wall_s())
    state.gpus = {"GPU-1": GpuSample("GPU-1", clock.wall_s(), 5.0, "H100", utilization_ratio=0.0, power_w=100.0)}
    return state


def page(state: State, clock: HandClock) -> str:
    return served_text(state, clock)


def test_every_series_is_in_the_catalogue_with_its_labels() -> None:
    clock = HandClock()
    catalogue = by_name()
    for family in text_string_to_metric_families(page(a_state(clock), clock)):
        for sample in family.samples:
            assert set(sample.labels) == set(catalogue[sample.name].labels)


def test_figures_carry_their_bounds_and_evidence() -> None:
    clock = HandClock()
    lines = page(a_state(clock), clock).splitlines()
    bounds = [line for line in lines if line.startswith("breakeven_memory_bound_ratio") and ":8000/" in line]

    assert len(bounds) == 3
    assert all('evidence="modelled"' in line for line in bounds)


def test_a_stale_report_leaves_no_figure_standing() -> None:
    """Five recomputations of 60 s went by without a new report."""
    clock = HandClock()
    state = a_state(clock)
    clock.advance(301)

    assert "breakeven_verdict{" not in page(state, clock)
    assert "breakeven_target_up{" in page(state, clock)


def test_a_replica_that_is_not_fresh_shows_only_when_it_was_last_seen() -> None:
    clock = HandClock()
    state = a_state(clock)
    assert state.report is not None
    state.report = replace(state.report, replicas=tuple(replace(one, fresh=False) for one in state.report.replicas))
    text = page(state, clock)

    assert "breakeven_last_sample_timestamp_seconds{" in text
    assert "breakeven_decode_batch_size{" not in text


def test_zero_is_exported_and_missing_is_not() -> None:
    clock = HandClock()
    text = page(a_state(clock), clock)

    assert 'breakeven_gpu_utilization_ratio{gpu_uuid="GPU-1"} 0.0' in text
    assert "breakeven_gpu_temperature_celsius{" not in text


def test_a_target_that_is_down_carries_the_reason() -> None:
    clock = HandClock()

    assert re.search(r'breakeven_target_up\{[^}]*reason="timeout"[^}]*\} 0\.0', page(a_state(clock), clock))


@pytest.mark.fault("2", "hostile label text", promise="quotes, markup, NUL and lone surrogates break no exit")
def test_hostile_names_break_nothing() -> None:
    """Quotes, newlines, markup, a NUL and a lone surrogate from a stranger's page."""
    clock = HandClock()
    state = a_state(clock)
    assert state.report is not None
    first = state.report.replicas[0]
    hostile = replace(first, replica=ReplicaKey(first.replica.target, HOSTILE))
    state.report = replace(state.report, replicas=(hostile,))
    families = list(text_string_to_metric_families(page(state, clock)))

    assert any("<script>" in sample.labels.get("model_name", "") for one in families for sample in one.samples)


def test_a_report_survives_json() -> None:
    """Infinity has a word, absence its reason."""
    plain = json.loads(json.dumps(as_plain(a_report(0.0)), allow_nan=False))

    assert plain["deployments"][0]["schemes"][0]["money"]["payback_months"]["high"] == "infinite"
    assert plain["replicas"][0]["phases"]["busy"]["evidence"] == "measured"
    assert "missing" in plain["replicas"][0]["kv_usage"]


@pytest.mark.parametrize("width", [80, 160])
def test_the_table_gives_each_scheme_its_verdict_and_both_sides_at_any_width(width: int) -> None:
    """In a pipe a terminal is 80 columns wide: the reasons must be there all the same."""
    report = as_plain(a_report(1000.0))
    console = Console(width=width, record=True, file=io.StringIO())
    print_report(report, console, now_s=1000.0)
    text = " ".join(console.export_text().split())

    assert "chat: meta-llama/Llama-3.1-8B-Instruct" in text
    for scheme in report["deployments"][0]["schemes"]:
        assert re.search(rf"{scheme['scheme']} (worth it|evaluate|no|not enough data) ", text)
        assert scheme["judged"]["reasons_against"]
    joined = text.replace(" ", "")
    for reason in report["deployments"][0]["schemes"][0]["judged"]["reasons_against"][:1]:
        assert width > 80 or reason.replace(" ", "") in joined


def test_an_old_report_says_that_it_is_old() -> None:
    console = Console(width=150, record=True, file=io.StringIO())
    print_report(as_plain(a_report(1000.0)), console, now_s=1000.0 + 7200)

    assert "2.0 hours old" in console.export_text()


Client = TestClient
Ask = Callable[[Client], Awaitable[None]]


def asked(state: State, clock: HandClock, ask: Ask) -> None:
    async def main() -> None:
        async with TestClient(TestServer(make_app(state, clock, 60.0))) as client:
            await ask(client)

    asyncio.run(main())


@pytest.mark.fault("5", "a script in a label", promise="the content policy allows no script but the page's own")
def test_the_endpoints_answer_from_memory() -> None:
    clock = HandClock()

    async def ask(client: Client) -> None:
        for path, kind in (
            ("/metrics", "text/plain"),
            ("/-/healthy", "text/plain"),
            ("/-/ready", "text/plain"),
            ("/api/v1/report", "application/json"),
            ("/api/v1/health", "application/json"),
            ("/", "text/html"),
            ("/static/page.js", "text/javascript"),
            ("/static/page.css", "text/css"),
        ):
            answer = await client.get(path)
            assert (answer.status, answer.content_type) == (200, kind), path
            policy = answer.headers["Content-Security-Policy"].split("; ")
            assert {"default-src 'none'", "script-src 'self'"} <= set(policy)
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert (await client.head("/-/healthy")).status == 200
        assert (await client.get("/nothing")).status == 404
        assert (await client.post("/metrics")).status == 405

    asked(a_state(clock), clock, ask)


@pytest.mark.parametrize("accept", ["", "text/plain; version=1.0.0", OPENMETRICS])
def test_the_page_is_to_the_byte_what_prometheus_client_makes_of_the_same_series(accept: str) -> None:
    """In each format; infinity, large and tiny values, hostile names, counters with and without labels."""
    clock = HandClock()
    state = a_state(clock)
    assert state.report is not None
    first, *others = state.report.replicas
    state.report = replace(state.report, replicas=(replace(first, replica=ReplicaKey(HOSTILE, "a,b=\u202e")), *others))
    state.health.clock_steps = 12_345_678
    series = [*live_series(state), *report_series(state.report)]

    assert served_text(state, clock, accept) == client_text(series, accept)


def test_a_page_is_gzipped_for_whom_asks() -> None:
    clock = HandClock()

    async def ask(client: Client) -> None:
        for header, encoding in (("gzip", "gzip"), ("identity", None), ("gzip;q=0", None)):
            answer = await client.get("/metrics", headers={"Accept-Encoding": header})
            assert answer.headers.get("Content-Encoding") == encoding, header
            assert "breakeven_build_info" in await answer.text()

    asked(a_state(clock), clock, ask)


def test_the_next_report_replaces_what_was_kept_of_the_last() -> None:
    clock = HandClock()
    state = a_state(clock)

    async def ask(client: Client) -> None:
        before = await (await client.get("/metrics")).text()
        assert state.report is not None
        state.report = replace(state.report, deployments=())
        state.health.samples_written = 7
        after = await (await client.get("/metrics")).text()
        assert "breakeven_verdict{" in before
        assert "breakeven_verdict{" not in after
        assert "breakeven_store_samples_written_total 7.0" in after

    asked(state, clock, ask)


def test_an_answer_that_the_asker_has_is_not_sent_again() -> None:
    clock = HandClock()
    state = a_state(clock)

    async def ask(client: Client) -> None:
        for path in ("/", "/static/page.js", "/api/v1/report"):
            first = await client.get(path)
            again = await client.get(path, headers={"If-None-Match": first.headers["ETag"]})
            assert (first.status, again.status, await again.read()) == (200, 304, b""), path
        clock.advance(301)
        old = await client.get("/api/v1/report", headers={"If-None-Match": first.headers["ETag"]})
        assert (old.status, (await old.json())["stale"]) == (200, True)

    asked(state, clock, ask)


def test_openmetrics_is_given_to_whom_asks_for_it() -> None:
    clock = HandClock()

    async def ask(client: Client) -> None:
        answer = await client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
        assert answer.content_type == "application/openmetrics-text"
        assert (await answer.text()).endswith("# EOF\n")

    asked(a_state(clock), clock, ask)


def test_before_the_first_report_the_answer_is_that_there_is_none() -> None:
    clock = HandClock()
    state = State(version="1", health=DaemonHealth(started_s=0.0))

    async def ask(client: Client) -> None:
        assert (await client.get("/api/v1/report")).status == 503
        assert (await client.get("/-/ready")).status == 503
        assert (await client.get("/metrics")).status == 200

    asked(state, clock, ask)


@pytest.mark.fault("5", "a script in a label", promise="the page makes no markup from text")
@pytest.mark.parametrize(
    "name",
    [
        *("page.html", "page.js", "page.css", "replica.html", "replica.js"),
        *("deployment.js", "figures.js", "plots.js", "refresh.js"),
    ],
)
def test_the_page_fetches_nothing_from_elsewhere_and_makes_no_markup_from_text(name: str) -> None:
    from importlib.resources import files

    text = files("collector.export").joinpath("static", name).read_text()

    assert not re.findall(r"https?://", text)
    assert "innerHTML" not in text
