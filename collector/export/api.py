"""The JSON under /api/v1/: each answer is written once per report, or from what is in memory now."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from typing import Any

from aiohttp import web

from analyzer.report import Report, as_plain
from collector.clock import Clock
from collector.export.answers import answer
from collector.export.health_json import health_plain
from collector.export.once import OncePerReport
from collector.export.render import is_stale
from collector.export.snapshot import State

JSON = "application/json; charset=utf-8"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Api:
    """The answers over one state."""

    def __init__(self, state: State, clock: Clock, evaluation_interval_s: float, executor: Executor) -> None:
        self._state = state
        self._clock = clock
        self._evaluation_interval_s = evaluation_interval_s
        self._executor = executor

    def routes(self) -> Mapping[str, Handler]:
        """Every path with its handler."""
        return {
            "/api/v1/report": self._of_report(as_plain),
            "/api/v1/health": self._health,
        }

    async def _health(self, request: web.Request) -> web.StreamResponse:
        return await answer(request, written(health_plain(self._state)), JSON, self._executor)

    def _of_report(self, shown: Callable[[Report], Mapping[str, Any]]) -> Handler:
        """An answer that is the same until the next report, but for whether that one has become too old."""
        once = OncePerReport(lambda report: written(shown(report)), self._executor)

        async def handle(request: web.Request) -> web.StreamResponse:
            report = self._state.report
            if report is None:
                return await self._no_report(request)
            stale = is_stale(report, self._clock, self._evaluation_interval_s)
            body = b'{"stale": %s, ' % (b"true" if stale else b"false") + (await once.of(report))[1:]
            return await answer(request, body, JSON, self._executor, tag=f"{report.made_at_s:.6f}-{stale:d}")

        return handle

    async def _no_report(self, request: web.Request) -> web.StreamResponse:
        body = written({"error": "no report has been made yet"})
        return await answer(request, body, JSON, self._executor, status=503)


def written(plain: object) -> bytes:
    """JSON in ASCII: what a stranger named with half a character comes through as it was."""
    return json.dumps(plain, allow_nan=False).encode() + b"\n"
