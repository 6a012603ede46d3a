"""Our port at its limit: which connection gives way to a newcomer, and which does not."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from collector.export.listen import Listener
from tests.fakes.own_port import BIG, BIG_REQUEST, OK, REQUEST, Client, played, with_tls
from tests.fakes.patience import until


@pytest.mark.fault(
    "5", "requests held open half-way", promise="where none is silent, the one answered longest ago gives way"
)
@pytest.mark.parametrize(("path", "status"), [(b"/-/healthy", OK), (b"/none", b"HTTP/1.1 404 Not Found")])
def test_clients_that_keep_asking_for_a_little_do_not_keep_a_newcomer_out(path: bytes, status: bytes) -> None:
    little = REQUEST.replace(b"/-/healthy", path)

    async def story(port: int, listener: Listener) -> None:
        asking = [await Client.connected(port) for _ in range(4)]
        for client in [*asking, asking[0]]:
            assert await client.ask(little) == status
        newcomer = await Client.connected(port)
        assert await newcomer.ask() == OK
        await asking.pop(1).ended()
        for client in [*asking, newcomer]:
            assert await client.ask() == OK
            client.close()
        assert listener.counts.refused == 1

    played(story, limit=4)


@pytest.mark.parametrize("tls", [False, True])
def test_an_answer_that_is_being_taken_does_not_give_way(tls: bool, tmp_path: Path) -> None:
    """Its request is the oldest, and every newcomer takes the place of one that has been answered."""
    config, context = with_tls(tmp_path) if tls else (None, None)

    async def story(port: int, listener: Listener) -> None:
        slow = await Client.connected(port, context)
        slow.writer.write(BIG_REQUEST)
        head = await slow.reader.readuntil(b"\r\n\r\n")
        slow.writer.transport.pause_reading()
        others = [await Client.connected(port, context) for _ in range(3)]
        for client in others:
            assert await client.ask() == OK
        newcomers = []
        for _ in range(4):
            newcomers.append(await Client.connected(port, context))
            assert await newcomers[-1].ask() == OK
        assert listener.counts.refused == 4
        slow.writer.transport.resume_reading()
        assert head.startswith(OK)
        assert len(await slow.reader.readexactly(len(BIG))) == len(BIG)
        for client in [slow, *others, *newcomers]:
            client.close()

    played(story, limit=4, config_file=config)


def test_a_request_does_not_give_way_from_its_arrival_to_its_answer() -> None:
    release = asyncio.Event()

    async def story(port: int, listener: Listener) -> None:
        clients = [await Client.connected(port) for _ in range(4)]
        for client in clients:
            assert await client.ask() == OK
        connections = list(listener._open.connections)
        assert all(one.is_answered for one in connections)
        for connection in connections:
            connection.data_received(REQUEST.replace(b"/-/healthy", b"/held"))  # no turn of the loop goes unseen so
        for _ in range(10):
            assert not any(one.is_answered for one in connections)
            await asyncio.sleep(0)
        refused = await Client.connected(port)
        assert await refused.ask() == b"HTTP/1.1 503 Service Unavailable"
        release.set()
        for client in clients:
            assert await client.ask(b"") == OK
        assert all(one.is_answered for one in connections)
        for client in [*clients, refused]:
            client.close()

    played(story, limit=4, release=release)


@pytest.mark.parametrize("unread", [b"\r\n\r\n", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"])
def test_bytes_that_ask_for_nothing_keep_no_place(unread: bytes) -> None:
    """Empty lines make no request, and for the body of one that is answered nobody waits."""

    async def story(port: int, listener: Listener) -> None:
        idle = [await Client.connected(port) for _ in range(4)]
        for client in idle:
            assert await client.ask() == OK
        connections = list(listener._open.connections)
        before_s = max(one.asked_s for one in connections)
        for client in idle:
            client.writer.write(unread)
        await until(lambda: all(one.asked_s > before_s for one in connections))
        newcomer = await Client.connected(port)
        assert await newcomer.ask() == OK
        for client in [*idle, newcomer]:
            client.close()

    played(story, limit=4)
