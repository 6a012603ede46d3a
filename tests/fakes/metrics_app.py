"""A metrics server that can be told what to serve: plain pages, pages filtered by name[] as prometheus_client does."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families


@dataclass
class MetricsApp:
    """What is served and what was asked. `filtering` is how `/metrics/?name[]=` behaves.

    `honoured` is vLLM with one API server, `empty` with several (200 and nothing), `missing` any server without it,
    `partial` a server that loses series, `redirected` one that sends its visitors to the plain page, `forbidden` and
    `unavailable` one behind a proxy that lets only the plain page's path through.
    """

    text: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    filtering: str = "honoured"
    status: int = 200
    path: str = "/metrics"
    endpoints: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answers any GET."""
        names = request.query.getall("name[]", [])
        self.asked.append("filtered" if names else request.path)
        if request.path in self.endpoints:
            answer = self.endpoints[request.path]
            if isinstance(answer, int):
                return web.Response(status=answer)
            text = answer if isinstance(answer, str) else json.dumps(answer)
            return web.Response(text=text, content_type="application/json")
        if self.status != 200:
            return web.Response(status=self.status)
        if request.path == self.path:
            return web.Response(text=self.text, headers=self.headers)
        if request.path != f"{self.path}/" or not names or self.filtering == "missing":
            return web.Response(status=404)
        if self.filtering in ("forbidden", "unavailable"):
            return web.Response(status=403 if self.filtering == "forbidden" else 503)
        if self.filtering == "redirected":
            return web.Response(status=307, headers={"Location": "/metrics"})
        if self.filtering == "empty":
            return web.Response(text="")
        kept = set(names[1:] if self.filtering == "partial" else names)
        return web.Response(text=only(self.text, kept), headers=self.headers)


def only(text: str, names: set[str]) -> str:
    """The page with these sample names only, each family with its type."""
    lines = []
    for family in text_string_to_metric_families(text):
        kept = [sample for sample in family.samples if sample.name in names]
        if kept:
            suffix = "_total" if family.type == "counter" else ""
            lines.append(f"# TYPE {family.name}{suffix} {family.type}")
        for sample in kept:
            labels = ",".join(f'{key}="{value}"' for key, value in sample.labels.items())
            lines.append(f"{sample.name}{{{labels}}} {float(sample.value)!r}")
    return "\n".join(lines) + "\n"


@contextlib.asynccontextmanager
async def running(app: MetricsApp) -> AsyncIterator[str]:
    """Runs the server on loopback; yields the URL of its metrics page."""
    application = web.Application()
    application.router.add_get("/{path:.*}", app.handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}{app.path}"
    finally:
        await runner.cleanup()
