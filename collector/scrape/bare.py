"""Servers that expose no metrics: whether they are there and what they serve is all that they tell of themselves."""

from __future__ import annotations

import asyncio
import ssl as tls
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from collector.errors import Kind, SourceError
from collector.scrape.beside import beside
from collector.scrape.extras import Asking
from collector.scrape.fetch import Fetcher
from collector.scrape.identity import member, parse, text, told
from collector.scrape.limits import Limits
from collector.scrape.reading import PageReading, ReplicaReading
from collector.scrape.told import Identification, Scrape

_RANK = "0"


@dataclass(frozen=True, slots=True)
class BareEngine:
    """One engine without metrics, as data.

    `state_path` is a JSON endpoint that a running server answers, None where it has none and only its port tells that
    it is there; `read` takes the answer to fields of `analyzer.samples.Identity`, None for no answer of this engine.
    `version_path` answers JSON with a `version`, `/` answers a text with the `greeting`.
    `evidence` says what can be known all the same, `not_told` which of `collector.scrape.facts.FACTS` nothing tells.
    """

    name: str
    title: str
    evidence: tuple[str, ...]
    not_told: frozenset[str]
    greeting: str | None = None
    state_path: str | None = None
    version_path: str | None = None
    read: Callable[[Any], Mapping[str, Any] | None] = field(default=lambda _: {})
    usual_ports: tuple[int, ...] = ()

    @property
    def mixed_steps(self) -> bool | None:
        """Nobody tells."""
        return None

    @property
    def at_request_end(self) -> frozenset[str]:
        """There is no counter that could be late."""
        return frozenset()

    @property
    def monotone(self) -> frozenset[str]:
        """There is no counter that could dip."""
        return frozenset()


async def recognise(get: Asking, engines: Iterable[BareEngine]) -> BareEngine | None:
    """Which engine greets at the server's root. Raises nothing."""
    try:
        body = (await get("/")).body
    except SourceError:
        return None
    return next((one for one in engines if one.greeting is not None and one.greeting.encode() in body), None)


class BareScraper:
    """Asks a server without metrics whether it is there. Speaks to its poll as `TargetScraper` does."""

    def __init__(
        self,
        url: str,
        fetcher: Fetcher,
        spec: BareEngine,
        *,
        limits: Limits,
        headers: Callable[[], Mapping[str, str]],
        ssl: Callable[[], tls.SSLContext | bool],
        server_name: str | None = None,
    ) -> None:
        self._url = url
        self._fetcher = fetcher
        self._spec = spec
        self._limits = limits
        self._headers = headers
        self._ssl = ssl
        self._server_name = server_name
        self._loaded: Mapping[str, Any] = {}
        self._version: str | None = None

    @property
    def spec(self) -> BareEngine:
        """The engine, which the operator stated."""
        return self._spec

    @property
    def identity_due(self) -> bool:
        """Every poll asks who the server is."""
        return False

    async def scrape(self) -> Scrape:
        """One poll: a replica without any figure. Raises SourceError when the server is not there."""
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        size = await (self._knock() if self._spec.state_path is None else self._ask(self._spec.state_path))
        took_s = loop.time() - started_s
        replica = ReplicaReading("", _RANK, {}, {**self._loaded, **told({"engine_version": self._version})})
        return Scrape(
            engine=self._spec.name,
            reading=PageReading((replica,), None, (), {}, lambda: {("", _RANK): {}}),
            duration_s=took_s,
            sent_after_s=0.0,
            size_bytes=size,
            samples=0,
            requests=1,
            notes=(f"{self._spec.title} exposes no metrics: GPU counters only",),
            age_s=took_s,
        )

    async def identify(self) -> Identification:
        """Nothing that a poll does not tell."""
        return Identification({}, ())

    async def _ask(self, path: str) -> int:
        """What is served is remembered while nothing is loaded: an idle server has not become another one."""
        version, self._version = self._version, None  # unless it answers, it may be upgraded before it answers again
        body = await self._get(path)
        fields = self._spec.read(_parsed(body))
        if fields is None:
            raise SourceError(Kind.WRONG_ENGINE, f"{path} is not answered as {self._spec.title} does, as stated")
        if version is None and self._spec.version_path is not None:
            version = text(member(_parsed(await self._get(self._spec.version_path)), "version"))
        self._version = version
        self._loaded = told(fields) or self._loaded
        return len(body)

    async def _get(self, path: str) -> bytes:
        response = await self._fetcher.get(
            beside(self._url, path),
            limits=self._limits,
            headers=self._headers(),
            ssl=self._ssl(),
            server_name=self._server_name,
        )
        return response.body

    async def _knock(self) -> int:
        await self._fetcher.knock(self._url, self._limits)
        return 0


def _parsed(body: bytes) -> Any:
    """The JSON in a body, None for none."""
    try:
        return parse(body)
    except ValueError:
        return None
