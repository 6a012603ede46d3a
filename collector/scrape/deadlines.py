"""The deadlines of many waits by few timers: those that fall into the same hundredth of a second share one."""

from __future__ import annotations

import asyncio
from math import ceil
from typing import Any

_PER_S = 100


class Deadlines:
    """Ends waits that take too long. A poll begins with fifty others: a timer for each costs more than its request."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: dict[int, list[asyncio.Future[Any]]] = {}

    def watch(self, waiter: asyncio.Future[Any], until_s: float) -> None:
        """Have it raise TimeoutError unless it is done by then (the loop's clock), or a hundredth of a second later."""
        due = ceil(until_s * _PER_S)
        waiting = self._waiting.get(due)
        if waiting is None:
            waiting = self._waiting[due] = []
            self._loop.call_at(due / _PER_S, self._end, due)
        waiting.append(waiter)

    def _end(self, due: int) -> None:
        for one in self._waiting.pop(due):
            if not one.done():
                one.set_exception(TimeoutError())
