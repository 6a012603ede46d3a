"""Our listening sockets: every connection has deadlines, their number is bounded, and a silent one stops no other.

Own acceptance of connections, since asyncio's server counts none that is still in its TLS handshake.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

from collector.export.connection import Connection, Deadlines, Phase
from collector.logs import event

_BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 21\r\n"
    b"Retry-After: 5\r\nConnection: close\r\n\r\ntoo many connections\n"
)
_REFUSALS = 16
"""Refused clients that are told so at the same time; further ones are only cut off."""
_REFUSAL_S = 1.0
_NO_DESCRIPTOR = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_ACCEPT_AGAIN_S = 1.0
"""Wait after the machine refused a descriptor."""
_log = logging.getLogger("breakeven.web")


@dataclass(slots=True)
class Counts:
    """What became of the connections so far, and how many are open."""

    open: int = 0
    refused: int = 0
    """Turned away or ended since there were too many."""
    accept_failures: int = 0
    """Times that the machine gave no descriptor."""


@dataclass(slots=True, eq=False)
class _Handshake:
    """A connection before its protocol is there: during the TLS handshake."""

    accepted: socket.socket
    task: asyncio.Task[None] | None = None
    begun: bool = False

    def ended(self, _: asyncio.Task[None]) -> None:
        """A task that was cancelled before its first step left the socket to nobody."""
        if not self.begun:
            self.accepted.close()


@dataclass(slots=True)
class _Open:
    """What is open, oldest first."""

    handshakes: dict[_Handshake, None] = field(default_factory=dict)
    connections: dict[Connection, None] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.handshakes) + len(self.connections)

    def giving_way(self) -> Connection | None:
        """The oldest connection that waits for a request; where there is none, the one answered longest ago."""
        for phase in (Phase.REQUEST, Phase.NOTHING):
            for connection in self.connections:
                if connection.phase is phase:
                    return connection
        answered = (one for one in self.connections if one.is_answered)
        return min(answered, key=lambda one: one.asked_s, default=None)


class Listener:
    """Accepts connections for an HTTP server until it is closed."""

    def __init__(
        self,
        server: Callable[[], asyncio.Protocol],
        tls: Callable[[], ssl.SSLContext | None],
        *,
        limit: int,
        counts: Counts | None = None,
        deadlines: Deadlines | None = None,
    ) -> None:
        """`server` makes the protocol of one connection; `tls` is asked at each, so that a certificate can change."""
        self._server = server
        self._tls = tls
        self._limit = limit
        self._deadlines = Deadlines() if deadlines is None else deadlines
        self._open = _Open()
        self._accepting: list[asyncio.Task[None]] = []
        self._refusals: set[asyncio.Task[None]] = set()
        self.counts = Counts() if counts is None else counts

    async def start(self, host: str, port: int) -> int:
        """Listen on every address of `host`; the port, for where 0 was asked for. Raises OSError."""
        sockets = await bound_sockets(host, port)
        self._accepting = [asyncio.create_task(self._accept(one)) for one in sockets]
        return int(sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Accept no more, and end what is only waiting; answers under way are the server's to end."""
        waiting = [one.task for one in self._open.handshakes if one.task is not None]
        tasks = [*self._accepting, *self._refusals, *waiting]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for connection in list(self._open.connections):
            if connection.can_give_way:
                connection.end()

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with listening:
            while True:
                try:
                    accepted, _ = await loop.sock_accept(listening)
                except OSError as error:
                    if error.errno in _NO_DESCRIPTOR:
                        self.counts.accept_failures += 1
                        event(_log, logging.WARNING, "a connection could not be accepted", about="accept", error=error)
                        await asyncio.sleep(_ACCEPT_AGAIN_S)
                    continue
                self._take(accepted)
                # What gives way is closed in a later turn: a burst accepted in one turn would take every descriptor.
                await asyncio.sleep(0)

    def _take(self, accepted: socket.socket) -> None:
        context = self._tls()
        if len(self._open) >= self._limit and not self._make_room():
            self._refuse(accepted, context is None)
            return
        handshake = _Handshake(accepted)
        self._open.handshakes[handshake] = None
        self._count()
        handshake.task = asyncio.create_task(self._begin(context, handshake))
        handshake.task.add_done_callback(handshake.ended)

    async def _begin(self, context: ssl.SSLContext | None, handshake: _Handshake) -> None:
        handshake.begun, accepted = True, handshake.accepted
        timeout_s = None if context is None else self._deadlines.head_s
        connection = Connection(self._server(), self._deadlines, self._lost)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection, accepted, ssl=context, ssl_handshake_timeout=timeout_s
            )
        except (OSError, ssl.SSLError, TimeoutError):
            accepted.close()  # the client's mistake or silence
        else:
            if not connection.is_lost:
                self._open.connections[connection] = None
        finally:
            self._open.handshakes.pop(handshake, None)
            self._count()

    def _make_room(self) -> bool:
        """End a connection that costs nobody an answer; whether there was one.

        So a thousand silent connections cost the one that asks nothing, as do those that ask for a little now and then.
        """
        self.counts.refused += 1
        for handshake in self._open.handshakes:
            if handshake.task is not None and handshake.task.cancel():
                del self._open.handshakes[handshake]
                return True
        connection = self._open.giving_way()
        if connection is None:
            return False
        connection.end()
        del self._open.connections[connection]
        return True

    def _refuse(self, accepted: socket.socket, in_the_clear: bool) -> None:
        event(_log, logging.WARNING, "too many connections", about="connections", limit=self._limit)
        if not in_the_clear or len(self._refusals) >= _REFUSALS:
            accepted.close()
            return
        task = asyncio.create_task(_tell_busy(accepted))
        self._refusals.add(task)
        task.add_done_callback(self._refusals.discard)

    def _lost(self, connection: Connection) -> None:
        self._open.connections.pop(connection, None)
        self._count()

    def _count(self) -> None:
        self.counts.open = len(self._open)


async def _tell_busy(accepted: socket.socket) -> None:
    """Say 503, and read what the client has sent: closing over unread bytes would take the answer back."""
    loop = asyncio.get_running_loop()
    with accepted, contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(_REFUSAL_S):
            await loop.sock_sendall(accepted, _BUSY)
            accepted.shutdown(socket.SHUT_WR)
            while await loop.sock_recv(accepted, 4096):
                pass


async def bound_sockets(host: str, port: int) -> list[socket.socket]:
    """A listening socket for each address of `host` ("" for all). Raises OSError, with none left open."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            one = socket.socket(family, kind, protocol)
            sockets.append(one)
            one.setblocking(False)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            chosen = sockets[0].getsockname()[1] if len(sockets) > 1 else port
            one.bind((address[0], chosen, *address[2:]))
            one.listen(128)
    except BaseException:
        for one in sockets:
            one.close()
        raise
    return sockets
