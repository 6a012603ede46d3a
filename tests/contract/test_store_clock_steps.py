"""The wall clock is set back and forth over a server's polls: samples and totals hold no work that was not done."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from analyzer.windows import pairwise_totals
from collector.health import DaemonHealth, TargetHealth
from collector.jobs.poll import PollTarget
from collector.jobs.polled import Roster
from collector.jobs.sink import Sink
from collector.jobs.targets import static_targets
from collector.jobs.worker import Worker
from collector.scrape.fetch import Fetcher, client_session
from collector.scrape.target import TargetScraper
from collector.scrape.told import Scrape
from collector.servers import detect
from collector.settings.load import parse_settings
from collector.store import Store
from tests.fakes.hand_clock import HandClock
from tests.fakes.metrics_app import MetricsApp, running
from tests.fakes.played_server import STEPS_PER_S, page_of

INTERVAL_S, HOUR_S = 5.0, 3600.0
STEPS_S = {24: -90.0, 40: 90.0, 44: 100.0, 48: -100.0}
"""By poll: by how much the clock is set before it. At the 40th and at the 48th it is right again."""
MISSED = {*range(8, 14), *range(66, 70)}
"""Polls without an answer: the clock tells their times again or has told them, by one process that goes on."""
POLLS = 76


class AtOnce(TargetScraper):
    """Requests take no time: the clock stands still meanwhile, and what they really take is not its time."""

    async def scrape(self) -> Scrape:
        return replace(await super().scrape(), age_s=0.0)


@pytest.mark.fault("3", "the wall clock steps back", promise="samples and roll-ups hold no work that was not done")
def test_no_work_is_made_up_of_times_that_the_clock_told_twice(store: Store) -> None:
    app, clock, worker = MetricsApp(), HandClock(), Worker("writer")
    sink = Sink(store, worker, Roster(), DaemonHealth(started_s=clock.wall_s()), clock)

    async def go() -> None:
        async with running(app) as url, client_session() as session:
            text = f"scrape_configs: [{{job_name: j, static_configs: [{{targets: ['{url.split('/')[2]}']}}]}}]"
            (target,) = static_targets(parse_settings(text, "test.yaml"))
            scraper = AtOnce(target.url, Fetcher(session), detect)
            health = TargetHealth(url=target.url, job="j")
            poll = PollTarget(replace(target, interval_s=INTERVAL_S), scraper, sink, health, clock)
            for number in range(POLLS):
                clock.step(STEPS_S.get(number, 0.0))
                app.text = page_of(STEPS_PER_S * clock.monotonic_s(), 1.7e9).decode()
                app.status = 503 if number in MISSED else 200
                await poll.run()
                clock.advance(INTERVAL_S)
            await sink.flush()

    asyncio.run(go())
    assert worker.close(10.0)
    store.roll_up(clock.wall_s() + HOUR_S)
    samples = store.reader.samples(0, 4e9)
    by_sample = [part for part in pairwise_totals(samples) if part.windows > 0]
    by_bucket = [totals for _, totals in store.reader.totals(0, 4e9) if totals.windows > 0]

    for parts in (by_sample, by_bucket):
        covered_s = sum(part.covered_s for part in parts)
        assert sum(part.deltas["steps_total"] or 0.0 for part in parts) == pytest.approx(STEPS_PER_S * covered_s, abs=1)
        assert 0.7 * POLLS * INTERVAL_S < covered_s <= POLLS * INTERVAL_S
    assert len(samples) == POLLS - len(MISSED)
