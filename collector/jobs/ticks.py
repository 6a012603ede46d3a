"""When a loop polls: on the monotonic clock, spread over the interval, each poll bound to an aligned tick."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from hashlib import blake2b
from typing import NoReturn

from collector.clock import Clock


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


async def every(
    interval_s: float,
    first_delay_s: float,
    clock: Clock,
    poll: Callable[[], Awaitable[None]],
    skipped: Callable[[int], None],
) -> NoReturn:
    """Call `poll` each interval until cancelled. A poll that takes too long skips the turns it ran over: so many."""
    next_s = clock.monotonic_s() + first_delay_s
    while True:
        await asyncio.sleep(max(0.0, next_s - clock.monotonic_s()))
        await poll()
        over = max(0, int((clock.monotonic_s() - next_s) // interval_s))
        if over > 0:
            skipped(over)
        next_s += interval_s * (1 + over)
