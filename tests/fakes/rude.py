"""HTTP peers that misbehave, as asyncio servers on loopback: each handler answers one connection in its own bad way."""

from __future__ import annotations

import asyncio
import contextlib
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
PAGE = b"x 1\n"


@contextlib.asynccontextmanager
async def serving(handler: Handler, scheme: str = "http", **options: object) -> AsyncIterator[str]:
    """Runs a handler per connection; yields the URL of its metrics page."""
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await handler(reader, writer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, **options)  # type: ignore[arg-type]
    try:
        yield f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}/metrics"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


async def request(reader: asyncio.StreamReader) -> bytes:
    """The head of one request."""
    return await reader.readuntil(b"\r\n\r\n")


def answering(answer: bytes) -> Handler:
    """Sends these bytes and closes."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(answer)
        await writer.drain()

    return handler


def page(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    """A well-formed answer that closes the connection."""
    lines = (b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), b"Connection: close", *headers)
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def trickling(opening: bytes, byte: bytes) -> Handler:
    """Sends an opening and then one byte at a time, for ever: every single read succeeds, the answer never ends."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(opening)
        while True:
            writer.write(byte)
            await writer.drain()
            await asyncio.sleep(0.01)

    return handler


def endless(opening: bytes, block: bytes) -> Handler:
    """Sends an opening and then blocks as fast as they are taken."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(opening)
        while True:
            writer.write(block)
            await writer.drain()

    return handler


def stalling(opening: bytes) -> Handler:
    """Sends an opening and then nothing more."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(opening)
        await writer.drain()
        await asyncio.Event().wait()

    return handler


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Takes the request and says nothing."""
    await request(reader)
    await asyncio.Event().wait()


def stale_keep_alive(answers: int) -> Handler:
    """Promises to keep the connection, then breaks it off on the next request; `answers` per connection."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(answers):
            await request(reader)
            writer.write(HEAD + b"Content-Length: %d\r\nConnection: keep-alive\r\n\r\n" % len(PAGE) + PAGE)
            await writer.drain()
        await request(reader)

    return handler


def bomb(size_bytes: int) -> bytes:
    """A gzip body that inflates to this many zeros."""
    stream = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = bytes(1024 * 1024)
    pieces = [stream.compress(block) for _ in range(size_bytes // len(block))]
    return b"".join(pieces) + stream.flush()
