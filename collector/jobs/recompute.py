"""The periodic job under APScheduler that recomputes the report. It never raises into the scheduler."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from analyzer.report import Report
from collector.clock import Clock
from collector.errors import LeaseLostError, StoreError
from collector.export.snapshot import State
from collector.health import Health
from collector.jobs.analyse import Analyse
from collector.jobs.heap import give_back
from collector.jobs.polled import Roster
from collector.jobs.sink import Sink
from collector.jobs.standby import Standby
from collector.jobs.turn import Turn
from collector.jobs.worker import Worker
from collector.logs import event
from collector.settings.model import Settings
from collector.store import Store

_log = logging.getLogger("breakeven.analysis")


class Recompute:
    """Rolls up closed buckets, then makes a report and puts it where the exports look."""

    def __init__(
        self,
        analyse: Analyse,
        store: Store,
        sink: Sink,
        writer: Worker,
        reader: Worker,
        roster: Roster,
        state: State,
        turn: Turn,
        clock: Clock,
        made: Callable[[Report | None], None] = lambda _: None,
    ) -> None:
        """`made` is given every report that this daemon makes, None when another one does; it must not wait."""
        self._analyse = analyse
        self._store = store
        self._sink = sink
        self._writer = writer
        self._reader = reader
        self._roster = roster
        self._state = state
        self._turn = turn
        self._standby = Standby(store, roster)
        self._clock = clock
        self._made = made
        self._settings: Settings | None = None

    def configure(self, settings: Settings) -> None:
        """The next report is made by these settings."""
        self._settings = settings

    async def run(self) -> None:
        """Make one report, or show another daemon's. The former one stands when this fails, and grows old."""
        now_s, started_s = self._clock.wall_s(), self._clock.monotonic_s()
        health = self._state.health.analysis
        try:
            await self._sink.flush()
            if not self._turn.mine():
                self._made(None)
                await self._stand_by()
                return
            await self._writer.run_all(self._store.rolling_up, now_s, self._turn.check)
            settings = self._settings
            if settings is not None:
                await self._reader.run(self._analyse.configure, settings)
                # Others may have come meanwhile.
                self._settings = None if self._settings is settings else self._settings
            polled, epochs = dict(self._roster.polled), dict(self._roster.epochs)
            report = await self._reader.run(self._analyse.run, polled, epochs, now_s)
            spool = self._state.health.spool
            if spool is not None and spool.waiting:
                await self._reader.run(self._analyse.forget_hours)
            sparing = self._state.health.disk_nearly_full
            await self._writer.run(self._analyse.keep, report, self._turn.guard, sparing)
        except asyncio.CancelledError:  # at the daemon's end, which APScheduler would log with a traceback
            return
        except LeaseLostError as error:
            event(_log, logging.WARNING, "the report was not kept", about="analyser", error=error)
            self._made(None)
            return
        except StoreError as error:
            _failed(health, now_s, "store", str(error), "the report could not be made")
            return
        except Exception:  # noqa: BLE001 - a bug must not end the loop; it is counted and logged
            health.failed(now_s, "bug", "an unexpected error; the log has its traceback")
            _log.exception("the report could not be made", extra={"fields": {"reason": "bug"}})
            return
        health.succeeded(now_s, self._clock.monotonic_s() - started_s)
        for failure in report.failures:
            health.failures["item"] += 1
            event(_log, logging.ERROR, "figures could not be computed", about=failure)
        self._state.report = report
        self._made(report)
        # The report before is gone only now.
        with suppress(asyncio.CancelledError):
            await self._give_back()

    async def _give_back(self) -> None:
        writer, reader = self._writer, self._reader
        for worker, give in ((writer, self._store.writer.give_back), (reader, self._store.give_back)):
            with suppress(StoreError):
                await worker.run(give)
        await reader.run(give_back)

    async def _stand_by(self) -> None:
        """Show the report that another daemon stored. Raises StoreError."""
        report = await self._reader.run(self._standby.report, self._state.report, self._clock.wall_s())
        if report is None:
            return
        self._state.report = report
        self._state.health.analysis.elsewhere(report.made_at_s)
        lacking = self._standby.lacking(report)
        if lacking:
            text = "the daemon that analyses does not poll them: give both the same targets, or each its own database"
            event(_log, logging.WARNING, text, about="analyser", replicas=lacking)


def _failed(health: Health, now_s: float, reason: str, text: str, message: str) -> None:
    health.failed(now_s, reason, text)
    event(_log, logging.ERROR, message, about="store", reason=reason, error=text)
