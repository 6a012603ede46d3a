"""Forward-pass records over ZMQ: what a real publisher on loopback sends is what the counters say, and no more."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgpack
import pytest
import zmq
import zmq.asyncio
from aiohttp import ClientSession

from collector.cli.configured import configured
from collector.clock import SystemClock
from collector.errors import ConfigError, Kind, SourceError
from collector.health import TargetHealth
from collector.jobs.poll import PollTarget
from collector.jobs.polled import Polled
from collector.jobs.scraper import scraper_of
from collector.jobs.targets import static_targets
from collector.jobs.tls_contexts import TlsContexts
from collector.scrape import listen
from collector.scrape.fetch import Fetcher, client_session
from collector.scrape.listen import PassListener, endpoints_of_ranks
from collector.settings import Settings
from collector.settings.jobs import RECORDS_ENDPOINT
from collector.settings.load import parse_settings
from tests.fakes.metrics_app import MetricsApp, running
from tests.fakes.pass_records import record
from tests.fakes.patience import until


class Publisher:
    """Publishes records as the schedulers do: an empty topic, the message's number in 8 bytes, the record."""

    def __init__(self, context: zmq.asyncio.Context, endpoint: str) -> None:
        self._socket = context.socket(zmq.XPUB)  # a PUB that tells who subscribes
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.bind(endpoint)
        self.number = 0

    @property
    def port(self) -> int:
        return int(self._socket.getsockopt_string(zmq.LAST_ENDPOINT).rpartition(":")[2])

    async def subscribed(self) -> None:
        async with asyncio.timeout(20):
            assert await self.receive() == b"\x01"

    async def receive(self) -> bytes:
        return bytes(await self._socket.recv())

    async def send(self, *records: dict[str, Any]) -> None:
        for one in records:
            await self.send_raw(b"", self.number.to_bytes(8, "big"), msgpack.packb(one))
            self.number += 1

    async def send_raw(self, *frames: bytes) -> None:
        await self._socket.send_multipart(frames)


@contextlib.asynccontextmanager
async def publishing(*endpoints: str) -> AsyncIterator[list[Publisher]]:
    context = zmq.asyncio.Context()
    try:
        yield [Publisher(context, endpoint) for endpoint in endpoints or ("tcp://127.0.0.1:*",)]
    finally:
        context.destroy(linger=0)


async def heard(listener: PassListener, messages: int) -> None:
    await until(lambda: listener.messages >= messages)


def test_counters_are_what_a_real_publisher_sent() -> None:
    """Two decode steps of 3 sequences, a prompt of 500 alone, and 100 prompt tokens beside 2 sequences:
    4 steps, 3 + 3 + 0 + 2 = 8 sequence-steps, 600 prompt tokens, 0.3 + 0.2 = 0.5 s with prompts, 0.02 s without."""

    async def go() -> None:
        async with publishing() as (publisher,):
            listener = PassListener(f"tcp://127.0.0.1:{publisher.port}")
            try:
                await publisher.subscribed()
                await publisher.send(
                    record(),
                    record(0.01, decoding=3),
                    record(0.3, prefill=500),
                    record(0.01, decoding=3),
                    record(0.2, prefill=100, decoding=2, timing_scope="a_newer_field"),
                    record(),
                )
                await heard(listener, 6)
                values, notes = await listener.read()
            finally:
                listener.close()
        assert notes == ()
        assert set(values) == {"0"}
        told = values["0"]
        assert told["told_steps"] == 4
        assert told["told_sequence_steps"] == 8
        assert told["told_prompt_tokens"] == 600
        assert told["told_prefill_s"] == pytest.approx(0.5)
        assert told["told_decode_s"] == pytest.approx(0.02)

    asyncio.run(go())


def test_each_rank_is_heard_at_its_own_port_and_counted_apart(free_ports: tuple[int, int]) -> None:
    first, second = (f"tcp://127.0.0.1:{port}" for port in free_ports)

    async def go() -> None:
        async with publishing(first, second) as (zero, one):
            listener = PassListener(first, ranks=2)
            try:
                await zero.subscribed()
                await one.subscribed()
                await zero.send(record(0.01, decoding=1))
                await one.send(record(0.02, decoding=5, rank=1), record(0.02, decoding=5, rank=1))
                await heard(listener, 3)
                values, _ = await listener.read()
            finally:
                listener.close()
        assert {rank: told["told_sequence_steps"] for rank, told in values.items()} == {"0": 1, "1": 10}

    asyncio.run(go())


@pytest.fixture
def free_ports() -> tuple[int, int]:
    """Two neighbouring ports that nobody holds now."""
    context = zmq.Context()
    try:
        for _ in range(50):
            low, high = context.socket(zmq.REP), context.socket(zmq.REP)
            low.setsockopt(zmq.LINGER, 0)
            port = low.bind_to_random_port("tcp://127.0.0.1", 20_000, 60_000)
            with contextlib.suppress(zmq.ZMQError):
                high.bind(f"tcp://127.0.0.1:{port + 1}")
                return port, port + 1
        raise AssertionError("no two neighbouring ports are free")
    finally:
        context.destroy(linger=0)


def test_what_is_no_record_is_counted_and_changes_nothing() -> None:
    async def go() -> None:
        async with publishing() as (publisher,):
            listener = PassListener(f"tcp://127.0.0.1:{publisher.port}")
            try:
                await publisher.subscribed()
                await publisher.send_raw(b"", b"12345678", b"\xc1")
                await publisher.send_raw(b"one frame")
                await publisher.send_raw(b"", b"1234567", msgpack.packb(record(1.0, decoding=1)))
                await publisher.send_raw(b"", b"12345678", b"\x91" * 5000 + b"\x01")
                await publisher.send_raw(b"", b"12345678", msgpack.packb(record(1.0, decoding=1, version=2)))
                await publisher.send(record(0.5, decoding=1))
                await heard(listener, 6)
                values, notes = await listener.read()
            finally:
                listener.close()
        assert values["0"]["told_steps"] == 1
        assert notes == (f"{listener.endpoint}: 5 messages were no forward-pass record of version 1",)

    asyncio.run(go())


def test_a_silent_publisher_leaves_no_figure_and_says_what_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listen, "FIRST_RECORD_S", 0.01)

    async def go() -> None:
        async with publishing() as (publisher,):
            listener = PassListener(f"tcp://127.0.0.1:{publisher.port}")
            try:
                values, (note,) = await listener.read()
            finally:
                listener.close()
        assert values == {}
        assert "no forward-pass record has come; start vLLM with --scheduler-cls dynamo.vllm" in note

    asyncio.run(go())


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listen, "find_spec", lambda module: None)
    with pytest.raises(SourceError, match=r"needs msgpack and pyzmq: pip install 'breakeven\[dynamo\]'") as raised:
        PassListener("tcp://127.0.0.1:20380")
    assert raised.value.kind is Kind.FORWARD_PASSES


def test_an_endpoint_that_cannot_be_connected_to_is_refused_by_name() -> None:
    async def go() -> None:
        with pytest.raises(SourceError, match=r"forward_pass_endpoint tcp://no host:1 cannot be used"):
            PassListener("tcp://no host:1")

    asyncio.run(go())


def test_ranks_publish_at_neighbouring_ports() -> None:
    assert endpoints_of_ranks("tcp://h:20380", 3) == ["tcp://h:20380", "tcp://h:20381", "tcp://h:20382"]


@pytest.mark.parametrize(
    ("endpoint", "fits"),
    [
        *(("tcp://h:20380", True), ("tcp://{host}:20380", True), ("tcp://[::1]:1", True), ("tcp://1.2.3.4:5", True)),
        *(("h:1", False), ("http://h:1", False), ("tcp://h", False), ("tcp://*:1", False), ("tcp://{port}:1", False)),
    ],
)
def test_endpoints_are_tcp_with_host_and_port(endpoint: str, fits: bool) -> None:
    assert (re.search(RECORDS_ENDPOINT, endpoint) is not None) is fits


VLLM_PAGE = (Path(__file__).parents[1] / "pages" / "vllm__0.32.0__busy.prom").read_text()


def settings_with(endpoint: str, target: str = "h:1", more: str = "") -> Settings:
    group = f"static_configs: [{{targets: [{target}]}}]{more}"
    return parse_settings(f"scrape_configs: [{{job_name: j, {group}, forward_pass_endpoint: '{endpoint}'}}]", "c.yaml")


def test_records_become_the_measured_seconds_of_a_vllm_replica() -> None:
    """The page tells no seconds; two records tell 0.3 s with prompts and 0.05 s without. The listener ends with its
    poll's task."""
    kept: list[Polled] = []

    class Kept:
        def put(self, _target: str, polled: list[Polled]) -> None:
            kept.extend(polled)

    async def poll(publisher: Publisher, url: str, session: ClientSession) -> None:
        settings = settings_with(f"tcp://{{host}}:{publisher.port}", f"'{url.split('/')[2]}'")
        (target,) = static_targets(settings)
        scraper = scraper_of(target, Fetcher(session), TlsContexts())
        await publisher.subscribed()
        await publisher.send(record(0.3, prefill=900, decoding=1), record(0.05, decoding=2))
        health = TargetHealth(url=url, job="j")
        await PollTarget(target, scraper, Kept(), health, SystemClock()).run()  # type: ignore[arg-type]

    async def go() -> None:
        app = MetricsApp(VLLM_PAGE)
        async with publishing() as (publisher,), running(app) as url, client_session() as session:
            await asyncio.create_task(poll(publisher, url, session))
            async with asyncio.timeout(20):
                assert await publisher.receive() == b"\x00"  # unsubscribed

    asyncio.run(go())
    (polled,) = kept
    seconds = polled.fields["prefill_s_total"], polled.fields["decode_s_total"]
    assert seconds == (pytest.approx(0.3), pytest.approx(0.05))
    assert polled.fields["generation_tokens_total"] is not None  # still the page's


def test_an_endpoint_of_one_server_is_refused_for_several() -> None:
    own = settings_with("tcp://{host}:20380", "'h:1', 'g:1'")
    assert own.scrape_configs[0].forward_pass_endpoint == "tcp://{host}:20380"
    for target, more in (("'h:1', 'g:1'", ""), ("'h:1'", ", file_sd_configs: [{files: [f.json]}]")):
        with pytest.raises(ConfigError, match=re.escape("write {host} for the host, or a job per server")):
            settings_with("tcp://one:20380", target, more)
    with pytest.raises(ConfigError, match="forward_pass_endpoint"):
        settings_with("http://one:20380")


def test_check_config_says_that_the_extra_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(
        "scrape_configs:\n- job_name: j\n  static_configs: [{targets: ['h:1']}]\n"
        "  forward_pass_endpoint: tcp://h:20380\n"
    )
    assert configured(file).scrape_configs[0].forward_pass_ranks == 1
    monkeypatch.setattr("collector.cli.configured.missing_packages", lambda: ("pyzmq",))
    with pytest.raises(ConfigError, match=r"c.yaml:4 .*pyzmq not installed; pip install 'breakeven\[dynamo\]'"):
        configured(file)
