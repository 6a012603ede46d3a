"""Of several daemons on one database one analyses: asks again and again whose turn it is, and goes on holding ours."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from sqlalchemy import Connection

from collector.errors import StoreError
from collector.health import DaemonHealth
from collector.jobs.worker import Worker
from collector.logs import event
from collector.store import Lease, Standing

LONGEST_S = 60.0
"""However rare reports are, a daemon that is gone is noticed in twice this time."""
BEATS = 4
"""So many beats fall into the time after which a turn is lost."""
RELEASE_LIMIT_S = 1.0
_log = logging.getLogger("breakeven.analysis")


def lasts_s(evaluation_interval_s: float) -> float:
    """How long a turn lasts unrenewed: with the beat before and the look after it, 1.5 intervals at most."""
    return min(evaluation_interval_s, LONGEST_S)


class Turn:
    """Whether it is this daemon's turn to analyse. Beats on a thread of its own, which no long write holds up."""

    def __init__(self, lease: Lease, health: DaemonHealth, lasts_s: float) -> None:
        self._lease = lease
        self._health = health
        self._every_s = lasts_s / BEATS
        self._worker = Worker("store-lease")
        self._last: Standing | None = None
        self._noticed: str | None = None

    def mine(self) -> bool:
        """Whether the turn is ours now."""
        return self._lease.held()

    def guard(self, connection: Connection) -> None:
        """Within a transaction: it is ours until its end. Raises LeaseLostError."""
        self._lease.guard(connection)

    def check(self, connection: Connection) -> None:
        """It is ours now. Raises LeaseLostError."""
        self._lease.check(connection)

    async def run(self, changed: Callable[[bool], None]) -> None:
        """Beat until cancelled; `changed` is told whether it is our turn, when it was not, or no longer is."""
        while True:
            await self.look(changed)
            await asyncio.sleep(self._every_s)

    async def look(self, changed: Callable[[bool], None]) -> None:
        """Beat once."""
        try:
            standing = await self._worker.run(self._lease.beat)
        except StoreError as error:
            event(_log, logging.WARNING, "whose turn it is to analyse is not known", about="analyser", error=error)
            return
        former, self._last = self._last, standing
        self._health.analyser = standing.holder
        if former == standing:
            return
        self._notice(standing)
        if standing.mine:
            event(_log, logging.INFO, "this daemon analyses", name=standing.holder)
        else:
            text = "another daemon analyses; this one polls, stores and shows that one's reports"
            event(_log, logging.INFO if former is None else logging.WARNING, text, holder=standing.holder)
        if former is not None and former.mine != standing.mine:
            changed(standing.mine)

    def _notice(self, standing: Standing) -> None:
        """Tell whoever looks at the page that its reports come from elsewhere."""
        notices = self._health.notices
        if self._noticed in notices:
            notices.remove(self._noticed)
        self._noticed = None if standing.mine else f"{standing.holder or 'no daemon'} makes the reports shown here"
        if self._noticed is not None:
            notices.append(self._noticed)

    async def end(self) -> None:
        """Let the next one in, where the database answers in time."""
        try:
            async with asyncio.timeout(RELEASE_LIMIT_S):
                await self._worker.run(self._lease.release)
        except (StoreError, TimeoutError) as error:
            event(_log, logging.WARNING, "the turn to analyse was not given up", about="analyser", error=error)

    def close(self, limit_s: float) -> bool:
        """Let a beat in hand end, for at most `limit_s`; whether it did."""
        return self._worker.close(limit_s)
