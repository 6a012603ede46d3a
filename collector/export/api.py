"""The JSON under /api/v1/: each answer is written once per report, or from what is in memory now."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import Executor
from hashlib import sha256
from itertools import chain, islice

from aiohttp import web

from analyzer.report import Report, as_plain
from analyzer.written import pieces
from collector.clock import Clock
from collector.export.answers import answer
from collector.export.health_json import health_plain
from collector.export.once import OncePerReport
from collector.export.openapi import ENDPOINTS, document
from collector.export.overview import history, overview, replica_shown
from collector.export.pressed import pressed_text
from collector.export.render import is_stale
from collector.export.snapshot import State

JSON = "application/json; charset=utf-8"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


_FRESH, _STALE = b'{"stale": false', b'{"stale": true'
"""An answer's first two pieces; only these change while a report stands."""


class Api:
    """The answers over one state."""

    def __init__(self, state: State, clock: Clock, evaluation_interval_s: float, executor: Executor) -> None:
        self._state = state
        self._clock = clock
        self._evaluation_interval_s = evaluation_interval_s
        self._executor = executor

    def routes(self) -> Mapping[str, Handler]:
        """Every path of the document with its handler."""
        handlers = {
            "overview": self._of_report(lambda report: pieces(overview(report))),
            "history": self._of_report(lambda report: pieces(history(report))),
            "replica": self._replica,
            "report": self._of_report(_with_stale),
            "health": self._health,
        }
        routes: dict[str, Handler] = {ENDPOINTS[name].path: handler for name, handler in handlers.items()}
        return {**routes, "/api/v1/openapi.json": self._document()}

    async def _health(self, request: web.Request) -> web.StreamResponse:
        return await answer(request, [written(health_plain(self._state))], JSON, self._executor)

    def _document(self) -> Handler:
        body = written(document(self._state.version))

        async def handle(request: web.Request) -> web.StreamResponse:
            return await answer(request, [body], JSON, self._executor, tag=sha256(body).hexdigest()[:16])

        return handle

    def _of_report(self, shown: Callable[[Report], Iterator[str]]) -> Handler:
        """An answer that is the same until the next report, but for whether that one has become too old."""
        once = OncePerReport(lambda report: pressed_text(chain(islice(shown(report), 2, None), "\n")), self._executor)

        async def handle(request: web.Request) -> web.StreamResponse:
            report = self._state.report
            if report is None:
                return await self._no_report(request)
            body = await once.of(report)
            stale = self._stale(report)
            tag = f"{report.made_at_s:.6f}-{stale:d}"
            return await answer(request, [_STALE if stale else _FRESH, body], JSON, self._executor, tag=tag)

        return handle

    async def _replica(self, request: web.Request) -> web.StreamResponse:
        report = self._state.report
        if report is None:
            return await self._no_report(request)
        wanted, stale = request.match_info["id"], self._stale(report)

        def write() -> bytes | None:
            found = replica_shown(report, wanted, stale=stale)
            return None if found is None else written(as_plain(found))

        body = await asyncio.get_running_loop().run_in_executor(self._executor, write)
        if body is None:
            body = written({"error": "the last report has no such replica"})
            return await answer(request, [body], JSON, self._executor, status=404)
        return await answer(request, [body], JSON, self._executor, tag=f"{report.made_at_s:.6f}-{stale:d}")

    def _stale(self, report: Report) -> bool:
        return is_stale(report, self._clock, self._evaluation_interval_s)

    async def _no_report(self, request: web.Request) -> web.StreamResponse:
        body = written({"error": "no report has been made yet"})
        return await answer(request, [body], JSON, self._executor, status=503)


def _with_stale(report: Report) -> Iterator[str]:
    """The whole report, in the form of an overview: whether it is stale comes first, in two pieces."""
    yield from ('{"stale": ', "false", ", ")
    whole = pieces(report)
    yield next(whole).removeprefix("{")
    yield from whole


def written(plain: object) -> bytes:
    """JSON in ASCII: what a stranger named with half a character comes through as it was."""
    return json.dumps(plain, allow_nan=False).encode() + b"\n"
