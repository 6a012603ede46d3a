"""Polls a target whose page shows GPUs: readings to the board, how it went to the health."""

from __future__ import annotations

import logging

from collector.clock import Clock
from collector.gpu.dcgm import ENGINE, READS
from collector.gpu.dcgm_target import GpuPageScraper
from collector.health import TargetHealth
from collector.jobs.failed_polls import note_failure
from collector.jobs.gpu_board import GpuBoard
from collector.jobs.targets import Target
from collector.logs import event

_log = logging.getLogger("breakeven.poll")


class PollGpuPage:
    """One exporter's polls: its GPUs to the board; a failed poll leaves none of them standing."""

    def __init__(
        self, target: Target, scraper: GpuPageScraper, board: GpuBoard, health: TargetHealth, clock: Clock
    ) -> None:
        self._target = target
        self._scraper = scraper
        self._board = board
        self._health = health
        self._clock = clock

    async def run(self) -> None:
        """Poll once."""
        at_s, started_s = self._clock.wall_s(), self._clock.monotonic_s()
        was_up = self._health.up
        try:
            scrape = await self._scraper.scrape()
        except Exception as error:  # noqa: BLE001 - not even a bug ends the loop; it is counted and logged
            took_s = self._clock.monotonic_s() - started_s
            kind = note_failure(self._target, self._health, error, at_s, took_s)
            self._board.failed(self._target.url, kind.value, at_s)
            return
        self._health.succeeded(at_s, scrape.duration_s)
        self._health.engine = ENGINE
        self._health.samples, self._health.body_bytes = scrape.samples, scrape.size_bytes
        given = {name for one in scrape.readings for name, value in one.fields.items() if value is not None}
        self._health.unreported = tuple(name for name in READS if name not in given)
        if not was_up:
            event(_log, logging.INFO, "target is up", about=self._target.url, engine=ENGINE)
        # The page was asked for just before its answer came: that is when its figures were served.
        sent_s = self._clock.wall_s() - scrape.duration_s
        self._board.put(self._target.url, scrape.readings, sent_s, self._target.interval_s, scrape.duration_s)
