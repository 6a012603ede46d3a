"""One target's polls, from its page and endpoints to what the sink is given."""

from __future__ import annotations

import asyncio
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
from tests.fakes.metrics_app import MetricsApp, running

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
