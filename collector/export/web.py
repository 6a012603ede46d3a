"""Our HTTP side: /metrics, health, the report as JSON and a page that shows the verdict without Grafana.

Every answer is made from memory: no request ever waits for a poll, a database or a driver.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from importlib.resources import files

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from analyzer.report import Report, as_plain
from collector.export.health_json import health_plain
from collector.export.snapshot import State

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_STATIC = {
    "/": ("page.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def make_app(state: State, metrics: CollectorRegistry, stale: Callable[[Report], bool]) -> web.Application:
    """The application over one state; `stale` says whether a report is too old to be shown as today's."""
    app = web.Application(middlewares=[_with_headers])
    app.router.add_get("/metrics", _metrics(metrics))
    app.router.add_get("/-/healthy", _healthy)
    app.router.add_get("/-/ready", _ready(state))
    app.router.add_get("/api/v1/report", _report(state, stale))
    app.router.add_get("/api/v1/health", _health(state))
    for path, (name, content_type) in _STATIC.items():
        app.router.add_get(path, _static(name, content_type))
    return app


@web.middleware
async def _with_headers(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        response = await handler(request)
    except web.HTTPException as error:
        error.headers.update(HEADERS)
        raise
    response.headers.update(HEADERS)
    return response


def _metrics(registry: CollectorRegistry) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        response = web.Response(body=encode(registry))
        response.headers["Content-Type"] = content_type
        return response

    return handle


async def _healthy(_: web.Request) -> web.StreamResponse:
    return web.Response(text="Breakeven is healthy.\n")


def _ready(state: State) -> Handler:
    async def handle(_: web.Request) -> web.StreamResponse:
        if state.ready:
            return web.Response(text="Breakeven is ready.\n")
        return web.Response(status=503, text="Breakeven is not ready: the store is not open yet.\n")

    return handle


def _report(state: State, stale: Callable[[Report], bool]) -> Handler:
    async def handle(_: web.Request) -> web.StreamResponse:
        if state.report is None:
            return _json({"error": "no report has been made yet"}, 503)
        return _json(as_plain(state.report) | {"stale": stale(state.report)})

    return handle


def _health(state: State) -> Handler:
    async def handle(_: web.Request) -> web.StreamResponse:
        return _json(health_plain(state))

    return handle


def _json(value: object, status: int = 200) -> web.Response:
    text = json.dumps(value, allow_nan=False)
    return web.Response(status=status, text=text + "\n", content_type="application/json")


def _static(name: str, content_type: str) -> Handler:
    body = files("collector.export").joinpath("static", name).read_text(encoding="utf-8")

    async def handle(_: web.Request) -> web.StreamResponse:
        return web.Response(text=body, content_type=content_type, charset="utf-8")

    return handle
