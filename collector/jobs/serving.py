"""Puts the exports on the network: address, TLS and passwords, limits, the endpoints that change something."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import ip_address
from pathlib import Path

from aiohttp import web

from collector.clock import Clock
from collector.errors import BreakevenError, ConfigError, Problem
from collector.export.access import Access
from collector.export.listen import Listener, bound_sockets
from collector.export.snapshot import State
from collector.export.web import make_app
from collector.jobs.descriptors import Budget
from collector.logs import event
from collector.settings.model import Settings, Web

_log = logging.getLogger("breakeven.web")
Reload = Callable[[], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class WebFlags:
    """What the command line alone may say of our HTTP side."""

    enable_lifecycle: bool = False
    """Whether POST /-/reload is answered."""


class Serving:
    """Our HTTP side, from its start to its end."""

    def __init__(self, settings: Settings, state: State, clock: Clock, flags: WebFlags, reload: Reload) -> None:
        """Raises ConfigError when web-config.yml cannot be used."""
        self._web = settings.web
        self._state = state
        self._access = Access(settings.web.config_file)
        app = make_app(state, clock, settings.global_.evaluation_interval, guards=(self._access.middleware,))
        for method in ("POST", "PUT"):
            app.router.add_route(method, "/-/reload", _reload(flags, reload))
        # The listener's deadlines are shorter: aiohttp's only has to be longer than they are.
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0, keepalive_timeout=3600.0)
        self._listener: Listener | None = None

    async def start(self, budget: Budget) -> None:
        """Listen. Raises BreakevenError when the address cannot be had."""
        host, port = address_of(self._web)
        await self._runner.setup()
        server = self._runner.server
        assert server is not None
        limit = min(self._web.max_connections, budget.clients)
        listener = Listener(server, self._access.tls, limit=limit, counts=self._state.connections)
        try:
            real = await listener.start(host, port)
        except OSError as error:
            await self._runner.cleanup()
            raise _cannot_listen(host, port, error) from None
        self._listener = listener
        scheme = "http" if self._access.tls() is None else "https"
        base = f"{scheme}://{f'[{host}]' if ':' in host else host}:{real}"
        self._state.urls = (f"{base}/", f"{base}/metrics", f"{base}/api/v1/report")
        if self._access.open_to_all and not is_loopback(host):
            remedy = "listen on 127.0.0.1, or name a web.config_file with basic_auth_users"
            event(_log, logging.WARNING, "anyone who reaches this address is answered", about=base, remedy=remedy)

    async def close(self) -> None:
        """Accept no more and let answers under way end, for a second at most."""
        if self._listener is not None:
            await self._listener.close()
        await self._runner.cleanup()
        self._access.close()


def _reload(flags: WebFlags, reload: Reload) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(_: web.Request) -> web.StreamResponse:
        if not flags.enable_lifecycle:
            text = "Reloading over HTTP is off: start with --web.enable-lifecycle, or send SIGHUP.\n"
            return web.Response(status=HTTPStatus.FORBIDDEN, text=text)
        if await reload():
            return web.Response(text="The configuration was read again.\n")
        text = "The configuration was not taken, nothing has changed: the log says why.\n"
        return web.Response(status=HTTPStatus.INTERNAL_SERVER_ERROR, text=text)

    return handle


def address_of(settings: Web) -> tuple[str, int]:
    """Host, without brackets, and port."""
    host, _, port = settings.listen_address.rpartition(":")
    return host.strip("[]"), int(port)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a host."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def refuse_taken_address(settings: Settings) -> None:
    """Raises BreakevenError when the listen address cannot be had, and ConfigError when web-config.yml cannot be used.

    Asked before long work is done for nothing.
    """
    Access(settings.web.config_file).close()
    host, port = address_of(settings.web)
    try:
        sockets = await bound_sockets(host, port)
    except OSError as error:
        raise _cannot_listen(host, port, error) from None
    for one in sockets:
        one.close()


def _cannot_listen(host: str, port: int, error: OSError) -> BreakevenError:
    return BreakevenError(f"cannot listen on {host}:{port}: {error.strerror}; choose another web.listen_address")


def with_web_flags(settings: Settings, address: str | None, config_file: Path | None) -> Settings:
    """The settings with what the command line says of our HTTP side. Raises ConfigError."""
    stated: dict[str, object] = {}
    if address is not None:
        try:
            stated["listen_address"] = Web.model_validate({"listen_address": address}).listen_address
        except ValueError:
            what, remedy = f"{address!r} is no address", "write host:port, such as 127.0.0.1:9877"
            raise ConfigError([Problem("--web.listen-address", what, remedy)]) from None
    if config_file is not None:
        Access(config_file).close()
        stated["config_file"] = config_file
    return settings.model_copy(update={"web": settings.web.model_copy(update=stated)})
