"""Reads the GPUs again and again: readings to the board, and how the driver does to its health."""

from __future__ import annotations

import asyncio
import logging

from collector.clock import Clock
from collector.errors import GpusLostError
from collector.gpu.readings import GpuReader, GpuState
from collector.health import GpuSourceHealth
from collector.jobs.gpu_board import DRIVER, GpuBoard
from collector.jobs.own_gpus import OwnGpus
from collector.logs import event

_log = logging.getLogger("breakeven.gpu")


class PollGpus:
    """One poll of all GPUs."""

    def __init__(
        self,
        reader: GpuReader,
        board: GpuBoard,
        health: GpuSourceHealth,
        clock: Clock,
        interval_s: float,
        exit_after_s: float | None = None,
        own: OwnGpus | None = None,
    ) -> None:
        """`health` is that of the driver as a source; `exit_after_s` how long it may be down once it was up.

        `own` keeps the GPUs that are shown for the next run.
        """
        self._own = OwnGpus(None) if own is None else own
        self._reader = reader
        self._board = board
        self._health = health
        self._clock = clock
        self._interval_s = interval_s
        self._exit_after_s = exit_after_s
        self._last_up_s: float | None = None

    async def run(self) -> None:
        """Read once. A failed reading leaves no GPU's figures standing. Raises GpusLostError."""
        at_s, started_s = self._clock.wall_s(), self._clock.monotonic_s()
        self._reader.release(one.uuid for one in self._board.readings())
        poll = await self._reader.read()
        duration_s = self._clock.monotonic_s() - started_s
        self._health.process_bytes = poll.status.child_rss_bytes
        self._health.processes_started = poll.status.children_started
        if poll.status.up:
            self._health.succeeded(at_s, duration_s)
            self._last_up_s = started_s
        else:
            self._health.failed(at_s, poll.status.state.value, poll.status.message, duration_s)
            if poll.status.state is not GpuState.ABSENT:
                event(
                    _log,
                    logging.WARNING,
                    "GPUs could not be read",
                    about="gpus",
                    reason=poll.status.state.value,
                    error=poll.status.message,
                    remedy=poll.status.remedy,
                )
        self._board.put(DRIVER, poll.gpus, at_s, self._interval_s, duration_s)
        shown = [one.uuid for one in poll.gpus if one.reason is None]
        if self._own.due(shown, at_s):
            await asyncio.to_thread(self._own.write, shown, at_s)
        if self._exit_after_s is None or self._last_up_s is None or poll.status.up:
            return
        down_s = started_s - self._last_up_s
        if down_s >= self._exit_after_s:
            text = f"GPUs could not be read for {down_s:.0f} s ({poll.status.message}): gpu.exit_after is over"
            raise GpusLostError(text)
