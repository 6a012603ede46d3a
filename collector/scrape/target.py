"""One target, polled: fetch its page, tell its engine, read its replicas, and ask who it is."""

from __future__ import annotations

import asyncio
import ssl as tls
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from pathlib import Path
from typing import Any

from collector.errors import Kind, SourceError
from collector.scrape.beside import beside
from collector.scrape.extras import Asking, Extras, StepSource
from collector.scrape.fetch import Getter, Response
from collector.scrape.filter import NameFilter, State
from collector.scrape.floors import Floors
from collector.scrape.identity import answer
from collector.scrape.limits import Limits
from collector.scrape.page import LayoutPool, Page, PageParser
from collector.scrape.reading import process_start, read
from collector.scrape.spec import EngineSpec
from collector.scrape.steplog import step_log
from collector.scrape.told import Identification, Scrape

Detect = Callable[[AbstractSet[str], str | None], EngineSpec]
"""From the names on a page, and the engine the operator stated, to the engine's specification.

Raises SourceError UNKNOWN_ENGINE or WRONG_ENGINE.
"""
_JSON_BYTES = 1024 * 1024
_RETRY_WITH_PLAIN = {
    Kind.HTTP_STATUS,
    Kind.UNAUTHORIZED,
    Kind.NOT_READY,
    Kind.REDIRECT,
    Kind.NOT_METRICS,
    Kind.BAD_PAGE,
    Kind.TOO_LARGE,
    Kind.TOO_MANY_SAMPLES,
    Kind.LABEL_LIMIT,
}
"""Failures of a filtered page that say nothing of the plain one: a proxy may let exactly that path through."""
_PASSING = {Kind.TIMEOUT, Kind.DISCONNECTED, Kind.NOT_READY, Kind.REFUSED}
"""Failures of an identity endpoint that are worth another try."""
_IDENTITY_TRIES = 3


def _no_headers() -> Mapping[str, str]:
    return {}


def _verifying() -> tls.SSLContext | bool:
    return True


class TargetScraper:
    """Everything that is remembered of one target between polls. Not for concurrent use."""

    __slots__ = (
        "_detect",
        "_engine",
        "_exclusive",
        "_fetcher",
        "_headers",
        "_identity",
        "_identity_tries",
        "_layouts",
        "_limits",
        "_log_file",
        "_name_filter",
        "_passes",
        "_process_start",
        "_server_name",
        "_ssl",
        "_stated_engine",
        "_url",
    )

    def __init__(
        self,
        url: str,
        fetcher: Getter,
        detect: Detect,
        *,
        engine: str | None = None,
        limits: Limits | None = None,
        headers: Callable[[], Mapping[str, str]] = _no_headers,
        ssl: Callable[[], tls.SSLContext | bool] = _verifying,
        server_name: str | None = None,
        name_filter: bool = True,
        layouts: LayoutPool | None = None,
        exclusive: bool = False,
        log_file: Path | None = None,
        passes: StepSource | None = None,
    ) -> None:
        """`engine` None: told from the page.

        `headers` and `ssl` are called for every request, so a secret or certificate may be renewed.

        `exclusive`: nobody else reads this server, so endpoints that give each record away once may be read.
        `log_file`: where the engine writes a line per step, if it does. `passes` goes before it: its published records.
        """
        self._url = url
        self._fetcher = fetcher
        self._detect = detect
        self._stated_engine = engine
        self._limits = limits or Limits()
        self._headers = headers
        self._ssl = ssl
        self._server_name = server_name
        self._name_filter = name_filter
        self._layouts = layouts
        self._exclusive = exclusive
        self._log_file = log_file
        self._passes = passes
        self._engine: _Engine | None = None
        self._process_start: str | None = None
        self._identity: Mapping[str, Any] | None = None
        self._identity_tries = 0

    @property
    def spec(self) -> EngineSpec | None:
        """The engine, once a page has told it."""
        return None if self._engine is None else self._engine.spec

    @property
    def identity_due(self) -> bool:
        """Whether `identify` should be called: the engine is known, but not who this life of its process is.

        An endpoint that failed for the moment makes it due again, a few times per life of the process.
        """
        return self._engine is not None and self._identity_tries < _IDENTITY_TRIES

    @property
    def filter_state(self) -> State:
        """What is known of `name[]` on this target."""
        return State.UNTRIED if self._engine is None else self._engine.filter.state

    async def scrape(self) -> Scrape:
        """One poll: one GET, or two when a filtered page turns out to be of no use, and the engine's JSON endpoints.

        Raises SourceError; after that nothing of the process is taken for granted any more.
        """
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        try:
            requests = 0
            asked = None if self._engine is None else self._engine.filter.asked()
            if asked is not None:
                requests += 1
                scraped = await self._filtered(*asked, started_s)
                if scraped is not None:
                    return scraped
            sent_after_s = loop.time() - started_s if requests > 0 else 0.0
            limits = self._remaining(sent_after_s) if requests > 0 else self._limits
            response = await self._get(self._url, limits)
            engine, page = self._understand(response)
            start = process_start(engine.spec, page, response.headers)
            engine.filter.saw_plain(page, start)
            return await self._scraped(engine, page, response, start, (started_s, sent_after_s), requests + 1)
        except SourceError:
            self._forget()
            raise

    async def identify(self) -> Identification:
        """Asks the engine's identity endpoints, within one deadline; one that fails is only noted.

        What they tell also helps to read the following pages. Tells nothing before a page has told the engine.
        """
        if self._engine is None:
            return Identification({}, ("the engine is not known yet",))
        started_s = asyncio.get_running_loop().time()
        found: dict[str, Any] = {}
        notes = []
        again = False
        get = self._asking(self._engine, started_s)
        for probe in self._engine.spec.identity:
            try:
                response = await get(probe.path)
            except SourceError as error:
                notes.append(f"{probe.path}: {error}")
                again = again or error.kind in _PASSING
                continue
            told = answer(probe, response.body)
            if told is None:
                notes.append(f"{probe.path}: the answer is no JSON")
            else:
                found = {**told, **found}
        found = {**(self._identity or {}), **found}
        self._identity = found
        self._identity_tries = self._identity_tries + 1 if again else _IDENTITY_TRIES
        return Identification(found, tuple(notes))

    async def _filtered(self, url: str, query: str, started_s: float) -> Scrape | None:
        """The poll by a filtered page; None when the plain page has to be asked."""
        engine = self._engine
        assert engine is not None
        try:
            response = await self._get(url, self._limits, query)
            page = engine.filtered_parser.parse(response.body, response.content_type)
        except SourceError as error:
            if error.kind not in _RETRY_WITH_PLAIN:
                raise
            engine.filter.refuse()
            return None
        start = process_start(engine.spec, page, response.headers)
        if not engine.filter.accepts(page, start):
            return None
        engine.parser.forget()
        elapsed_s = asyncio.get_running_loop().time() - started_s
        sent_after_s = max(0.0, elapsed_s - response.duration_s)
        return await self._scraped(engine, page, response, start, (started_s, sent_after_s), 1)

    async def _scraped(
        self,
        engine: _Engine,
        page: Page,
        response: Response,
        start: str | None,
        times_s: tuple[float, float],
        requests: int,
    ) -> Scrape:
        """The poll's result; `times_s` are when it began, and how long after that the page was asked for."""
        started_s, sent_after_s = times_s
        if start != self._process_start:
            self._process_start = start
            self._identity, self._identity_tries = None, 0
            engine.extras.forget()
        before_s = asyncio.get_running_loop().time()
        asked, notes = await engine.extras.ask(self._asking(engine, started_s))
        extras_s = asyncio.get_running_loop().time() - before_s
        reading = read(engine.spec, page, response.headers, self._identity, engine.extras.values)
        reading = engine.floors.apply(reading)
        return Scrape(
            engine=engine.spec.name,
            reading=reading,
            duration_s=response.duration_s,
            sent_after_s=sent_after_s,
            size_bytes=len(response.body),
            samples=page.sample_count,
            requests=requests + asked,
            notes=notes,
            age_s=response.duration_s + extras_s,
        )

    def _asking(self, engine: _Engine, started_s: float) -> Asking:
        """A GET of a path beside the page, within what is left of the poll's deadline."""
        loop = asyncio.get_running_loop()

        async def get(path: str) -> Response:
            limits = replace(self._remaining(loop.time() - started_s), body_size_limit_bytes=_JSON_BYTES)
            return await self._get(beside(self._url, path, engine.spec.page_path), limits)

        return get

    def _understand(self, response: Response) -> tuple[_Engine, Page]:
        """The engine and the page; the engine is told anew when the page no longer carries its signature."""
        if self._engine is not None:
            page = self._engine.parser.parse(response.body, response.content_type)
            if not page.names.isdisjoint(self._engine.spec.signatures):
                return self._engine, page
        else:
            page = PageParser(frozenset(), self._limits, self._layouts).parse(response.body, response.content_type)
        spec = self._detect(page.names | page.types.keys(), self._stated_engine)
        if self._engine is not None and spec is self._engine.spec:
            return self._engine, page
        self._forget()
        passes = self._passes if spec.read_step is not None else None
        extras = Extras(spec.extras, self._exclusive, passes or step_log(self._log_file, spec.read_step))
        self._engine = _Engine(spec, self._url, self._limits, self._layouts, self._name_filter, extras)
        return self._engine, self._engine.parser.parse(response.body, response.content_type)

    async def _get(self, url: str, limits: Limits, query: str | None = None) -> Response:
        return await self._fetcher.get(
            url, limits=limits, headers=self._headers(), ssl=self._ssl(), server_name=self._server_name, query=query
        )

    def _remaining(self, elapsed_s: float) -> Limits:
        """The limits with what is left of the deadline; never quite nothing, so that a time-out is told as one."""
        return replace(self._limits, timeout_s=max(0.001, self._limits.timeout_s - elapsed_s))

    def _forget(self) -> None:
        """Another process may answer next time."""
        self._process_start = None
        self._identity, self._identity_tries = None, 0
        if self._engine is not None:
            self._engine.filter.forget()


class _Engine:
    """What belongs to a target's engine: two parsers, since filtered and plain pages have different shapes."""

    __slots__ = ("extras", "filter", "filtered_parser", "floors", "parser", "spec")

    def __init__(
        self,
        spec: EngineSpec,
        url: str,
        limits: Limits,
        layouts: LayoutPool | None,
        name_filter: bool,
        extras: Extras,
    ) -> None:
        self.spec = spec
        self.parser = PageParser(spec.wanted, limits, layouts)
        self.filtered_parser = PageParser(spec.wanted, limits, layouts)
        self.filter = NameFilter(url, spec.wanted, name_filter and spec.name_filter)
        self.floors = Floors(spec.monotone)
        self.extras = extras
