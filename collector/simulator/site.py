"""What one simulated server says over HTTP, apart from HTTP itself: who it is, and an answer for each of its paths."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any, Protocol

TEXT = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Answer:
    """A body with its type; `compressible` where the real server would compress it for a client that accepts that."""

    body: bytes
    content_type: str = TEXT
    headers: Mapping[str, str] = field(default_factory=dict)
    compressible: bool = False


Route = Callable[[frozenset[str] | None], Answer]
"""An answer to a GET; the argument is what `name[]` asks for, None where it is not in the query."""


class Page(Protocol):
    """A metrics page."""

    def render(self, names: Set[str] | None = None) -> str:
        """The page as text; with `names`, only the samples of these names where the real server can do that."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a server knows of itself besides its counters; `weight_bytes` are those of all GPUs together."""

    model_name: str
    started_unix_s: float
    parameters: float
    weight_bytes: float
    gpu_name: str
    gpu_memory_utilization: float


@dataclass(frozen=True, slots=True)
class Site:
    """One server's page and its answers by path; `page_path` is where the page is."""

    page: Page
    page_path: str
    routes: Mapping[str, Route]


def json_answer(value: Any) -> Answer:
    """A value as JSON."""
    return Answer(json.dumps(value).encode(), "application/json; charset=utf-8")


def json_route(value: Callable[[], Any]) -> Route:
    """A path that answers with what `value` gives at that moment, as JSON."""
    return lambda _: json_answer(value())


def page_route(page: Page, headers: Mapping[str, str] | None = None) -> Route:
    """A path that answers with the whole page, whatever `name[]` asks for."""
    return lambda _: Answer(page.render().encode(), headers=headers or {})
