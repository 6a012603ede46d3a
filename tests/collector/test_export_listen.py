"""Our port: slow, silent and too many clients are ended, and whoever asks properly is answered meanwhile."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest

from collector.export.connection import Deadlines
from collector.export.listen import Listener, bound_sockets
from tests.fakes.own_port import BIG_REQUEST, OK, REQUEST, Client, played, with_tls
from tests.fakes.patience import until

QUICK = Deadlines(head_s=0.2, answer_s=0.2, idle_s=0.2)
TAKEN_SOON = Deadlines(head_s=600, answer_s=0.2, idle_s=600)


@pytest.mark.fault(
    "5", "requests held open half-way", promise="the head of a request has a deadline, whatever trickles in"
)
@pytest.mark.parametrize("opening", [b"", b"GET /met", REQUEST + b"GET /met"])
def test_half_a_request_is_ended_at_its_deadline(opening: bytes) -> None:
    async def story(port: int, _: Listener) -> None:
        client = await Client.connected(port)
        client.writer.write(opening)
        await client.ended()

    played(story, deadlines=QUICK)


def test_a_head_that_trickles_is_ended_at_its_deadline() -> None:
    """Each byte comes in time, the head does not."""

    async def story(port: int, _: Listener) -> None:
        client = await Client.connected(port)

        async def trickle() -> None:
            while True:
                client.writer.write(b"x")
                await client.writer.drain()
                await asyncio.sleep(0.02)

        trickling = asyncio.create_task(trickle())
        await client.ended()
        trickling.cancel()
        await asyncio.gather(trickling, return_exceptions=True)

    played(story, deadlines=QUICK)


@pytest.mark.fault("5", "requests held open half-way", promise="so has the taking of an answer")
@pytest.mark.parametrize("tls", [False, True])
def test_an_answer_that_nobody_takes_is_ended_at_its_deadline(tls: bool, tmp_path: Path) -> None:
    config, context = with_tls(tmp_path) if tls else (None, None)

    async def story(port: int, listener: Listener) -> None:
        client = await Client.connected(port, context)
        client.writer.write(BIG_REQUEST)
        client.writer.transport.pause_reading()
        await until(lambda: listener.counts.open == 1)
        await until(lambda: listener.counts.open == 0)
        client.close()

    played(story, deadlines=TAKEN_SOON, config_file=config)


def test_asking_again_gives_no_more_time_to_take_an_answer() -> None:
    async def story(port: int, listener: Listener) -> None:
        client = await Client.connected(port)
        client.writer.write(BIG_REQUEST)
        client.writer.transport.pause_reading()
        await until(lambda: any(not one._is_sent for one in listener._open.connections))
        (connection,) = listener._open.connections
        deadline, asked_s = connection._timer, connection.asked_s
        client.writer.write(REQUEST)
        await until(lambda: connection.asked_s > asked_s)
        assert connection._timer is deadline
        client.close()

    played(story)


def test_a_connection_that_asks_again_in_time_is_kept() -> None:
    async def story(port: int, listener: Listener) -> None:
        client = await Client.connected(port)
        for _ in range(3):
            assert await client.ask() == OK
        assert listener.counts.open == 1
        await client.ended()

    played(story, deadlines=Deadlines(head_s=20, answer_s=0.1, idle_s=0.1))


@pytest.mark.fault(
    "5", "requests held open half-way", promise="beyond web.max_connections the longest silent one gives way"
)
def test_three_hundred_half_requests_do_not_keep_a_scrape_out() -> None:
    async def story(port: int, listener: Listener) -> None:
        silent = [await Client.connected(port) for _ in range(300)]
        for client in silent:
            client.writer.write(b"GET / HTTP/1.1\r\n")
        proper = await Client.connected(port)
        assert await proper.ask() == OK
        assert listener.counts.open <= 20
        assert listener.counts.refused >= 281
        for client in [*silent, proper]:
            client.close()

    played(story, limit=20)


@pytest.mark.fault("5", "file descriptors run out", promise="a burst of clients takes no more for a moment either")
def test_a_hundred_clients_at_once_never_hold_more_descriptors_than_the_limit_and_a_few() -> None:
    """The one that gives way is closed within three turns of the loop, so that at most three are open too many."""

    async def story(port: int, listener: Listener) -> None:
        before = open_descriptors()
        clients = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(100)]
        most = 0
        accepted = 0
        while listener.counts.refused < 100 - 8:
            await asyncio.sleep(0)
            most = max(most, open_descriptors() - len(clients) - before)
            accepted = max(accepted, listener.counts.open)
        for client in clients:
            client.close()
        assert accepted == 8
        assert most <= 8 + 3

    played(story, limit=8)


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_where_every_connection_is_at_work_a_further_one_is_told_503() -> None:
    async def story(port: int, listener: Listener) -> None:
        at_work = [await Client.connected(port) for _ in range(4)]
        for client in at_work:
            client.writer.write(BIG_REQUEST)
            await client.reader.readexactly(1)
            client.writer.transport.pause_reading()
        refused = await Client.connected(port)
        assert await refused.ask() == b"HTTP/1.1 503 Service Unavailable"
        await refused.ended()
        assert listener.counts.refused == 1
        for client in [*at_work, refused]:
            client.close()

    played(story, limit=4)


@pytest.mark.fault(
    "5", "one silent connection to the TLS port", promise="each connection has its own handshake, with a deadline"
)
def test_silent_connections_to_the_tls_port_stop_nobody_and_are_ended(tmp_path: Path) -> None:
    config, context = with_tls(tmp_path)

    async def story(port: int, listener: Listener) -> None:
        silent = [await Client.connected(port) for _ in range(50)]
        proper = await Client.connected(port, context)
        assert await proper.ask() == OK
        proper.close()
        for client in silent:
            await client.ended()
        await until(lambda: listener.counts.open == 0)

    played(story, config_file=config, deadlines=Deadlines(head_s=1.0))


def test_silent_tls_connections_beyond_the_limit_give_way(tmp_path: Path) -> None:
    config, context = with_tls(tmp_path)

    async def story(port: int, listener: Listener) -> None:
        silent = [await Client.connected(port) for _ in range(30)]
        proper = await Client.connected(port, context)
        assert await proper.ask() == OK
        assert listener.counts.open <= 5
        for client in [*silent, proper]:
            client.close()

    played(story, config_file=config, limit=5)


def test_every_address_of_a_name_is_listened_on() -> None:
    async def go() -> None:
        sockets = await bound_sockets("", 0)
        try:
            assert len({one.getsockname()[1] for one in sockets}) == 1
            assert socket.AF_INET in {one.family for one in sockets}
        finally:
            for one in sockets:
                one.close()

    asyncio.run(go())
