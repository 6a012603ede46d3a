"""When a loop polls: on the monotonic clock, spread over the interval, each poll bound to an aligned tick."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from hashlib import blake2b
from math import ceil
from typing import NoReturn

from collector.clock import Clock

TOGETHER_S = 1.0
"""Polls that fall into so long are begun at once: one after another, each finds the processor's caches cold."""
TOGETHER_RATIO = 0.05
"""Of a short interval, at most this share: its polls stay spread."""


def offset_ratio(name: str) -> float:
    """Where in the interval a thing is polled, 0..1: the same in every run, spread evenly over many names."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest()) / 2**64


def first_delay_s(name: str, interval_s: float, wall_s: float) -> float:
    """Seconds until a thing's first poll: at its place in the interval, well off the edges of the aligned ticks.

    A poll at a tick's edge would fall into one tick now and into the next another time, and a tick holds one sample.
    """
    return ((0.1 + 0.7 * offset_ratio(name)) * interval_s - wall_s) % interval_s


def aligned(at_s: float, interval_s: float) -> float:
    """The tick a poll belongs to: its time, aligned down to the interval."""
    return at_s // interval_s * interval_s


def joined_s(at_s: float, interval_s: float) -> float:
    """An instant, put off to the next at which polls of this interval are begun: they are the same for all targets.

    For a thousand targets that halves what a poll costs. `at_s` is on the monotonic clock.
    """
    apart_s = interval_s / max(ceil(interval_s / TOGETHER_S), round(1 / TOGETHER_RATIO))
    return ceil(at_s / apart_s - 1e-6) * apart_s


class Instants:
    """Instants on the monotonic clock; all who wait for the same one are woken by one timer.

    A thousand targets wait for twenty instants: with a timer each, every wait is one more search among a thousand.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: dict[float, list[asyncio.Future[None]]] = {}

    def now_s(self) -> float:
        """Seconds on the monotonic clock."""
        return self._clock.monotonic_s()

    async def reach(self, at_s: float) -> None:
        """Wait for an instant; at least until others had their turn."""
        loop = asyncio.get_running_loop()
        at_s = round(at_s, 6)  # sums of an interval differ in their last digits
        waiting = self._waiting.get(at_s)
        if waiting is None:
            waiting = self._waiting[at_s] = []
            loop.call_later(max(0.0, at_s - self.now_s()), self._wake, at_s)
        mine = loop.create_future()
        waiting.append(mine)
        await mine

    def _wake(self, at_s: float) -> None:
        for one in self._waiting.pop(at_s):
            if not one.done():  # whoever was cancelled waits no longer
                one.set_result(None)


async def every(
    interval_s: float,
    first_delay_s: float,
    instants: Instants,
    poll: Callable[[], Awaitable[None]],
    skipped: Callable[[int], None],
) -> NoReturn:
    """Call `poll` each interval until cancelled. A poll that takes too long skips the turns it ran over: so many."""
    next_s = joined_s(instants.now_s() + first_delay_s, interval_s)
    while True:
        await instants.reach(next_s)
        await poll()
        over = max(0, int((instants.now_s() - next_s) // interval_s))
        if over > 0:
            skipped(over)
        next_s += interval_s * (1 + over)
