"""name[] is used where a server honours it, tried at most once per life of its process, and never loses data."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, start_http_server

from collector.errors import Kind
from collector.scrape.fetch import Fetcher, client_session
from collector.scrape.filter import State, filtered
from collector.scrape.target import TargetScraper
from collector.scrape.told import Scrape
from collector.servers import detect
from tests.fakes.metrics_app import MetricsApp
from tests.fakes.polling import kind_of, poll

PAGES = Path(__file__).parents[1] / "pages"
VLLM = (PAGES / "vllm__0.32.0__busy.prom").read_text()
TWO_RANKS = (PAGES / "vllm__0.33.0__two-ranks.prom").read_text()
LLAMA = (PAGES / "llamacpp__b11549__busy.prom").read_text()
STARTED = "process_start_time_seconds 1.79543975302e+09"


def test_where_name_filtering_works_every_later_poll_is_one_small_request() -> None:
    app = MetricsApp(TWO_RANKS)

    async def steps(scraper: TargetScraper) -> None:
        plain = await scraper.scrape()
        later = [await scraper.scrape() for _ in range(3)]
        assert app.asked == ["/metrics", "filtered", "filtered", "filtered"]
        assert [plain.reading] * 3 == [scrape.reading for scrape in later]
        assert max(scrape.size_bytes for scrape in later) < plain.size_bytes / 2
        assert scraper.filter_state is State.HONOURED
        app.text = TWO_RANKS.replace("41000.0", "41500.0")
        again = await scraper.scrape()
        assert [replica.fields["generation_tokens_total"] for replica in again.reading.replicas] == [41500.0, 82000.0]

    poll(app, steps)


@pytest.mark.parametrize("filtering", ["empty", "missing", "partial", "redirected", "forbidden", "unavailable"])
def test_where_it_does_not_work_one_poll_pays_for_the_trial_and_none_after(filtering: str) -> None:
    app = MetricsApp(VLLM, filtering=filtering)

    async def steps(scraper: TargetScraper) -> None:
        scrapes = [await scraper.scrape() for _ in range(4)]
        assert app.asked == ["/metrics", "filtered", "/metrics", "/metrics", "/metrics"]
        assert [scrape.requests for scrape in scrapes] == [1, 2, 1, 1]
        assert [scrapes[0].reading] * 4 == [scrape.reading for scrape in scrapes]
        assert scraper.filter_state is State.NOT_HONOURED

    poll(app, steps)


def test_filtering_that_stops_working_costs_one_more_request_and_no_data() -> None:
    app = MetricsApp(VLLM)

    async def steps(scraper: TargetScraper) -> None:
        for _ in range(3):
            await scraper.scrape()
        app.filtering = "empty"
        scrape = await scraper.scrape()
        assert scrape.requests == 2
        assert scrape.reading.replicas[0].fields["generation_tokens_total"] == 753
        await scraper.scrape()
        assert app.asked[3:] == ["filtered", "/metrics", "/metrics"]

    poll(app, steps)


@pytest.mark.parametrize("filtering", ["honoured", "missing"])
def test_a_restart_begins_anew_with_a_plain_page(filtering: str) -> None:
    app = MetricsApp(VLLM, filtering=filtering)

    async def steps(scraper: TargetScraper) -> None:
        for _ in range(3):
            await scraper.scrape()
        await scraper.identify()
        assert not scraper.identity_due
        app.asked.clear()
        app.text = VLLM.replace(STARTED, "process_start_time_seconds 1.8e+09")
        app.filtering = "honoured"
        scrapes = [await scraper.scrape() for _ in range(3)]
        restarted = ["filtered", "/metrics", "filtered", "filtered"]
        assert app.asked == (restarted if filtering == "honoured" else restarted[1:])
        assert {scrape.reading.process_start for scrape in scrapes} == {"1800000000.0"}
        assert scraper.identity_due

    poll(app, steps)


def test_after_a_failed_poll_nothing_is_taken_for_granted() -> None:
    app = MetricsApp(VLLM)

    async def steps(scraper: TargetScraper) -> None:
        await scraper.scrape()
        await scraper.scrape()
        app.status = 503
        assert await kind_of(scraper) is Kind.NOT_READY
        app.status = 200
        await scraper.scrape()
        assert app.asked == ["/metrics", "filtered", "filtered", "/metrics", "/metrics"]
        assert scraper.identity_due

    poll(app, steps)


def test_filtering_can_be_switched_off() -> None:
    app = MetricsApp(VLLM)

    async def steps(scraper: TargetScraper) -> None:
        await scraper.scrape()
        await scraper.scrape()
        assert app.asked == ["/metrics", "/metrics"]

    poll(app, steps, name_filter=False)


def test_an_engine_that_does_not_filter_is_never_asked_to() -> None:
    app = MetricsApp(LLAMA)

    async def steps(scraper: TargetScraper) -> None:
        await scraper.scrape()
        await scraper.scrape()
        assert app.asked == ["/metrics", "/slots", "/metrics"]  # /slots is not there, and rests

    poll(app, steps)


def test_the_filtered_url_keeps_what_the_plain_one_says() -> None:
    wanted = frozenset({"vllm:b", "c"})
    asked = filtered("http://h:1/a/metrics?model=x", wanted)
    assert asked == ("http://h:1/a/metrics/", "model=x&name%5B%5D=c&name%5B%5D=vllm%3Ab")
    assert filtered("http://i:1/metrics?model=x", wanted)[1] is asked[1]


def test_prometheus_clients_own_server_honours_it_for_counters_histograms_and_the_process() -> None:
    """What vLLM mounts: the real filter answers by sample names, with the series a plain page has."""
    registry = CollectorRegistry(auto_describe=True)  # as its default registry
    ProcessCollector(registry=registry)
    labels = ("model_name", "engine")
    Gauge("vllm:num_requests_running", "", labels, registry=registry).labels("m", "0").set(2)
    Counter("vllm:generation_tokens", "", labels, registry=registry).labels("m", "0").inc(7)
    steps = Histogram("vllm:iteration_tokens_total", "", labels, registry=registry)
    for tokens in (1, 2, 3):
        steps.labels("m", "0").observe(tokens)
    server, thread = start_http_server(0, "127.0.0.1", registry)

    async def go() -> tuple[list[Scrape], State]:
        async with client_session() as session:
            scraper = TargetScraper(f"http://127.0.0.1:{server.server_port}/metrics", Fetcher(session), detect)
            return [await scraper.scrape() for _ in range(3)], scraper.filter_state

    try:
        scrapes, state = asyncio.run(go())
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert state is State.HONOURED
    assert [scrape.requests for scrape in scrapes] == [1, 1, 1]
    assert [scrape.reading for scrape in scrapes] == [scrapes[0].reading] * 3
    assert scrapes[2].size_bytes < scrapes[0].size_bytes
    fields = scrapes[2].reading.replicas[0].fields
    assert (fields["generation_tokens_total"], fields["steps_total"], fields["step_tokens_total"]) == (7.0, 3.0, 6.0)
    assert scrapes[2].reading.process_start is not None
