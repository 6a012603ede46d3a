"""Of several daemons on one database one analyses: asks again and again whose turn it is, and goes on holding ours."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy import Connection

from collector.clock import Clock
from collector.errors import SchemaTooNewError, StoreError
from collector.health import DaemonHealth
from collector.jobs.worker import Worker
from collector.logs import event
from collector.store import Lease, Standing

LONGEST_S = 60.0
"""However rare reports are, a daemon that is gone is noticed in twice this time."""
BEATS = 4
"""So many beats fall into the time after which a turn is lost."""
RELEASE_LIMIT_S = 1.0
_SILENT = "the database does not answer"
_log = logging.getLogger("breakeven.analysis")


def lasts_s(evaluation_interval_s: float) -> float:
    """How long a turn lasts unrenewed: with the beat before and the look after it, 1.5 intervals at most."""
    return min(evaluation_interval_s, LONGEST_S)


class Turn:
    """Whether it is this daemon's turn to analyse. Beats on a thread of its own, which no long write holds up."""

    def __init__(self, lease: Lease, health: DaemonHealth, lasts_s: float, clock: Clock) -> None:
        """Whom the database named is known for `lasts_s`, as long as a turn lasts: then another may have it."""
        self._lease = lease
        self._health = health
        self._lasts_s = lasts_s
        self._every_s = lasts_s / BEATS
        self._clock = clock
        self._worker = Worker("store-lease")
        self._last: Standing | None = None
        self._told_s = (clock.monotonic_s(), clock.wall_s())
        self._known = True
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
        begun_s = (self._clock.monotonic_s(), self._clock.wall_s())
        beat = asyncio.ensure_future(self._worker.run(self._lease.beat))
        try:
            # Over a cut network it takes a minute before the database's silence is an error.
            await asyncio.wait({beat}, timeout=max(self._every_s, self._told_s[0] + self._lasts_s - begun_s[0]))
            if not beat.done():
                self._unknown()
            standing = await beat
        except StoreError as error:
            event(_log, logging.WARNING, "whose turn it is to analyse is not known", about="analyser", error=error)
            if self._clock.monotonic_s() - self._told_s[0] >= self._lasts_s:
                self._unknown(str(error) if isinstance(error, SchemaTooNewError) else _SILENT)
            return
        finally:
            beat.cancel()
        self._told_s = begun_s
        self._take(standing, changed)

    def _take(self, standing: Standing, changed: Callable[[bool], None]) -> None:
        """What the database said; only what is new is told."""
        former, known = self._last, self._known
        self._last, self._known = standing, True
        self._health.analyser = standing.holder
        if known and former == standing:
            return
        self._notice(None if standing.mine else f"{standing.holder or 'no daemon'} makes the reports shown here")
        if standing.mine:
            event(_log, logging.INFO, "this daemon analyses", name=standing.holder)
        elif standing.holder is None:
            event(_log, logging.WARNING, "no daemon analyses: the lock beside the SQLite file was removed; start again")
        else:
            text = "another daemon analyses; this one polls, stores and shows that one's reports"
            event(_log, logging.INFO if former is None else logging.WARNING, text, holder=standing.holder)
        if former is not None and former.mine != standing.mine:
            changed(standing.mine)

    def _unknown(self, why: str = _SILENT) -> None:
        """Name nobody: the one that the database named last may have been followed."""
        if not self._known:
            return
        self._known = False
        self._health.analyser = None
        since = datetime.fromtimestamp(self._told_s[1], UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        self._notice(f"which daemon makes the reports is not known since {since}: {why}")

    def _notice(self, text: str | None) -> None:
        """Tell whoever looks at the page where its reports come from, unless from here (None)."""
        notices = self._health.notices
        if self._noticed in notices:
            notices.remove(self._noticed)
        self._noticed = text
        if text is not None:
            notices.append(text)

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
