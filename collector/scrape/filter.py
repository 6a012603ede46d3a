"""Whether one target honours `name[]`, which spares it writing the series nobody reads."""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache
from urllib.parse import urlencode, urlsplit, urlunsplit

from collector.scrape.layout import Layout, Series
from collector.scrape.page import Page, Sample

_URL_CHARS = 6000
"""Servers and proxies commonly refuse request lines of 8 kB."""

_SeriesKeys = frozenset[tuple[str, frozenset[tuple[str, str]]]]
_Shown = Layout | _SeriesKeys
"""The wanted series of a page: all of its layout's, which targets share, or some of them."""


class State(StrEnum):
    """What is known about `name[]` on a target."""

    UNTRIED = "untried"
    HONOURED = "honoured"
    NOT_HONOURED = "not_honoured"


class NameFilter:
    """One target's knowledge, from what it answered in this life of its process.

    The filtered page is tried in place of a plain one, never besides it: it is used when it holds every wanted
    series that the plain page held, and a plain GET follows in the same poll when it does not. An empty 200 is what
    Python servers with several processes answer. After a restart or a failed poll it all begins anew, so that in
    the steady state a poll is one request and never more than a plain GET costs.
    """

    __slots__ = ("_allowed", "_asked", "_expected", "_layout", "_process_start", "_state")

    def __init__(self, url: str, wanted: frozenset[str], enabled: bool = True) -> None:
        self._asked = filtered(url, wanted)
        self._allowed = enabled and sum(map(len, self._asked)) <= _URL_CHARS
        self._state = State.UNTRIED
        self._expected: _Shown | None = None
        self._layout: Layout | None = None
        self._process_start: str | None = None

    @property
    def state(self) -> State:
        """What is known now."""
        return self._state

    def asked(self) -> tuple[str, str] | None:
        """The URL and query to ask for in place of the plain page; None for the plain one."""
        usable = self._allowed and self._expected is not None and self._state is not State.NOT_HONOURED
        return self._asked if usable else None

    def saw_plain(self, page: Page, process_start: str | None) -> None:
        """A plain page came: it says what a filtered one must hold."""
        if process_start != self._process_start:
            self.forget()
            self._process_start = process_start
        if self._allowed and self._state is State.UNTRIED and page.samples:
            self._expected = _shown(page)

    def accepts(self, page: Page, process_start: str | None) -> bool:
        """Whether a filtered page can stand for the plain one; if not, ask the plain one."""
        if process_start is not None and process_start != self._process_start:
            self.forget()
            return False
        if self._state is State.HONOURED and page.layout is self._layout:
            return True
        shown = _shown(page)
        if self._expected is None or not _keys(shown) >= _keys(self._expected):
            self.refuse()
            return False
        self._state, self._expected, self._layout = State.HONOURED, shown, page.layout
        return True

    def refuse(self) -> None:
        """The filtered page could not be had: plain ones from here on, until the process restarts."""
        self._state, self._expected, self._layout = State.NOT_HONOURED, None, None

    def forget(self) -> None:
        """The process may be another one: begin anew with a plain page."""
        self._state, self._expected, self._layout, self._process_start = State.UNTRIED, None, None, None


def filtered(url: str, wanted: frozenset[str]) -> tuple[str, str]:
    """The URL, without a query, and the query that ask for these names only.

    The trailing slash matters: without it vLLM's own route answers, which ignores the query.
    """
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=parts.path.rstrip("/") + "/", query="")), _query(parts.query, wanted)


@lru_cache(maxsize=64)
def _query(own: str, wanted: frozenset[str]) -> str:
    """One object for all targets of an engine: it is a kilobyte and more."""
    return "&".join(filter(None, (own, urlencode([("name[]", name) for name in sorted(wanted)]))))


def _shown(page: Page) -> _Shown:
    return page.layout if page.whole else frozenset(map(_key, page.samples))


def _keys(shown: _Shown) -> _SeriesKeys:
    return frozenset(map(_key, shown.series)) if isinstance(shown, Layout) else shown


def _key(one: Sample | Series) -> tuple[str, frozenset[tuple[str, str]]]:
    return one.name, frozenset(one.labels.items())
