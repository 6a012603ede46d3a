"""Our HTTP side: /metrics, health, the JSON and the pages that show the verdict without Grafana.

Every answer is made from memory: no request ever waits for a poll, a database or a driver. What takes long to write
is written in a thread of its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor

from aiohttp import web
from aiohttp.typedefs import Middleware

from collector.clock import Clock
from collector.export.answers import answer
from collector.export.api import Api
from collector.export.assets import Asset, assets
from collector.export.connection import Connection
from collector.export.metrics_page import MetricsPage
from collector.export.snapshot import State

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def make_app(
    state: State, clock: Clock, evaluation_interval_s: float, guards: Sequence[Middleware] = ()
) -> web.Application:
    """The application over one state. A report older than some evaluation intervals is not shown as today's.

    A request passes the `guards` before it is answered.
    """
    app = web.Application(middlewares=[_at_work, _with_headers, *guards])
    executor = ThreadPoolExecutor(1, thread_name_prefix="export")

    async def end(_: web.Application) -> None:
        executor.shutdown(wait=False, cancel_futures=True)

    app.on_cleanup.append(end)
    app.router.add_get("/metrics", _metrics(MetricsPage(state, clock, evaluation_interval_s, executor), executor))
    app.router.add_get("/-/healthy", _healthy)
    app.router.add_get("/-/ready", _ready(state))
    api = Api(state, clock, evaluation_interval_s, executor)
    for path, handler in api.routes().items():
        app.router.add_get(path, handler)
    for asset in assets():
        app.router.add_get(asset.path, _asset(asset, executor))
    return app


@web.middleware
async def _at_work(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Tells the request's connection that it is being answered, guards included."""
    connection = None if request.transport is None else request.transport.get_protocol()
    if not isinstance(connection, Connection):  # served by aiohttp's own listener
        return await handler(request)
    with connection.handling():
        return await handler(request)


@web.middleware
async def _with_headers(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        response = await handler(request)
    except web.HTTPException as error:
        error.headers.update(HEADERS)
        raise
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def _metrics(page: MetricsPage, executor: Executor) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        parts, content_type = await page.parts(request.headers.get("Accept", ""))
        return await answer(request, parts, content_type, executor)

    return handle


async def _healthy(_: web.Request) -> web.StreamResponse:
    return web.Response(text="Breakeven is healthy.\n")


def _ready(state: State) -> Handler:
    async def handle(_: web.Request) -> web.StreamResponse:
        if state.ready:
            return web.Response(text="Breakeven is ready.\n")
        return web.Response(status=503, text="Breakeven is not ready: the store is not open yet.\n")

    return handle


def _asset(asset: Asset, executor: Executor) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        return await answer(request, [asset.body], asset.content_type, executor, tag=asset.tag)

    return handle
