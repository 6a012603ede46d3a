"""Simulated servers over HTTP on loopback, in virtual time that follows an injected clock.

Each answers as its dialect's `Site` says. Apart from those paths: `/sim/truth` and `/sim/gpus`, JSON of what no server
tells.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from ipaddress import ip_address

from aiohttp import web

from collector.clock import Clock
from collector.errors import BreakevenError
from collector.simulator.scenarios import SimulatedReplica
from collector.simulator.site import Route

SLICE_EVENTS = 250
"""Events simulated without giving way to other tasks: some 5 ms."""
CALL_SLICES = 400
"""Slices per request: a server that lags further behind serves what it has reached, and goes on next time."""


class _Site:
    """One simulated server's routes, and its way of keeping up with the clock."""

    def __init__(self, replica: SimulatedReplica, clock: Clock, speed: float) -> None:
        self._replica = replica
        self._clock = clock
        self._speed = speed
        self._from_s = clock.monotonic_s()
        self._from_virtual_s = replica.server.at_s
        self._advancing = asyncio.Lock()

    async def _catch_up(self) -> None:
        async with self._advancing:
            server = self._replica.server
            elapsed_s = self._clock.monotonic_s() - self._from_s
            until_s = max(server.at_s, self._from_virtual_s + self._speed * elapsed_s)
            for _ in range(CALL_SLICES):
                if server.advance(until_s, SLICE_EVENTS) >= until_s:
                    return
                await asyncio.sleep(0)

    def application(self) -> web.Application:
        """The routes."""
        app = web.Application()
        app.add_routes([web.get(path, self._handler(route)) for path, route in self._replica.site.routes.items()])
        app.add_routes([web.get("/sim/truth", self._truth), web.get("/sim/gpus", self._gpus)])
        return app

    def _handler(self, route: Route) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            await self._catch_up()
            names = request.query.getall("name[]", [])
            answer = route(frozenset(names) if names else None)
            response = web.Response(body=answer.body, headers={"Content-Type": answer.content_type, **answer.headers})
            if answer.compressible:
                response.enable_compression()
            return response

        return handle

    async def _truth(self, request: web.Request) -> web.Response:
        await self._catch_up()
        return web.json_response(asdict(self._replica.server.truth()))

    async def _gpus(self, request: web.Request) -> web.Response:
        try:
            interval_s = float(request.query.get("interval_s", "1"))
        except ValueError:
            raise web.HTTPBadRequest(text="interval_s must be a number of seconds") from None
        await self._catch_up()
        return web.json_response(self._replica.gpus.read(interval_s))


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


class ServedFleet:
    """A fleet that is being served. `urls` are the servers' base URLs in the fleet's order."""

    def __init__(self, urls: Sequence[str], runners: Sequence[web.AppRunner]) -> None:
        self.urls = tuple(urls)
        self._runners = tuple(runners)

    async def close(self) -> None:
        """Stops serving; may be called again."""
        for runner in self._runners:
            await runner.cleanup()


async def serve(
    fleet: Sequence[SimulatedReplica], clock: Clock, host: str, ports: Sequence[int], speed: float = 1.0
) -> ServedFleet:
    """Serves each replica on its own port (0 = any free one), `speed` virtual seconds per second, from now on.

    Raises BreakevenError for an address that is not loopback or cannot be listened on, ValueError for a number of
    ports that is not the number of replicas or a speed that is not positive.
    """
    if len(ports) != len(fleet) or speed <= 0:
        raise ValueError("a fleet needs one port per replica and a positive speed")
    if not _is_loopback(host):
        raise BreakevenError(f"simulated servers listen on loopback only, not on {host}")
    urls: list[str] = []
    runners: list[web.AppRunner] = []
    for replica, port in zip(fleet, ports, strict=True):
        runner = web.AppRunner(_Site(replica, clock, speed).application(), access_log=None, shutdown_timeout=1.0)
        runners.append(runner)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            await ServedFleet(urls, runners).close()
            reason = error.strerror or str(error)
            raise BreakevenError(f"cannot listen on {host}:{port}: {reason}; choose another port") from error
        urls.append(f"http://{f'[{host}]' if ':' in host else host}:{runner.addresses[0][1]}")
    return ServedFleet(urls, runners)
