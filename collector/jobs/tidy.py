"""The periodic job under APScheduler that seals and deletes what is old. It never raises into the scheduler."""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from collector.clock import STEP_S, Clock
from collector.errors import StoreError
from collector.health import DaemonHealth
from collector.jobs.turn import Turn
from collector.jobs.worker import Worker
from collector.logs import event
from collector.store import Keep, Store

_log = logging.getLogger("breakeven.store")
SEALED_AT_ONCE = 60
"""Five minutes so often: five hours in all, of which one has passed and the others were there before an upgrade."""


class Tidy:
    """Seals what is no longer added to and deletes what need not be kept, where it is this daemon's turn."""

    def __init__(
        self, store: Store, keep: Keep, writer: Worker, health: DaemonHealth, turn: Turn, clock: Clock
    ) -> None:
        self._store = store
        self._keep = keep
        self._writer = writer
        self._health = health
        self._turn = turn
        self._clock = clock
        self._offset_s = clock.wall_s() - clock.monotonic_s()
        health.max_bytes = keep.max_bytes

    async def early(self) -> None:
        """Tidy once if samples have stopped since the disk is nearly full."""
        if self._health.disk_nearly_full:
            await self.run()

    async def run(self) -> None:
        """Seal and delete once; not after a step of the wall clock that nobody has had the time to put right."""
        if not self._turn.mine():
            return
        now_s, started_s, tight = self._clock.wall_s(), self._clock.monotonic_s(), self._health.disk_nearly_full
        before_s, self._offset_s = self._offset_s, now_s - started_s
        if abs(self._offset_s - before_s) > STEP_S:
            return
        try:
            unsealed = None if tight else await self._seal(now_s)
            pruned = await self._writer.run_all(partial(self._store.pruning, self._keep, now_s, tight=tight))
        except asyncio.CancelledError:  # at the daemon's end, which APScheduler would log with a traceback
            return
        except StoreError as error:
            self._failed(now_s, error)
            return
        except Exception:  # noqa: BLE001 - a bug must not end the loop; it is counted and logged
            self._health.tidy.failed(now_s, "bug", "an unexpected error; the log has its traceback")
            _log.exception("old samples could not be sealed or deleted", extra={"fields": {"reason": "bug"}})
            return
        self._health.used_bytes = pruned.used_bytes
        if unsealed is not None:
            self._failed(now_s, unsealed)
            return
        self._health.tidy.succeeded(now_s, self._clock.monotonic_s() - started_s)
        event(_log, logging.DEBUG, "deleted what is old", pruned=pruned)

    def _failed(self, now_s: float, error: StoreError) -> None:
        self._health.tidy.failed(now_s, "store", str(error))
        event(
            _log,
            logging.ERROR,
            "old samples could not be sealed or deleted",
            about="store",
            reason="store",
            error=error,
        )

    async def _seal(self, now_s: float) -> StoreError | None:
        """Five minutes after five minutes: samples are written in between. The failure that ended it; None for none.

        What cannot be sealed is no reason not to delete what is old: the disk would fill.
        """
        try:
            for _ in range(SEALED_AT_ONCE):
                if await self._writer.run(self._store.seal, now_s) == 0:
                    break
        except StoreError as error:
            return error
        return None
