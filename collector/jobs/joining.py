"""Finds again and again which GPUs the targets run on, where nothing states it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from collector.jobs.gpu_board import GpuBoard
from collector.jobs.joins import GpuJoins
from collector.jobs.listeners import Processes
from collector.jobs.targets import Target
from collector.jobs.worker import Worker

INTERVAL_S = 10.0
"""A server that was started again has other processes; looking at all of /proc costs some milliseconds."""


class JoinGpus:
    """The looks at processes and pods."""

    def __init__(
        self,
        joins: GpuJoins,
        board: GpuBoard,
        targets: Callable[[], Sequence[Target]],
        processes: Processes | None = None,
    ) -> None:
        """`targets` gives those that are polled now; without `processes`, this machine's are looked at."""
        self._joins = joins
        self._board = board
        self._targets = targets
        self._processes = Processes() if processes is None else processes
        self._worker = Worker("processes")

    async def run(self) -> None:
        """Look every few seconds until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL_S)
            await self.look()

    async def look(self) -> None:
        """Look once; /proc is read only where some GPU tells its processes."""
        targets, readings = self._targets(), self._board.readings()
        asked = self._joins.unstated(targets) if any(one.process_ids for one in readings) else []
        served = await self._worker.run(self._processes.serving, [target.address for target in asked])
        self._joins.look(targets, readings, served)

    def close(self) -> None:
        """Let a look in hand end by itself."""
        self._worker.close(0.0)
