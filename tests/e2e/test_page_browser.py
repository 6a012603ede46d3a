"""The built-in page in a real Chromium: hostile names, accessibility, a target or daemon that dies, and no jumping."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from analyzer.report import Report
from collector.export.overview import replica_id
from collector.health import DaemonHealth, SpoolHealth
from tests.collector.test_openapi import HOSTILE, a_state, hostile_report
from tests.fakes.browser import chromium, opened, serious
from tests.fakes.daemon_process import helper, running
from tests.fakes.hand_clock import HandClock
from tests.fakes.served_state import served

REFRESH_MS = 5000
LATEST_MS = 2 * REFRESH_MS
"""One refresh and what a busy machine needs to draw it."""
CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 2s}}
gpu: {{nvml: "off"}}
web: {{listen_address: "127.0.0.1:0"}}
storage: {{url: "sqlite:///run.db"}}
scrape_configs: [{{job_name: chat, static_configs: [{{targets: ["{target}"]}}]}}]
"""
PHONE = (390, 844)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


def overflow_px(page: Page) -> int:
    """Pixels by which the page is wider than its window."""
    return int(page.evaluate("() => document.documentElement.scrollWidth - window.innerWidth"))


@pytest.fixture(scope="module")
def report() -> Report:
    return hostile_report()


@pytest.fixture(scope="module")
def hostile(report: Report) -> Iterator[str]:
    with served(a_state(report), HandClock()) as url:
        yield url


@pytest.mark.parametrize("size", [(1280, 900), PHONE])
def test_hostile_names_are_shown_as_text_run_nothing_and_widen_nothing(
    browser: Browser, hostile: str, report: Report, size: tuple[int, int]
) -> None:
    """A model called <script>…, with quotes, control and direction characters, ten thousand letters long."""
    paths = ["/", *(f"/replica?id={replica_id(one.replica)}" for one in report.replicas)]
    for path in paths:
        with opened(browser, hostile + path, *size) as seen:
            assert seen.complaints == []
            assert overflow_px(seen.page) <= 0
            assert seen.page.locator("main script").count() == 0
            assert all(url.startswith((hostile, "data:")) for url in seen.asked)
    assert any(one.replica.model == HOSTILE for one in report.replicas)
    with opened(browser, hostile + "/", *size) as seen:
        expect(seen.page.locator("#replicas")).to_contain_text('<script>alert(1)</script>"')


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("size", [(1280, 900), PHONE])
def test_axe_finds_nothing_serious(browser: Browser, hostile: str, report: Report, size: Any, dark: bool) -> None:
    for path in ("/", f"/replica?id={replica_id(report.replicas[0].replica)}"):
        with opened(browser, hostile + path, *size, dark=dark) as seen:
            assert serious(seen.page) == []


def test_an_empty_and_a_starting_daemon_say_what_is_missing(browser: Browser, report: Report) -> None:
    clock = HandClock()
    state = a_state(None)
    state.health = DaemonHealth(started_s=clock.wall_s())
    with served(state, clock) as url:
        page = browser.new_page()
        page.goto(url + "/")
        expect(page.locator("#made")).to_have_text("The first report is being made: it needs a few polls.")
        expect(page.locator("#targets")).to_contain_text("No target is configured or found.")
        page.goto(url + "/replica?id=0123456789abcdef")
        expect(page.locator("#problem")).to_contain_text("no report has been made yet")
        state.report = replace(report, deployments=(), replicas=())
        page.goto(url + "/")
        expect(page.locator("#empty")).to_contain_text("No inference server has been seen yet.")
        page.close()


def test_the_page_says_that_samples_wait_and_that_a_disk_is_nearly_full(browser: Browser, report: Report) -> None:
    state = a_state(report)
    state.health.store.failed(1.0, "disk_nearly_full", "its disk has 9.0 MB free")
    state.health.spool = SpoolHealth(waiting=1234, oldest_s=1_800_000_000.0)
    state.health.spool.failed(1.0, "spool_failed", "the spool is malformed")
    with served(state, HandClock()) as url, opened(browser, url + "/") as seen:
        problem = seen.page.locator("#problem")
        expect(problem).to_contain_text("Database: its disk has 9.0 MB free.")
        expect(problem).to_contain_text("1234 samples wait on disk for the database, the oldest since ")
        expect(problem).to_contain_text("Spool: the spool is malformed.")


def test_a_refresh_moves_nothing_and_keeps_what_was_opened_and_focused(browser: Browser, report: Report) -> None:
    """Each report differs from the one before it, so that every part is drawn anew."""
    clock = HandClock()
    state = a_state(report)
    with served(state, clock) as url, opened(browser, url + "/") as seen:
        page = seen.page
        summary = page.locator("details[data-key] summary").first
        summary.press("Enter")
        summary.focus()
        page.evaluate("() => window.scrollBy(0, 300)")
        before = page.evaluate("() => window.scrollY")
        first, *others = report.deployments
        name = "price list renewed"
        newer = replace(first, price_source=name, schemes=first.schemes[::-1])
        state.report = replace(report, made_at_s=clock.wall_s() - 1, deployments=(newer, *others))
        expect(page.locator("#deployments")).to_contain_text(name, timeout=LATEST_MS)

        assert page.locator("details[data-key][open]").count() == 1
        assert page.evaluate("() => document.activeElement.tagName") == "SUMMARY"
        assert page.evaluate("() => window.scrollY") == before


def test_many_deployments_begin_as_headlines_and_open_from_the_list(browser: Browser, report: Report) -> None:
    names = [f"fleet-{number}" for number in range(9)]
    many = replace(
        report,
        deployments=tuple(replace(report.deployments[0], name=name) for name in names),
        workloads=dict.fromkeys(names, report.workloads[report.deployments[0].name]),
    )
    with served(a_state(many), HandClock()) as url, opened(browser, url + "/") as seen:
        page = seen.page
        expect(page.locator("article .headline")).to_have_count(9)
        assert page.locator("article canvas").count() == 0
        page.locator("#summary a").nth(8).click()
        expect(page.locator("article").nth(8).locator("canvas").first).to_be_visible()
        assert page.locator("article details.body[open]").count() == 1
        assert seen.complaints == []


def test_it_shows_stale_within_one_refresh_of_a_target_s_death_and_lost_after_the_daemon_s(
    browser: Browser, tmp_path: Path
) -> None:
    with helper("-m", "tests.fakes.simulated_vllm", "0", "1") as (target, url):
        (tmp_path / "c.yaml").write_text(CONFIG.format(target=url.removeprefix("http://")))
        with running(tmp_path, "run", "--config.file", "c.yaml") as daemon:
            daemon.until(lambda: (daemon.report() or {}).get("replicas"))
            with opened(browser, daemon.url + "/") as seen:
                page = seen.page
                expect(page.locator("#replicas")).to_contain_text("fresh", timeout=60_000)
                assert seen.complaints == []
                target.kill()
                daemon.until(lambda: daemon.json("/api/v1/health")["targets"][0]["up"] is False)
                expect(page.locator("#problem")).to_contain_text("Stale: 1 of 1 targets", timeout=LATEST_MS)
                expect(page.locator("#replicas")).to_contain_text("stale")
                expect(page.locator("#targets")).to_contain_text("down: ")
                expect(page.locator("#deployments")).to_contain_text("0 of 1")
                assert daemon.stop(signal.SIGTERM) == 0
                expect(page.locator("#problem")).to_contain_text("The daemon does not answer", timeout=LATEST_MS)
                expect(page.locator("html")).to_have_attribute("data-state", "lost")
