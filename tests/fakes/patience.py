"""Waiting for what another process does and announces nowhere."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def until(condition: Callable[[], bool], limit_s: float = 20.0) -> None:
    """Returns as soon as `condition()` holds. Raises TimeoutError when it does not within `limit_s`."""
    async with asyncio.timeout(limit_s):
        while not condition():  # noqa: ASYNC110 - nothing could set an event
            await asyncio.sleep(0.005)
