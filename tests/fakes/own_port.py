"""Our HTTP side on a free port of loopback, as the daemon puts it on the network, for clients of every kind."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from aiohttp import web

from collector.export.access import Access
from collector.export.connection import Deadlines
from collector.export.listen import Listener
from collector.export.snapshot import State
from collector.export.web import make_app
from collector.health import DaemonHealth
from tests.fakes.hand_clock import HandClock
from tests.fakes.tools import require

REQUEST = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n"
BIG_REQUEST = REQUEST.replace(b"/-/healthy", b"/big")
OK = b"HTTP/1.1 200 OK"
BIG = "x" * (8 << 20)
"""An answer larger than what sockets hold: it stays where its client takes nothing."""


@contextlib.asynccontextmanager
async def own_port(
    limit: int = 100,
    deadlines: Deadlines | None = None,
    config_file: Path | None = None,
    release: asyncio.Event | None = None,
) -> AsyncIterator[tuple[int, Listener]]:
    """The port and its listener. Beside our own endpoints `/big` answers 8 MiB, and `/held` once `release` is set."""
    clock = HandClock()
    state = State(version="1", health=DaemonHealth(started_s=clock.wall_s()), ready=True)
    access = Access(config_file)
    app = make_app(state, clock, 60.0, guards=(access.middleware,))

    async def big(_: web.Request) -> web.Response:
        return web.Response(text=BIG)

    async def held(_: web.Request) -> web.Response:
        if release is not None:
            await release.wait()
        return web.Response(text="held\n")

    app.router.add_get("/big", big)
    app.router.add_get("/held", held)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0, keepalive_timeout=3600.0)
    await runner.setup()
    assert runner.server is not None
    listener = Listener(runner.server, access.tls, limit=limit, deadlines=deadlines)
    port = await listener.start("127.0.0.1", 0)
    try:
        yield port, listener
    finally:
        await listener.close()
        await runner.cleanup()
        access.close()


def played(story: Callable[[int, Listener], Awaitable[None]], **options: object) -> None:
    """Run a story of clients against the port, made with these options of `own_port`."""

    async def go() -> None:
        async with asyncio.timeout(60), own_port(**options) as (port, listener):  # type: ignore[arg-type]
            await story(port, listener)

    asyncio.run(go())


class Client:
    """A raw connection, which sends what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connected(cls, port: int, context: ssl.SSLContext | None = None) -> Client:
        return cls(*await asyncio.open_connection("127.0.0.1", port, ssl=context, limit=1 << 24))

    async def ask(self, request: bytes = REQUEST) -> bytes:
        """The status line of the answer; the rest is read and dropped."""
        self.writer.write(request)
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await self.reader.readexactly(length)
        return head.partition(b"\r\n")[0]

    async def ended(self) -> None:
        """Wait until the other side ends it."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(1 << 20):
                pass
        self.close()

    def close(self) -> None:
        self.writer.transport.abort()


def certificate(folder: Path, name: str = "server", *options: str, subject: str = "localhost") -> tuple[Path, Path]:
    """A self-signed certificate for `subject` and its key; `options` go to `openssl req -x509`."""
    openssl = require("openssl", "openssl")
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-subj", f"/CN={subject}", "-addext", f"subjectAltName=DNS:{subject},IP:127.0.0.1"]
    command += ["-keyout", str(key), "-out", str(cert), *(options or ("-days", "2"))]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return cert, key


def with_tls(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A web-config.yml with a certificate of its own, and the context of a client that trusts it."""
    cert, key = certificate(folder)
    config = folder / "web-config.yml"
    config.write_text(f"tls_server_config: {{cert_file: {cert.name}, key_file: {key.name}}}\n")
    return config, ssl.create_default_context(cafile=str(cert))
