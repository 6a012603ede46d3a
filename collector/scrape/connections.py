"""Kept-alive HTTP/1.1 connections: one GET at a time on each, none to a link-local or other forbidden address.

A client of our own since a poll's cost is mostly its client's: aiohttp's takes about five times as much for a page.
"""

from __future__ import annotations

import asyncio
import socket
import ssl as tls
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from aiohappyeyeballs import start_connection

from collector.scrape.addresses import Addresses, ConnectError, Network
from collector.scrape.answer import Answer
from collector.scrape.deadlines import Deadlines

KEEPALIVE_S = 75.0
_SECOND_ADDRESS_S = 0.25
"""RFC 8305's recommended delay before a name's next address is tried beside the first."""
_READ_BYTES = 256 * 1024


class Origin(NamedTuple):
    """Where a connection leads, and what has to be true of it. `context` None: no TLS."""

    host: str
    port: int
    context: tls.SSLContext | None
    server_name: str | None


class BrokenOffError(OSError):
    """The peer closed the connection; `started` whether anything of its answer had come."""

    def __init__(self, started: bool) -> None:
        super().__init__("the connection was broken off")
        self.started = started


class _Connection(asyncio.BufferedProtocol):
    """One connection. All connections of a loop read into one buffer: an answer takes out of it what it keeps."""

    __slots__ = ("_answer", "_buffer", "_deadlines", "_idle", "_transport", "_waiter", "idle_since_s", "origin")

    def __init__(
        self, origin: Origin, deadlines: Deadlines, buffer: memoryview, idle: dict[Origin, list[_Connection]]
    ) -> None:
        self.origin = origin
        self._deadlines = deadlines
        self._buffer = buffer
        self._idle = idle
        self._transport: asyncio.Transport | None = None
        self._answer: Answer | None = None
        self._waiter: asyncio.Future[None] | None = None
        self.idle_since_s = 0.0

    async def ask(self, request: bytes, answer: Answer, until_s: float) -> None:
        """Sends a request and waits for the whole answer.

        Raises what `answer` raises, BrokenOffError, and TimeoutError at `until_s` on the loop's clock.
        """
        assert self._transport is not None
        if self._transport.is_closing():
            raise BrokenOffError(started=False)
        self._answer = answer
        self._waiter = asyncio.get_running_loop().create_future()
        self._deadlines.watch(self._waiter, until_s)
        self._transport.write(request)
        try:
            await self._waiter
        finally:
            self._answer = self._waiter = None

    def abort(self) -> None:
        """Ends it at once; what is left unread is not drained."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        answer = self._answer
        if answer is None:  # nobody asked for this
            self.abort()
            return
        try:
            answer.feed(self._buffer[:nbytes])
        except Exception as error:  # noqa: BLE001 - handed to whoever asked
            self._tell(error)
            self.abort()
            return
        if answer.complete:
            self._tell(None)

    def eof_received(self) -> None:
        """The transport closes itself after this."""

    def connection_lost(self, exc: Exception | None) -> None:
        answer = self._answer
        if answer is not None:
            self._tell(None if exc is None and answer.ended() else BrokenOffError(answer.started))
            return
        waiting = self._idle.get(self.origin)
        if waiting is not None and self in waiting:
            waiting.remove(self)

    def _tell(self, error: Exception | None) -> None:
        self._answer = None
        waiter = self._waiter
        if waiter is None or waiter.done():
            return
        if error is None:
            waiter.set_result(None)
        else:
            waiter.set_exception(error)


class Connections:
    """All connections of the daemon's polls; close it after use. Made inside the event loop that uses it."""

    def __init__(self, at_once: int, allowed: Sequence[Network] = ()) -> None:
        """`at_once` is how many requests may be under way; `allowed` the networks they may go to (none: any)."""
        self._loop = asyncio.get_running_loop()
        self._slots = asyncio.Semaphore(at_once)
        self._deadlines = Deadlines(self._loop)
        self._addresses = Addresses(self._loop, allowed)
        self._buffer = memoryview(bytearray(_READ_BYTES))
        self._idle: dict[Origin, list[_Connection]] = {}
        self._sweep: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Connections:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends every kept connection."""
        if self._sweep is not None:
            self._sweep.cancel()
        for waiting in self._idle.values():
            for connection in list(waiting):
                connection.abort()
        self._idle.clear()
        self._addresses.close()
        await asyncio.sleep(0)  # so that their transports are gone when the loop is

    async def get(self, origin: Origin, request: bytes, limit_bytes: int, until_s: float) -> Answer:
        """The whole answer to a GET, or the head of one that is no 200, by an instant on the loop's clock.

        A connection that ends before anything came is replaced once: a kept one may have been closed meanwhile.
        Raises OSError (the classes above, TimeoutError, and what TLS raises), NotHttpError, and SourceError beyond the
        limits.
        """
        asked = request, limit_bytes, until_s
        kept = None if self._slots.locked() else self._kept(origin)
        if kept is not None:
            # Nearly always, and then nothing but the answer is waited for: no timer of its own is needed.
            async with self._slots:
                answer = await self._unless_closed(kept, *asked)
            if answer is not None:
                return answer
        async with asyncio.timeout_at(until_s), self._slots:
            if kept is None:
                connection = self._kept(origin) or await self._connect(origin)
                answer = await self._unless_closed(connection, *asked)
                if answer is not None:
                    return answer
            return await self._by(await self._connect(origin), *asked)

    async def _unless_closed(
        self, connection: _Connection, request: bytes, limit_bytes: int, until_s: float
    ) -> Answer | None:
        """The answer; None where the connection ended before anything of it came."""
        try:
            return await self._by(connection, request, limit_bytes, until_s)
        except BrokenOffError as error:
            if error.started:
                raise
            return None

    async def _by(self, connection: _Connection, request: bytes, limit_bytes: int, until_s: float) -> Answer:
        answer = Answer(limit_bytes)
        try:
            await connection.ask(request, answer, until_s)
        except BaseException:
            connection.abort()
            raise
        if answer.reusable:
            self._keep(connection)
        else:
            connection.abort()
        return answer

    def _kept(self, origin: Origin) -> _Connection | None:
        waiting = self._idle.get(origin)
        return waiting.pop() if waiting else None

    def _keep(self, connection: _Connection) -> None:
        connection.idle_since_s = self._loop.time()
        waiting = self._idle.get(connection.origin)
        if waiting is None:
            waiting = self._idle[connection.origin] = []
        waiting.append(connection)
        if self._sweep is None:
            self._sweep = self._loop.call_later(KEEPALIVE_S, self._drop_old)

    def _drop_old(self) -> None:
        """Ends what was not used for a while, and forgets origins and addresses that nobody asks for."""
        self._sweep = None
        now_s = self._loop.time()
        for origin, waiting in list(self._idle.items()):
            while waiting and now_s - waiting[0].idle_since_s >= KEEPALIVE_S:
                waiting.pop(0).abort()
            if not waiting:
                del self._idle[origin]
        self._addresses.forget_old()
        if self._idle:
            self._sweep = self._loop.call_later(KEEPALIVE_S / 4, self._drop_old)

    async def knock(self, host: str, port: int) -> None:
        """Connects, and asks nothing. Raises OSError as `get` does."""
        (await self._connected(host, port)).close()

    async def _connected(self, host: str, port: int) -> socket.socket:
        addresses = await self._addresses.of(host, port)
        try:
            return await start_connection(addresses, happy_eyeballs_delay=_SECOND_ADDRESS_S, loop=self._loop)
        except OSError as error:
            raise ConnectError(error) from None

    async def _connect(self, origin: Origin) -> _Connection:
        connected = await self._connected(origin.host, origin.port)
        try:
            _, connection = await self._loop.create_connection(
                lambda: _Connection(origin, self._deadlines, self._buffer, self._idle),
                sock=connected,
                ssl=origin.context,
                server_hostname=None if origin.context is None else origin.server_name or origin.host,
            )
        except BaseException:
            connected.close()
            raise
        return connection


@cache
def verifying() -> tls.SSLContext:
    """TLS that checks the peer against the system's authorities. Loading those takes a while: it is done once."""
    return tls.create_default_context()


@cache
def trusting() -> tls.SSLContext:
    """TLS that believes every peer."""
    context = tls.create_default_context()
    context.check_hostname = False
    context.verify_mode = tls.CERT_NONE
    return context
