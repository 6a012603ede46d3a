"""Tells a page whose counters stand still while requests run: a frozen exporter, or an engine that hangs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from collector.scrape.reading import ReplicaReading
from collector.scrape.spec import COUNTERS

AT_EVERY_STEP = frozenset({"steps_total", "generation_tokens_total"})
"""Where none of these is told, all may stand still while a long answer is made."""
POLLS = 3
"""At so many polls on end nothing must have moved: an interval may be longer than the limit."""


class Standstill:
    """What the counters of one target said last, and since when they say it."""

    def __init__(self) -> None:
        self._counters: Mapping[Any, Any] = {}
        self._since_s = 0.0
        self._polls = 0

    def lasts_s(self, replicas: Iterable[ReplicaReading], at_request_end: frozenset[str], now_s: float) -> float | None:
        """Seconds for which nothing moved although requests run; None while all is well, or nothing could move.

        Counters that move at a request's end only (`at_request_end`) say nothing: a request may be long.
        """
        found = list(replicas)
        counters = {
            (one.model, one.rank, name): value
            for one in found
            for name in COUNTERS - (at_request_end - one.live)
            if (value := one.fields.get(name)) is not None
        }
        running = [one.fields.get("running_requests") for one in found]
        runs = any(number is not None and number > 0 for number in running)
        tells = any(name in AT_EVERY_STEP for _, _, name in counters)
        if not tells or not runs or counters != self._counters:
            self._counters, self._since_s, self._polls = counters, now_s, 0
            return None
        self._polls += 1
        return now_s - self._since_s if self._polls >= POLLS else None
