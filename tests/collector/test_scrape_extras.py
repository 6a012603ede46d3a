"""JSON endpoints beside a page: asked at every poll within its deadline, failing softly, summed where they drain."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from collector.scrape.fetch import Fetcher, Response, client_session
from collector.scrape.limits import Limits
from collector.scrape.spec import Extra
from collector.scrape.target import TargetScraper
from collector.scrape.told import Scrape
from collector.servers import detect, engine_specs
from tests.fakes.metrics_app import MetricsApp, running
from tests.fakes.polling import poll

PAGES = Path(__file__).parents[1] / "pages"
LLAMA = (PAGES / "llamacpp__b11549__busy.prom").read_text()
TRTLLM = (PAGES / "trtllm__1.3.0__iterations.prom").read_text()
GENERATED = "generation_tokens_total"
FINISHED = 3376
"""Tokens of finished requests on the llama.cpp page."""


def slot(decoded: int, busy: bool = True) -> dict[str, Any]:
    return {"id": 0, "is_processing": busy, "next_token": [{"n_decoded": decoded}]}


def one(scrape: Scrape, field: str) -> float | None:
    (replica,) = scrape.reading.replicas
    return replica.fields[field]


def test_tokens_under_way_are_added_to_those_of_finished_requests_and_count_as_live() -> None:
    app = MetricsApp(LLAMA, endpoints={"/slots": [slot(40), slot(900, busy=False), slot(5)]})

    async def steps(scraper: TargetScraper) -> None:
        scrape = await scraper.scrape()
        assert one(scrape, GENERATED) == FINISHED + 40 + 5  # an idle slot still shows its last request's count
        assert scrape.reading.replicas[0].live == {GENERATED}
        assert (scrape.requests, scrape.notes) == (2, ())
        assert app.asked == ["/metrics", "/slots"]  # in this order nothing is counted twice

    poll(app, steps)


def test_the_live_count_neither_dips_nor_jumps_when_a_request_ends_between_page_and_slots() -> None:
    app = MetricsApp(LLAMA, endpoints={"/slots": [slot(400)]})

    async def steps(scraper: TargetScraper) -> None:
        assert one(await scraper.scrape(), GENERATED) == FINISHED + 400
        app.endpoints["/slots"] = [slot(0, busy=False)]  # ended after the page was written
        assert one(await scraper.scrape(), GENERATED) == FINISHED + 400
        app.text = LLAMA.replace("tokens_predicted_total 3376", "tokens_predicted_total 3796")  # with its 420 tokens
        assert one(await scraper.scrape(), GENERATED) == FINISHED + 420
        app.endpoints["/slots"] = [slot(7)]
        assert one(await scraper.scrape(), GENERATED) == FINISHED + 427

    poll(app, steps)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (404, "/slots: .*404"),
        (501, "/slots: .*501"),
        (401, "/slots: .*401"),
        ("<html>", "/slots: the answer is no JSON"),
        ("[" * 100_000, "/slots: the answer is no JSON"),
        ('"' + "x" * 2_000_000 + '"', "/slots: .*body_size_limit"),
    ],
)
def test_an_endpoint_that_fails_leaves_the_page_as_it_is_and_is_asked_only_now_and_then(answer: Any, says: str) -> None:
    app = MetricsApp(LLAMA, endpoints={"/slots": answer})

    async def steps(scraper: TargetScraper) -> None:
        scrape = await scraper.scrape()
        assert one(scrape, GENERATED) == FINISHED
        assert scrape.reading.replicas[0].live == frozenset()
        assert scrape.requests == 2
        (note,) = scrape.notes
        assert re.match(says, note)
        app.endpoints["/slots"] = [slot(1)]
        polls = 0
        while one(again := await scraper.scrape(), GENERATED) == FINISHED:
            assert (again.requests, again.notes) == (1, (note,))
            polls += 1
        assert polls == 20

    poll(app, steps)


@pytest.mark.parametrize(
    "answer",
    [[], {}, [{"is_processing": True}], [slot(3), {"is_processing": True, "next_token": None}], [{"state": 1}], [7]],
)
def test_slots_that_do_not_tell_every_token_tell_none(answer: Any) -> None:
    (extra,) = engine_specs()["llamacpp"].extras
    assert extra.read(answer) == {}


def test_slots_of_older_builds_have_no_list() -> None:
    (extra,) = engine_specs()["llamacpp"].extras
    told = extra.read([{"is_processing": True, "next_token": {"n_decoded": 12}}])
    assert told == {"0": {"tokens_under_way": 12.0}}


def test_a_restart_makes_a_failed_endpoint_due_again() -> None:
    app = MetricsApp(LLAMA, {"Process-Start-Time-Unix": "7"}, endpoints={"/slots": 404})

    async def steps(scraper: TargetScraper) -> None:
        await scraper.scrape()
        app.endpoints["/slots"] = [slot(1)]
        assert one(await scraper.scrape(), GENERATED) == FINISHED
        app.headers = {"Process-Start-Time-Unix": "8"}
        assert one(await scraper.scrape(), GENERATED) == FINISHED + 1

    poll(app, steps)


def test_an_endpoint_that_is_not_ready_is_asked_again_at_once() -> None:
    app = MetricsApp(LLAMA, endpoints={"/slots": 503})

    async def steps(scraper: TargetScraper) -> None:
        assert one(await scraper.scrape(), GENERATED) == FINISHED
        app.endpoints["/slots"] = [slot(1)]
        assert one(await scraper.scrape(), GENERATED) == FINISHED + 1

    poll(app, steps)


def test_an_extra_endpoint_gets_what_the_page_left_of_the_deadline() -> None:
    app = MetricsApp(LLAMA, endpoints={"/slots": []})
    seen: list[float] = []

    class Watched(Fetcher):
        async def get(self, url: str, *, limits: Limits, **options: Any) -> Response:
            seen.append(limits.timeout_s)
            return await super().get(url, limits=limits, **options)

    async def go() -> None:
        async with running(app) as url, client_session() as session:
            await TargetScraper(url, Watched(session), detect, limits=Limits(timeout_s=20)).scrape()

    asyncio.run(go())
    page, slots = seen
    assert 0 < slots < page


def test_the_time_that_extra_endpoints_take_does_not_shift_when_the_page_was_asked_for() -> None:
    app = MetricsApp(LLAMA, endpoints={"/slots": []})

    async def steps(scraper: TargetScraper) -> None:
        scrape = await scraper.scrape()
        assert scrape.age_s > scrape.duration_s

    poll(app, steps)


def iteration(took_ms: float, prompt_tokens: int, sequences: int) -> dict[str, Any]:
    stats = {"numCtxTokens": prompt_tokens, "numGenRequests": sequences}
    return {"iter": 1, "iterLatencyMS": took_ms, "inflightBatchingStats": stats}


TIMES = ("prefill_s_total", "decode_s_total", "steps_total", "decode_sequence_steps_total")


def trtllm(records: list[Any], **options: Any) -> list[tuple[list[float | None], Scrape]]:
    """What each poll gives when the endpoint answers these, one after the other; the page is at its own path."""
    app = MetricsApp(TRTLLM, path="/prometheus/metrics")
    results = []

    async def go() -> None:
        async with running(app) as url, client_session() as session:
            scraper = TargetScraper(url, Fetcher(session), detect, **options)
            for answer in records:
                app.endpoints["/metrics"] = answer
                scrape = await scraper.scrape()
                results.append(([one(scrape, name) for name in TIMES], scrape))
        if not options.get("exclusive"):
            assert "/metrics" not in app.asked

    asyncio.run(go())
    return results


def test_records_that_are_given_out_once_are_summed_into_counters() -> None:
    first = [iteration(40, 512, 6), iteration(12.5, 0, 7), iteration(1, 0, 0)]
    second = [iteration(50, 0, 8)]
    got = trtllm([first, [], second, 503, second], exclusive=True)
    assert [values for values, _ in got] == [
        [0.04, 0.0125, 2.0, 13.0],  # 40 ms with prompt tokens, 12.5 without; 6 + 7 sequences; an empty one is no step
        [0.04, 0.0125, 2.0, 13.0],
        [0.04, 0.0625, 3.0, 21.0],
        [None, None, None, None],  # not told this time, so not given; nothing is lost
        [0.04, 0.1125, 4.0, 29.0],
    ]


def test_records_are_left_to_others_unless_the_operator_says_that_there_are_none() -> None:
    ((values, scrape),) = trtllm([[iteration(40, 512, 6)]])
    assert values == [None, None, None, None]
    assert scrape.requests == 1
    assert "exclusive: true" in scrape.reading.notes["prefill_s_total"]


def test_a_server_that_records_no_iterations_has_no_times_rather_than_none_spent() -> None:
    for values, _ in trtllm([[], [], [{"iter": 3}]], exclusive=True):
        assert values == [None, None, None, None]


def test_an_impossible_extra_endpoint_is_refused() -> None:
    spec = engine_specs()["llamacpp"]
    with pytest.raises(ValueError, match="slash"):
        Extra("slots", ("x",), lambda _: {})
    with pytest.raises(ValueError, match="more than one source: prompt_s"):
        replace(spec, extras=(Extra("/slots", ("prompt_s",), lambda _: {}),))
    with pytest.raises(ValueError, match="named like a field: steps_total"):
        replace(spec, extras=(Extra("/slots", ("steps_total",), lambda _: {}),))
    with pytest.raises(ValueError, match="nothing derives"):
        replace(spec, derive=None, derives=(), monotone=frozenset())
