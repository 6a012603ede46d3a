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


def aligned(at_s: float, interval_s: float) -> float:
    """The tick a poll belongs to: its time, aligned down to the interval."""
    return at_s // interval_s * interval_s


async def every(interval_s: float, first_delay_s: float, clock: Clock, poll: Callable[[], Awaitable[None]]) -> NoReturn:
    """Call `poll` each interval until cancelled. A poll that takes too long skips the turns it ran over."""
    next_s = clock.monotonic_s() + first_delay_s
    while True:
        await asyncio.sleep(max(0.0, next_s - clock.monotonic_s()))
        await poll()
        late_s = clock.monotonic_s() - next_s
        next_s += interval_s * (1 + max(0, int(late_s // interval_s)))
