"""A simulated server that answers as vLLM 0.33 does.

`/metrics` is never compressed and ignores `name[]`, `/metrics/` is compressed where accepted and honours it.
"""

from __future__ import annotations

from typing import Any

from collector.simulator.server import SimulatedServer
from collector.simulator.site import Answer, Facts, Site, json_route, page_route
from collector.simulator.vllm_page import PageSettings, VllmPage

VERSION = "0.33.0"


def site(server: SimulatedServer, facts: Facts) -> Site:
    """The server's page and answers."""
    page = VllmPage(
        [server],
        PageSettings(facts.model_name, facts.started_unix_s, gpu_memory_utilization=facts.gpu_memory_utilization),
    )

    def filtered(names: frozenset[str] | None) -> Answer:
        return Answer(page.render(names).encode(), compressible=True)

    def models() -> Any:
        model = {
            "id": facts.model_name,
            "object": "model",
            "created": int(facts.started_unix_s),
            "owned_by": "vllm",
            "root": facts.model_name,
            "parent": None,
            "max_model_len": server.settings.max_model_len,
        }
        return {"object": "list", "data": [model]}

    routes = {
        "/metrics": page_route(page),
        "/metrics/": filtered,
        "/v1/models": json_route(models),
        "/version": json_route(lambda: {"version": VERSION}),
    }
    return Site(page, "/metrics", routes)
