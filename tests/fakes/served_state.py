"""Our HTTP side over a made-up state, served from a thread of its own: a browser asks it as it asks the daemon."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from collector.clock import Clock
from collector.export.snapshot import State
from collector.export.web import make_app


@contextmanager
def served(state: State, clock: Clock) -> Iterator[str]:
    """The address, without a slash at its end."""
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    started = threading.Event()
    found: list[int] = []

    async def main() -> None:
        runner = web.AppRunner(make_app(state, clock, 60.0), access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        found.append(runner.addresses[0][1])
        started.set()
        await stop.wait()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: loop.run_until_complete(main()), name="served")
    thread.start()
    try:
        assert started.wait(30), "the application did not start"
        yield f"http://127.0.0.1:{found[0]}"
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)
        loop.close()
