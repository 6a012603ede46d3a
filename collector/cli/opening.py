"""Opens the database, and the spool beside Postgres, for a daemon that may be asked to end meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

from collector.clock import Clock
from collector.errors import DatabaseInUseError
from collector.jobs.disk import watermark_of
from collector.jobs.spool import Spool
from collector.jobs.worker import Worker
from collector.logs import event
from collector.settings import Settings
from collector.store import Store, place

STANDBY_CHECK_S = 1.0
_log = logging.getLogger("breakeven")


async def opened(open_store: Callable[[], Store], asked: asyncio.Event) -> Store | None:
    """The open store; None when the end was asked for while a database did not answer. Raises StoreError."""
    opening = asyncio.ensure_future(Worker("store-opener").run(open_store))
    ending = asyncio.ensure_future(asked.wait())
    await asyncio.wait((opening, ending), return_when=asyncio.FIRST_COMPLETED)
    ending.cancel()
    if opening.done():
        return opening.result()
    opening.cancel()
    return None


async def opened_in_turn(
    open_store: Callable[[], Store], asked: asyncio.Event, waits: Callable[[], None]
) -> Store | None:
    """As `opened`, once the process that writes to the SQLite file has ended; `waits` is called while it has not.

    Raises StoreError.
    """
    while not asked.is_set():
        try:
            return await opened(open_store, asked)
        except DatabaseInUseError as error:
            event(_log, logging.WARNING, "waiting for another daemon to end", about="standby", error=error)
            waits()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asked.wait(), STANDBY_CHECK_S)
    return None


def wants_spool(settings: Settings, url: str) -> bool:
    """Whether samples need a place while the database is away: a SQLite file is as near as a spool."""
    return settings.storage.spool.max_bytes > 0 and place(url).path is None


def opened_spool(settings: Settings, clock: Clock) -> Spool:
    """The spool, with what an earlier run left there. Raises StoreError."""
    wanted = settings.storage.spool
    spool = Spool.open(wanted.path, wanted.max_bytes, clock, watermark_of(settings.storage))
    if spool.set_aside is not None:
        event(_log, logging.ERROR, "the spool was unusable; a fresh one is in its place", moved_to=spool.set_aside)
    if not spool.empty:
        event(_log, logging.INFO, "samples of an earlier run wait on the spool", samples=spool.health.waiting)
    return spool
