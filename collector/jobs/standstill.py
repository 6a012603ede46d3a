"""Tells a page whose counters stand still while requests run: a frozen exporter, or an engine that hangs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from collector.scrape.reading import ReplicaReading
from collector.scrape.spec import COUNTERS

AT_EVERY_STEP = frozenset({"steps_total", "generation_tokens_total"})
"""Where none of these is told, all may stand still while a long answer is made."""
POLLS = 3
"""At so many polls on end nothing must have moved: an interval may be longer than the limit."""


class Standstill:
    """What the counters of one target said last, and since when they say it."""

    __slots__ = ("_former", "_polls", "_since_s")

    def __init__(self) -> None:
        self._former: tuple[ReplicaReading, ...] = ()
        self._since_s = 0.0
        self._polls = 0

    def lasts_s(self, replicas: Iterable[ReplicaReading], at_request_end: frozenset[str], now_s: float) -> float | None:
        """Seconds for which nothing moved although requests run; None while all is well, or nothing could move.

        Counters that move at a request's end only (`at_request_end`) say nothing: a request may be long.
        """
        found = tuple(replicas)
        former, self._former = self._former, found
        if not any(map(_runs, found)) or _moved(former, found, at_request_end) or not _tells(found, at_request_end):
            self._since_s, self._polls = now_s, 0
            return None
        self._polls += 1
        return now_s - self._since_s if self._polls >= POLLS else None


def _runs(one: ReplicaReading) -> bool:
    running = one.fields.get("running_requests")
    return running is not None and running > 0


def _moved(former: Sequence[ReplicaReading], found: Sequence[ReplicaReading], at_request_end: frozenset[str]) -> bool:
    if len(former) != len(found):
        return True
    for before, now in zip(former, found, strict=True):
        if (before.model, before.rank, before.live) != (now.model, now.rank, now.live):
            return True
        silent = at_request_end - now.live
        # Those that nearly always move come first: that settles it.
        for names in (AT_EVERY_STEP, COUNTERS):
            if any(before.fields.get(name) != now.fields.get(name) for name in names if name not in silent):
                return True
    return False


def _tells(found: Iterable[ReplicaReading], at_request_end: frozenset[str]) -> bool:
    for one in found:
        if any(one.fields.get(name) is not None for name in AT_EVERY_STEP - (at_request_end - one.live)):
            return True
    return False
