"""A target polled over real HTTP: its engine is told, its identity asked, its limits kept."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from collector.errors import Kind, SourceError
from collector.scrape.beside import beside
from collector.scrape.fetch import Fetcher, Response, client_session
from collector.scrape.limits import Limits
from collector.scrape.target import TargetScraper
from collector.servers import detect
from tests.fakes.metrics_app import MetricsApp, running
from tests.fakes.polling import kind_of, poll

PAGES = Path(__file__).parents[1] / "pages"
VLLM = (PAGES / "vllm__0.32.0__busy.prom").read_text()
LLAMA = (PAGES / "llamacpp__b11549__busy.prom").read_text()
PROPS = {"total_slots": 1, "model_path": "m.gguf", "model_ftype": "Q4_K - Medium", "build_info": "b11549-abc"}


def test_a_poll_tells_the_engine_and_reads_the_page() -> None:
    app = MetricsApp(VLLM)

    async def steps(scraper: TargetScraper) -> None:
        scrape = await scraper.scrape()
        assert ("vllm", 1, 430, len(VLLM)) == (scrape.engine, scrape.requests, scrape.samples, scrape.size_bytes)
        assert scrape.reading.replicas[0].fields["generation_tokens_total"] == 753
        assert scrape.reading.process_start == "1795439753.02"

    poll(app, steps)


def test_the_identity_endpoints_help_to_read_the_page_until_the_process_restarts() -> None:
    """llama.cpp's times are wall times only with one slot, and only /props tells the number of slots."""
    models = {"data": [{"meta": {"n_params": 134515008, "size": 98000000, "ftype": "Q8_0"}}]}  # /props is asked first
    app = MetricsApp(LLAMA, {"Process-Start-Time-Unix": "7"}, endpoints={"/props": PROPS, "/v1/models": models})

    async def steps(scraper: TargetScraper) -> None:
        def times(reading: object) -> tuple[object, object]:
            fields = reading.replicas[0].fields  # type: ignore[attr-defined]
            return fields["prefill_s_total"], fields["decode_s_total"]

        assert not scraper.identity_due
        assert times((await scraper.scrape()).reading) == (None, None)
        assert scraper.identity_due
        told = await scraper.identify()
        assert told.notes == ()
        assert told.fields == {
            "engine_version": "b11549-abc",
            "model_path": "m.gguf",
            "slots": 1,
            "mixed_steps": False,
            "quantization": "Q4_K_M",
            "parameters": 134515008,
            "weight_bytes": 98000000,
        }
        assert not scraper.identity_due
        assert times((await scraper.scrape()).reading) == (39.1038, 189.675)
        app.headers = {"Process-Start-Time-Unix": "8"}
        assert times((await scraper.scrape()).reading) == (None, None)
        assert scraper.identity_due

    poll(app, steps)


def test_an_identity_endpoint_that_fails_is_only_noted() -> None:
    app = MetricsApp(LLAMA, endpoints={"/props": "<html>", "/v1/models": {"data": "nothing"}})

    async def steps(scraper: TargetScraper) -> None:
        assert (await scraper.identify()).notes == ("the engine is not known yet",)
        await scraper.scrape()
        told = await scraper.identify()
        assert dict(told.fields) == {}
        assert told.notes == ("/props: the answer is no JSON",)
        app.endpoints = {}
        told = await scraper.identify()
        assert [note.split(":")[0] for note in told.notes] == ["/props", "/v1/models"]
        assert all("HTTP 404" in note for note in told.notes)

    poll(app, steps)


def test_an_endpoint_that_is_not_ready_is_asked_again_a_few_times_and_one_that_is_absent_is_not() -> None:
    app = MetricsApp(LLAMA, endpoints={"/props": 503, "/v1/models": {}})

    async def steps(scraper: TargetScraper) -> None:
        await scraper.scrape()
        tries = 0
        while scraper.identity_due:
            await scraper.identify()
            tries += 1
        assert tries == 3
        app.headers = {"Process-Start-Time-Unix": "8"}
        await scraper.scrape()
        await scraper.identify()
        app.endpoints["/props"] = PROPS
        assert scraper.identity_due
        assert (await scraper.identify()).fields["slots"] == 1
        assert not scraper.identity_due
        app.headers, app.endpoints = {"Process-Start-Time-Unix": "9"}, {"/props": 404, "/v1/models": 401}
        await scraper.scrape()
        await scraper.identify()
        assert not scraper.identity_due

    poll(app, steps)


def test_a_huge_nested_or_odd_identity_is_survived() -> None:
    app = MetricsApp(LLAMA, endpoints={"/props": "[" * 100_000, "/v1/models": '"' + "x" * 2_000_000 + '"'})

    async def steps(scraper: TargetScraper) -> None:
        await scraper.scrape()
        told = await scraper.identify()
        assert dict(told.fields) == {}
        assert told.notes[0] == "/props: the answer is no JSON"
        assert "body_size_limit" in told.notes[1]

    poll(app, steps)


@pytest.mark.fault("3", "the model is swapped on the same port", promise="another engine is told anew")
def test_another_engine_on_the_same_port_is_told_anew() -> None:
    app = MetricsApp(LLAMA)

    async def steps(scraper: TargetScraper) -> None:
        assert (await scraper.scrape()).engine == "llamacpp"
        app.text = VLLM
        assert (await scraper.scrape()).engine == "vllm"

    poll(app, steps)


def test_another_engine_than_the_stated_one_is_refused_by_name() -> None:
    app = MetricsApp(LLAMA)

    async def steps(scraper: TargetScraper) -> None:
        with pytest.raises(SourceError, match=r"not a page of vLLM.*looks like llama\.cpp") as raised:
            await scraper.scrape()
        assert raised.value.kind is Kind.WRONG_ENGINE
        app.text = VLLM
        assert (await scraper.scrape()).engine == "vllm"
        app.text = LLAMA
        assert await kind_of(scraper) is Kind.WRONG_ENGINE

    poll(app, steps, engine="vllm", name_filter=False)


def test_a_page_of_no_known_engine_says_what_is_on_it() -> None:
    app = MetricsApp("# TYPE go_threads gauge\ngo_threads 7\n")

    async def steps(scraper: TargetScraper) -> None:
        with pytest.raises(SourceError, match="such as go_threads") as raised:
            await scraper.scrape()
        assert raised.value.kind is Kind.UNKNOWN_ENGINE

    poll(app, steps)


def test_credentials_are_asked_for_at_every_request() -> None:
    """A renewed secret file takes effect at the next poll."""
    app = MetricsApp(VLLM)
    secrets = iter("ab")
    seen: list[str] = []

    def headers() -> dict[str, str]:
        seen.append(next(secrets))
        return {"Authorization": f"Bearer {seen[-1]}"}

    async def steps(scraper: TargetScraper) -> None:
        await scraper.scrape()
        await scraper.scrape()
        assert seen == ["a", "b"]

    poll(app, steps, headers=headers, name_filter=False)


@pytest.mark.fault("2", "a body or headers that trickle", promise="all requests of a poll share the deadline")
def test_everything_a_poll_asks_shares_one_deadline() -> None:
    """A filtered page that fails, the plain one after it, and the identity endpoints get what is left, not it all."""
    app = MetricsApp(VLLM, filtering="missing")
    seen: list[float] = []

    class Watched(Fetcher):
        async def get(self, url: str, *, limits: Limits, **options: Any) -> Response:
            seen.append(limits.timeout_s)
            return await super().get(url, limits=limits, **options)

    async def go() -> None:
        async with running(app) as url, client_session() as session:
            scraper = TargetScraper(url, Watched(session), detect, limits=Limits(timeout_s=20))
            await scraper.scrape()
            await scraper.scrape()
            await scraper.identify()

    asyncio.run(go())
    _, filtered, plain_after, first_endpoint, second_endpoint = seen
    assert filtered == 20
    assert 0 < plain_after < filtered
    assert 0 < second_endpoint < first_endpoint


def test_the_limits_of_the_job_hold() -> None:
    app = MetricsApp(VLLM)

    async def steps(scraper: TargetScraper) -> None:
        assert await kind_of(scraper) is Kind.TOO_MANY_SAMPLES

    poll(app, steps, limits=Limits(sample_limit=100))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://h:8000/metrics", "http://h:8000/v1/models"),
        ("http://h:8000/metrics/", "http://h:8000/v1/models"),
        ("https://h/llm/metrics?model=x#y", "https://h/llm/v1/models"),
        ("http://h:8000/prometheus", "http://h:8000/v1/models"),
        ("http://[::1]:8000/metrics", "http://[::1]:8000/v1/models"),
        ("http://h:8000", "http://h:8000/v1/models"),
    ],
)
def test_identity_endpoints_lie_beside_the_metrics_page(url: str, expected: str) -> None:
    assert beside(url, "/v1/models") == expected


def test_a_page_at_a_longer_path_has_its_endpoints_beside_the_whole_of_it() -> None:
    assert beside("http://h/llm/prometheus/metrics", "/metrics", "/prometheus/metrics") == "http://h/llm/metrics"
