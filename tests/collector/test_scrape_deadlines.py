"""Waits that share a timer end by their deadlines, and none of them early."""

from __future__ import annotations

import asyncio

from collector.scrape.deadlines import Deadlines


def test_each_wait_ends_by_its_own_deadline_and_never_before_it() -> None:
    """Within a hundredth of a second they share a timer; one that is over by then is left alone."""

    async def go() -> None:
        loop = asyncio.get_running_loop()
        deadlines, begun_s = Deadlines(loop), loop.time()
        ends_s = [begun_s + after_s for after_s in (0.02, 0.0201, 0.05)]
        waits: list[asyncio.Future[str]] = [loop.create_future() for _ in ends_s]
        over: asyncio.Future[str] = loop.create_future()
        for wait, until_s in zip([*waits, over], [*ends_s, ends_s[0]], strict=True):
            deadlines.watch(wait, until_s)
        over.set_result("in time")
        for wait, until_s in zip(waits, ends_s, strict=True):
            (told,) = await asyncio.gather(wait, return_exceptions=True)
            assert isinstance(told, TimeoutError)
            assert loop.time() >= until_s
        assert over.result() == "in time"

    asyncio.run(go())
