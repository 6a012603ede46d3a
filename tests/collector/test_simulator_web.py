"""The simulated fleet over real HTTP on loopback, in time that the test moves by hand."""

from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from analyzer.samples import GpuSample
from collector.errors import BreakevenError
from collector.scrape.fetch import Fetcher, client_session
from collector.scrape.target import TargetScraper
from collector.servers import detect
from collector.simulator import web
from collector.simulator.dialects import DIALECTS
from collector.simulator.scenarios import SimulatedReplica, build, demo_fleet
from collector.simulator.speculation import Speculation
from collector.simulator.truth import Truth
from collector.simulator.web import ServedFleet, serve
from tests.fakes.hand_clock import HandClock

HOST = "127.0.0.1"
Test = Callable[[ServedFleet, HandClock, aiohttp.ClientSession], Awaitable[None]]


def fleet() -> tuple[SimulatedReplica, ...]:
    """The demo's servers, freshly started."""
    return build(demo_fleet(), 1, 1_795_000_000.0, gpu_noise=0.0)


def served(test: Test, speed: float = 1.0, replicas: tuple[SimulatedReplica, ...] | None = None) -> None:
    """Runs a test against a served fleet."""

    async def run() -> None:
        clock = HandClock()
        chosen = fleet() if replicas is None else replicas
        handle = await serve(chosen, clock, HOST, [0] * len(chosen), speed)
        try:
            async with aiohttp.ClientSession(auto_decompress=False) as session:
                await test(handle, clock, session)
        finally:
            await handle.close()

    asyncio.run(run())


async def get(session: aiohttp.ClientSession, url: str, **headers: str) -> tuple[int, Any, bytes]:
    """Status, headers and body of a GET."""
    async with session.get(url, headers=headers) as response:
        return response.status, response.headers, await response.read()


async def truth(session: aiohttp.ClientSession, base: str) -> Truth:
    """What the server at `base` really did."""
    async with session.get(f"{base}/sim/truth") as response:
        return Truth(**await response.json())


def test_each_server_answers_on_its_own_port_as_vllm_does() -> None:
    async def test(handle: ServedFleet, clock: HandClock, session: aiohttp.ClientSession) -> None:
        assert len(set(handle.urls)) == 3
        clock.advance(30.0)
        for base, replica in zip(handle.urls, demo_fleet(), strict=True):
            status, headers, body = await get(session, f"{base}/metrics")
            assert (status, headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
            assert f'vllm:num_requests_running{{engine="0",model_name="{replica.model.name}"}} ' in body.decode()
            async with session.get(f"{base}/v1/models") as response:
                (model,) = (await response.json())["data"]
            assert (model["id"], model["max_model_len"]) == (replica.model.name, 16_384)
            async with session.get(f"{base}/version") as response:
                assert await response.json() == {"version": "0.33.0"}

    served(test)


def test_virtual_time_follows_the_clock_times_speed() -> None:
    async def test(handle: ServedFleet, clock: HandClock, session: aiohttp.ClientSession) -> None:
        seen = [(await truth(session, handle.urls[0])).at_s]
        for seconds in (1.5, 0.0, 10.0):
            clock.advance(seconds)
            seen.append((await truth(session, handle.urls[0])).at_s)
        assert seen == pytest.approx([0.0, 30.0, 30.0, 230.0])

    served(test, speed=20.0)


def test_a_fleet_that_was_advanced_before_goes_on_from_there() -> None:
    replicas = fleet()
    for replica in replicas:
        replica.server.advance(100.0)

    async def test(handle: ServedFleet, clock: HandClock, session: aiohttp.ClientSession) -> None:
        clock.advance(5.0)
        assert [(await truth(session, base)).at_s for base in handle.urls] == pytest.approx([105.0] * 3)

    served(test, replicas=replicas)


def test_a_page_is_what_the_library_gives_without_http() -> None:
    alone = fleet()[0]
    alone.server.advance(40.0)

    async def test(handle: ServedFleet, clock: HandClock, session: aiohttp.ClientSession) -> None:
        clock.advance(40.0)
        _, _, body = await get(session, f"{handle.urls[0]}/metrics")
        assert body.decode() == alone.page.render()

    served(test)


def test_the_trailing_slash_decides_about_name_filter_and_compression() -> None:
    async def test(handle: ServedFleet, clock: HandClock, session: aiohttp.ClientSession) -> None:
        base, query = handle.urls[0], "name[]=vllm:num_requests_running&name[]=vllm:generation_tokens_total"
        _, plain_headers, plain = await get(session, f"{base}/metrics?{query}", **{"Accept-Encoding": "gzip"})
        _, headers, packed = await get(session, f"{base}/metrics/?{query}", **{"Accept-Encoding": "gzip"})
        _, _, whole = await get(session, f"{base}/metrics/", **{"Accept-Encoding": "identity"})
        assert "Content-Encoding" not in plain_headers
        assert plain == whole
        assert headers["Content-Encoding"] == "gzip"
        lines = [line for line in gzip.decompress(packed).decode().splitlines() if not line.startswith("#")]
        assert [line.split("{")[0] for line in lines] == ["vllm:num_requests_running", "vllm:generation_tokens_total"]

    served(test)


def test_gpu_readings_are_samples() -> None:
    async def test(handle: ServedFleet, clock: HandClock, session: aiohttp.ClientSession) -> None:
        clock.advance(60.0)
        async with session.get(f"{handle.urls[2]}/sim/gpus?interval_s=5") as response:
            samples = [GpuSample(**reading) for reading in await response.json()]
        assert [sample.uuid[-1] for sample in samples] == ["2", "3", "4", "5"]
        assert {(sample.at_s, sample.interval_s) for sample in samples} == {(1_795_000_060.0, 5.0)}
        status, _, body = await get(session, f"{handle.urls[2]}/sim/gpus?interval_s=soon")
        assert (status, body) == (400, b"interval_s must be a number of seconds")

    served(test)


@pytest.fixture
def _small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that may simulate 10 slices of 5 events per request."""
    monkeypatch.setattr(web, "SLICE_EVENTS", 5)
    monkeypatch.setattr(web, "CALL_SLICES", 10)


@pytest.mark.usefixtures("_small_slices")
def test_a_server_that_lags_far_behind_serves_what_it_has_reached_and_catches_up_later() -> None:
    async def test(handle: ServedFleet, clock: HandClock, session: aiohttp.ClientSession) -> None:
        clock.advance(60.0)
        seen = [(await truth(session, handle.urls[0])).at_s]
        while seen[-1] < 60.0:
            seen.append((await truth(session, handle.urls[0])).at_s)
        assert 0.0 < seen[0] < 60.0
        assert seen == sorted(set(seen))

    served(test)


@pytest.mark.usefixtures("_small_slices")
def test_other_tasks_run_while_a_server_catches_up() -> None:
    async def test(handle: ServedFleet, clock: HandClock, session: aiohttp.ClientSession) -> None:
        clock.advance(60.0)
        turns = 0
        polling = asyncio.create_task(truth(session, handle.urls[0]))
        while not polling.done():
            turns += 1
            await asyncio.sleep(0)
        assert turns > 10

    served(test)


def test_two_requests_at_once_see_one_time() -> None:
    async def test(handle: ServedFleet, clock: HandClock, session: aiohttp.ClientSession) -> None:
        clock.advance(300.0)
        both = await asyncio.gather(*(truth(session, handle.urls[0]) for _ in range(2)))
        assert both[0] == both[1]

    served(test)


def test_after_closing_nobody_answers() -> None:
    async def run() -> None:
        handle = await serve(fleet(), HandClock(), HOST, [0, 0, 0])
        await handle.close()
        await handle.close()
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientConnectorError):
                await session.get(f"{handle.urls[0]}/metrics")

    asyncio.run(run())


def test_a_taken_port_is_one_clear_line_and_leaves_nothing_open() -> None:
    async def run() -> None:
        with socket.socket() as taken, socket.socket() as free:
            taken.bind((HOST, 0))
            taken.listen()
            free.bind((HOST, 0))
            ports = [free.getsockname()[1], taken.getsockname()[1], 0]
            free.close()
            with pytest.raises(BreakevenError, match=f"cannot listen on {HOST}:{ports[1]}: .*; choose another port"):
                await serve(fleet(), HandClock(), HOST, ports)
            with socket.socket() as again:
                again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                again.bind((HOST, ports[0]))

    asyncio.run(run())


def test_only_loopback_is_listened_on() -> None:
    with pytest.raises(BreakevenError, match="loopback only"):
        asyncio.run(serve(fleet(), HandClock(), "0.0.0.0", [0, 0, 0]))
    with pytest.raises(BreakevenError, match="loopback only"):
        asyncio.run(serve(fleet(), HandClock(), "example.invalid", [0, 0, 0]))


def test_one_port_per_server() -> None:
    with pytest.raises(ValueError, match="one port per replica"):
        asyncio.run(serve(fleet(), HandClock(), HOST, [0]))


def test_drafting_servers_are_served_too() -> None:
    spec = demo_fleet()[0]
    drafting = replace(spec, settings=replace(spec.settings, speculation=Speculation(2, 0.6)))

    async def test(handle: ServedFleet, clock: HandClock, session: aiohttp.ClientSession) -> None:
        clock.advance(60.0)
        _, _, body = await get(session, f"{handle.urls[0]}/metrics")
        assert "vllm:spec_decode_num_drafts_total" in body.decode()

    served(test, replicas=build([drafting], 1, 0.0))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_each_dialect_is_read_over_http_by_the_real_scraper(dialect: str) -> None:
    replicas = build(demo_fleet(dialect)[:1], 1, 1_795_000_000.0)

    async def test(handle: ServedFleet, clock: HandClock, session: aiohttp.ClientSession) -> None:
        clock.advance(30.0)
        url = handle.urls[0] + replicas[0].site.page_path
        async with client_session() as polling:
            scraper = TargetScraper(url, Fetcher(polling), detect)
            assert (await scraper.scrape()).engine == DIALECTS[dialect].engine
            told = await scraper.identify()
            clock.advance(30.0)
            scrape = await scraper.scrape()
        (one,) = scrape.reading.replicas
        assert {**told.fields, **one.identity}["model_path"].startswith("meta-llama/Llama-3.1-8B-Instruct")
        assert not scrape.notes
        assert (one.fields["generation_tokens_total"] or 0) > 0
        assert (one.fields["prompt_tokens_total"] or 0) > 0
        assert (await get(session, f"{handle.urls[0]}/nothing"))[0] == 404

    served(test, replicas=replicas)
