"""What an engine's figures need beside its page, asked softly at every poll: JSON endpoints, and its single steps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from collector.errors import Kind, SourceError
from collector.scrape.fetch import Response
from collector.scrape.identity import parse
from collector.scrape.spec import Extra

Asking = Callable[[str], Awaitable[Response]]
"""A GET of a path beside the page. Raises SourceError."""


class StepSource(Protocol):
    """What tells an engine's steps one by one: its log, or the records that it publishes."""

    async def read(self) -> tuple[Mapping[str, Mapping[str, float]], tuple[str, ...]]:
        """Each rank's sums by `collector.scrape.steps.STEP_INPUTS`, and what is wrong with the source."""


_PASSING = {Kind.TIMEOUT, Kind.DISCONNECTED, Kind.NOT_READY}
_PAUSE_POLLS = 20
"""An endpoint that is switched off or forbidden fills the server's log: it is asked again only now and then."""


class Extras:
    """What one target's JSON endpoints and step source said at the last poll, and which endpoints rest."""

    __slots__ = ("_extras", "_pauses", "_steps", "_sums", "_values")

    def __init__(self, extras: tuple[Extra, ...], exclusive: bool, steps: StepSource | None = None) -> None:
        self._extras = tuple(extra for extra in extras if exclusive or not extra.destructive)
        self._steps = steps
        self._pauses: dict[str, tuple[int, str]] = {}
        self._sums: dict[str, dict[str, dict[str, float]]] = {}
        self._values: dict[str, dict[str, float | None]] = {}

    @property
    def values(self) -> Mapping[str, Mapping[str, float | None]]:
        """Each rank's inputs, of what answered at the last poll."""
        return self._values

    def forget(self) -> None:
        """The process was restarted: its records count from zero again, and an endpoint may be there now."""
        self._pauses, self._sums, self._values = {}, {}, {}

    async def ask(self, get: Asking) -> tuple[int, tuple[str, ...]]:
        """Asks every endpoint that does not rest, then the source of steps.

        Returns how many requests that took, and why some gave nothing.
        """
        self._values = {}
        requests = 0
        notes: list[str] = []
        for extra in self._extras:
            polls_left, note = self._pauses.pop(extra.path, (0, ""))
            if polls_left > 0:
                self._pauses[extra.path] = polls_left - 1, note
                notes.append(note)
                continue
            requests += 1
            try:
                self._take(extra, parse((await get(extra.path)).body))
                continue
            except SourceError as error:
                note, passing = f"{extra.path}: {error}", error.kind in _PASSING
            except ValueError:
                note, passing = f"{extra.path}: the answer is no JSON", False
            notes.append(note)
            if not passing:
                self._pauses[extra.path] = _PAUSE_POLLS, note
        if self._steps is not None:
            told, problems = await self._steps.read()
            notes += problems
            for rank, values in told.items():
                self._values.setdefault(rank, {}).update(values)
        return requests, tuple(notes)

    def _take(self, extra: Extra, answer: object) -> None:
        """Destructive records are added up. Of a rank that never had one nothing is known: the figure is not zero."""
        told = extra.read(answer)
        if extra.destructive:
            sums = self._sums.setdefault(extra.path, {})
            for rank, values in told.items():
                into = sums.setdefault(rank, dict.fromkeys(extra.inputs, 0.0))
                for name, value in values.items():
                    if value is not None:
                        into[name] += value
            told = sums
        for rank, values in told.items():
            self._values.setdefault(rank, {}).update(values)
