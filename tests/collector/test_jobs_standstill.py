"""A page that stands still while requests run is a failed poll, from the limit on and until something moves."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from pathlib import Path

import pytest

from collector.errors import Kind
from collector.health import REMEDIES, TargetHealth
from collector.jobs.poll import PollTarget
from collector.jobs.targets import static_targets
from collector.scrape.fetch import Fetcher, client_session
from collector.scrape.target import TargetScraper
from collector.servers import detect
from collector.settings.load import parse_settings
from tests.collector.test_jobs_poll import Kept
from tests.fakes.hand_clock import HandClock
from tests.fakes.metrics_app import MetricsApp, running

PAGES = Path(__file__).parents[1] / "pages"
VLLM = (PAGES / "vllm__0.32.0__saturated.prom").read_text()
LLAMA = (PAGES / "llamacpp__b11549__busy.prom").read_text()
IDLE = re.sub(r"(?m)^(vllm:num_requests_running\{.*\}) .*$", r"\1 0.0", VLLM)
MOVED = re.sub(r"(?m)^(vllm:generation_tokens_total\{.*\}) .*$", r"\1 5419.0", VLLM)


def outcomes(*pages: str, interval_s: float = 60.0) -> tuple[list[str | None], int]:
    """Why each poll failed, None for a good one, and how many samples were kept; `frozen_after` is five minutes."""
    app, kept, clock, found = MetricsApp(), Kept(), HandClock(), []

    async def go() -> None:
        async with running(app) as url, client_session() as session:
            text = f"scrape_configs: [{{job_name: j, static_configs: [{{targets: ['{url.split('/')[2]}']}}]}}]"
            (target,) = static_targets(parse_settings(text, "test.yaml"))
            health = TargetHealth(url=target.url, job="j")
            scraper = TargetScraper(target.url, Fetcher(session), detect)
            poll = PollTarget(replace(target, interval_s=interval_s), scraper, kept, health, clock)  # type: ignore[arg-type]
            for page in pages:
                app.text = page
                await poll.run()
                found.append(health.reason)
                clock.advance(interval_s)

    asyncio.run(go())
    return found, len(kept.polled)


@pytest.mark.fault(
    "2", "a frozen exporter", promise="`frozen` after five minutes of standstill while requests run; no data until then"
)
def test_counters_that_stand_still_while_requests_run_are_not_believed() -> None:
    """The first page is polled at 0 s; at 300 s it has stood still for five minutes."""
    found, kept = outcomes(*[VLLM] * 7, MOVED)

    assert found == [None] * 5 + [Kind.FROZEN] * 2 + [None]
    assert kept == 6
    assert REMEDIES[Kind.FROZEN]


def test_an_idle_server_may_stand_still() -> None:
    assert outcomes(*[IDLE] * 8) == ([None] * 8, 8)


def test_one_page_seen_twice_is_no_standstill_however_long_the_interval() -> None:
    assert outcomes(VLLM, VLLM, VLLM, VLLM, interval_s=600.0) == ([None, None, None, Kind.FROZEN], 3)


def test_counters_that_wait_for_a_requests_end_may_stand_still() -> None:
    """Builds of llama.cpp without `n_decode_total`, and without /slots, tell nothing of a long answer under way."""
    old = re.sub(r"(?m)^.*llamacpp:n_decode_total.*\n", "", LLAMA)
    assert "\nllamacpp:requests_processing 0" not in old

    assert outcomes(*[old] * 8) == ([None] * 8, 8)
    assert outcomes(*[LLAMA] * 8)[0][-1] == Kind.FROZEN
