"""One target's polls, from its page and endpoints to what the sink is given."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from collector.clock import SystemClock
from collector.health import TargetHealth
from collector.jobs.poll import PollTarget
from collector.jobs.polled import Polled
from collector.jobs.targets import static_targets
from collector.scrape.fetch import Fetcher, client_session
from collector.scrape.target import TargetScraper
from collector.servers import detect
from collector.settings.load import parse_settings
from tests.fakes.hand_clock import HandClock
from tests.fakes.metrics_app import MetricsApp, running

VLLM = (Path(__file__).parents[1] / "pages" / "vllm__0.32.0__saturated.prom").read_text()
LLAMA = (Path(__file__).parents[1] / "pages" / "llamacpp__b11549__busy.prom").read_text()


class Kept:
    """A sink that keeps what it is given."""

    def __init__(self) -> None:
        self.polled: list[Polled] = []

    def put(self, _target: str, polled: list[Polled]) -> None:
        self.polled += polled


@pytest.mark.parametrize(
    ("slots", "lumpy"),
    [
        ([{"is_processing": True, "next_token": [{"n_decoded": 5}]}], {"decode_s_total"}),
        (404, {"decode_s_total", "generation_tokens_total"}),
    ],
)
def test_generated_tokens_move_at_a_requests_end_only_where_no_endpoint_tells_those_under_way(
    slots: Any, lumpy: set[str]
) -> None:
    app, kept = MetricsApp(LLAMA, endpoints={"/slots": slots}), Kept()

    async def go() -> None:
        async with running(app) as url, client_session() as session:
            text = f"scrape_configs: [{{job_name: j, static_configs: [{{targets: ['{url.split('/')[2]}']}}]}}]"
            (target,) = static_targets(parse_settings(text, "test.yaml"))
            scraper = TargetScraper(target.url, Fetcher(session), detect)
            health = TargetHealth(url=target.url, job="j")
            await PollTarget(target, scraper, kept, health, SystemClock()).run()  # type: ignore[arg-type]

    asyncio.run(go())
    (polled,) = kept.polled
    assert polled.lumpy == lumpy


def test_a_histogram_goes_to_the_store_once_a_minute_and_is_not_reported_at_other_polls() -> None:
    """Polls every 15 s for two minutes; the process that answers from the sixth poll on is another one."""
    app, kept, clock = MetricsApp(VLLM), Kept(), HandClock()
    start = re.search(r"(?m)^process_start_time_seconds .*$", VLLM)
    assert start is not None

    async def go() -> None:
        async with running(app) as url, client_session() as session:
            text = f"scrape_configs: [{{job_name: j, static_configs: [{{targets: ['{url.split('/')[2]}']}}]}}]"
            (target,) = static_targets(parse_settings(text, "test.yaml"))
            health = TargetHealth(url=target.url, job="j")
            scraper = TargetScraper(target.url, Fetcher(session), detect)
            poll = PollTarget(replace(target, interval_s=15.0), scraper, kept, health, clock)  # type: ignore[arg-type]
            for number in range(9):
                if number == 6:
                    app.text = VLLM.replace(start.group(), "process_start_time_seconds 1.9e9")
                await poll.run()
                clock.advance(15.0)

    asyncio.run(go())
    samples = [polled.sample(1) for polled in kept.polled]
    steps = (266, 640, 91, 0, 6, 5, 2, 3, 10, 2, 0, 0, 0, 0)
    assert [one.step_tokens for one in samples] == [steps, None, None, None, steps, None, steps, None, None]
    assert [one.prompt_lengths is None for one in samples] == [one.step_tokens is None for one in samples]
    assert all(one.steps_total == sum(steps) for one in samples)
