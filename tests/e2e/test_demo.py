"""The demo as a newcomer meets it: live figures, a verdict, a real Prometheus, a real browser, a clean end."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.fakes.browser import chromium, opened, serious
from tests.fakes.daemon_process import DaemonProcess, cli, running
from tests.fakes.panel_queries import load, panel_queries, replaced
from tests.fakes.prometheus import Prometheus, prometheus
from tests.fakes.tools import require

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def demo(folder: Path) -> Iterator[DaemonProcess]:
    """A running demo with a first report on live figures."""
    with running(folder, "demo", "--web.listen-address", "127.0.0.1:0") as daemon:
        daemon.until(lambda: _live(daemon))
        yield daemon
        assert daemon.stop(signal.SIGINT) == 0
        assert "Traceback" not in daemon.log.read_text()


def _live(daemon: DaemonProcess) -> bool:
    report = daemon.report()
    return report is not None and all("value" in one["phases"]["prefill_marginal"] for one in report["replicas"])


def test_the_live_page_has_phase_mix_batch_tokens_and_a_verdict(demo: DaemonProcess) -> None:
    page = demo.text("/metrics")

    for name in (
        "breakeven_phase_share_ratio",
        "breakeven_decode_batch_size",
        "breakeven_generation_tokens_per_second",
        "breakeven_memory_bound_ratio",
    ):
        assert re.search(rf'^{name}\{{[^}}]*bound="p50"[^}}]*\}} [0-9.e+-]+$', page, re.MULTILINE), name
    stands = re.findall(
        r'^breakeven_verdict\{deployment="(\w+)",scheme="(\S+)",verdict="(\w+)"\} 1\.0', page, re.MULTILINE
    )
    assert len(stands) >= 6
    assert "insufficient_data" not in {verdict for *_, verdict in stands}


def test_a_step_model_is_fitted_to_the_simulated_day_and_shown(demo: DaemonProcess, folder: Path) -> None:
    """On the page, in the report and in the chain of one replica; the sizes of a replica's steps sum to 1."""
    demo.until(lambda: "breakeven_step_size_time_ratio{" in demo.text("/metrics"))
    page = demo.text("/metrics")
    told = cli(folder, "explain", "--demo", "summarise")
    unnamed = cli(folder, "explain", "--demo")

    for name in ("step_s", "sequence_s", "kv_token_s", "prefill_token_s"):
        assert re.search(
            rf'^breakeven_step_coefficient_seconds\{{bound="p50",coefficient="{name}",', page, re.MULTILINE
        )
        assert re.search(
            rf'^breakeven_step_coefficient_identified\{{coefficient="{name}",.*\}} [01]\.0$', page, re.MULTILINE
        )
    sizes: dict[str, float] = {}
    for target, share in re.findall(
        r'^breakeven_step_size_time_ratio\{.*target="([^"]+)".*\} (\S+)$', page, re.MULTILINE
    ):
        sizes[target] = sizes.get(target, 0.0) + float(share)
    assert sizes
    assert all(total == pytest.approx(1) for total in sizes.values())
    assert "a step costs" in cli(folder, "report", "--demo").stdout
    assert told.returncode == 0
    assert "decode_sequence_steps_total" in told.stdout
    assert (unnamed.returncode, "there are several replicas" in unnamed.stderr) == (2, True)


def test_components_of_each_replica_sum_to_one(demo: DaemonProcess) -> None:
    report = demo.report()
    assert report is not None

    for replica in report["replicas"]:
        shares = [one["value"] for one in replica["phases"]["components"].values()]
        assert sum(shares) == pytest.approx(1)


def test_simulated_is_said_everywhere(demo: DaemonProcess, folder: Path) -> None:
    report = demo.report()
    assert report is not None
    page = demo.text("/metrics")

    assert report["simulated"] is True
    assert "breakeven_simulated 1.0" in page
    assert not re.search(r'simulated="false"', page)
    assert demo.json("/api/v1/health")["simulated"] is True
    assert "SIMULATED" in demo.log.read_text()
    assert "Simulated" in cli(folder, "report").stdout


def test_the_report_gives_each_scheme_a_verdict_with_both_sides(demo: DaemonProcess, folder: Path) -> None:
    table, plain = cli(folder, "report", "--demo"), cli(folder, "report", "--demo", "--json")
    report = json.loads(plain.stdout)

    assert table.returncode == plain.returncode == 0
    assert {one["name"] for one in report["deployments"]} == {"chat", "summarise"}
    for deployment in report["deployments"]:
        assert deployment["name"] in table.stdout
        for scheme in deployment["schemes"]:
            assert scheme["scheme"] in table.stdout
            assert scheme["judged"]["reasons_against"], scheme["scheme"]


def test_what_if_asks_the_demos_history(demo: DaemonProcess, folder: Path) -> None:
    """At a tenth of a cent a GPU-hour nothing pays for the work; the demo's deployments need no configuration."""
    told = cli(folder, "what-if", "--demo", "--deployment", "chat", "--price", "0.001", "--json")
    plain = json.loads(told.stdout)

    assert told.returncode == 0, told.stderr
    assert "worth_it" not in {one["judged"]["verdict"] for one in plain["what_if"]["schemes"]}
    assert plain["as_it_is"]["capacity"]["stated"] is True


def test_promtool_finds_nothing_to_complain_about(demo: DaemonProcess) -> None:
    promtool = require("promtool", "prometheus")
    result = subprocess.run([promtool, "check", "metrics"], input=demo.text("/metrics"), text=True, capture_output=True)

    assert (result.returncode, result.stderr, result.stdout) == (0, "", "")


@pytest.fixture(scope="module")
def scraped(demo: DaemonProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A real Prometheus that has scraped the demo at least five times; histograms come only now and then."""
    with prometheus(tmp_path_factory.mktemp("prometheus"), demo.url.removeprefix("http://")) as server:
        demo.until(lambda: (server.value("count_over_time(breakeven_build_info[1h])") or 0) >= 5)
        demo.until(lambda: server.value("breakeven_step_size_time_ratio"), 120)
        yield server


@pytest.mark.parametrize("name", ["overview", "drilldown"])
def test_every_panel_of_the_dashboard_has_data(scraped: Prometheus, name: str) -> None:
    empty = [(title, query) for title, query in panel_queries(load(name)) if not scraped.query(query)]

    assert empty == []


@pytest.mark.parametrize("name", ["overview", "drilldown"])
def test_every_annotation_of_the_dashboard_marks_a_moment(scraped: Prometheus, name: str) -> None:
    """Milliseconds of unix time within the last two days: the demo's past begins 26 hours ago."""
    for one in load(name)["annotations"]["list"]:
        found = [float(row["value"][1]) for row in scraped.query(replaced(one["expr"]))]
        now_ms = time.time() * 1000
        assert found
        assert all(now_ms - 2 * 86_400_000 < moment <= now_ms for moment in found)


def test_no_alert_fires_on_the_demo_but_those_that_are_true(scraped: Prometheus) -> None:
    """The rules are loaded and healthy; a simulated deployment never says that quantization is worth it."""
    rules = scraped.json("/api/v1/rules")["data"]["groups"]
    alerts = {rule["name"]: rule for group in rules for rule in group["rules"] if rule["type"] == "alerting"}

    assert {"QuantizationWorthIt", "BreakevenBlind"} <= alerts.keys()
    assert all(rule["health"] == "ok" for rule in alerts.values())
    assert alerts["QuantizationWorthIt"]["state"] == "inactive"
    assert alerts["BreakevenBlind"]["state"] == "inactive"


def test_a_browser_shows_the_verdicts_without_a_complaint_and_asks_nobody_else(demo: DaemonProcess) -> None:
    report = demo.report()
    assert report is not None
    reason = report["deployments"][0]["schemes"][0]["judged"]["reasons_against"][0]
    with chromium() as browser, opened(browser, demo.url + "/") as seen:
        page = seen.page
        expect(page.locator("#simulated")).to_be_visible()
        expect(page.locator("#problem")).to_be_hidden()
        cards = page.locator("article")
        expect(cards).to_have_count(2)
        told = page.locator("#verdicts").text_content() or ""
        for words in ("chat", "summarise", "fp8-w8a8", "Latency at today's load", reason):
            assert words in told
        assert page.locator("article canvas").count() == 4
        assert "fresh" in page.locator("#replicas").inner_text()
        assert serious(page) == []
        page.locator("#replicas a").first.click()
        expect(page.locator("#chain")).to_contain_text("Decode batch: sequence-steps over steps")
        assert serious(page) == []
        assert seen.complaints == []
        assert all(url.startswith((demo.url, "data:")) for url in seen.asked)


def test_the_api_answers_what_the_page_shows(demo: DaemonProcess) -> None:
    health: dict[str, Any] = demo.json("/api/v1/health")

    assert all(target["up"] for target in health["targets"])
    assert demo.text("/-/healthy").startswith("Breakeven is healthy")
    assert demo.text("/-/ready").startswith("Breakeven is ready")
