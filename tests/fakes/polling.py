"""A scraper pointed at a made-up metrics server: for tests of polling."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from collector.errors import Kind, SourceError
from collector.scrape.fetch import Fetcher, client_session
from collector.scrape.target import TargetScraper
from collector.servers import detect
from tests.fakes.metrics_app import MetricsApp, running


def poll(app: MetricsApp, steps: Callable[[TargetScraper], Awaitable[None]], **options: object) -> None:
    """Runs steps with a scraper of the app's metrics page."""

    async def go() -> None:
        async with running(app) as url, client_session() as session:
            await steps(TargetScraper(url, Fetcher(session), detect, **options))  # type: ignore[arg-type]

    asyncio.run(go())


async def kind_of(scraper: TargetScraper) -> Kind:
    with pytest.raises(SourceError) as raised:
        await scraper.scrape()
    return raised.value.kind
