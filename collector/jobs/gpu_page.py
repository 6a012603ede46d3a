"""Polls a target whose page shows GPUs: readings to the board, how it went to the health."""

from __future__ import annotations

import logging

from collector.clock import Clock
from collector.errors import Kind, SourceError
from collector.gpu.dcgm import ENGINE, READS
from collector.gpu.dcgm_target import GpuPageScraper
from collector.health import TargetHealth
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
        except SourceError as error:
            self._failed(error, at_s, started_s)
            return
        except Exception:  # noqa: BLE001 - a bug must not end the loop; it is counted and logged
            _log.exception("poll failed", extra={"fields": {"about": self._target.url, "reason": Kind.BUG.value}})
            bug = SourceError(Kind.BUG, "an unexpected error; the log has its traceback")
            self._failed(bug, at_s, started_s)
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

    def _failed(self, error: SourceError, at_s: float, started_s: float) -> None:
        self._health.refused(at_s, error, self._clock.monotonic_s() - started_s)
        self._board.failed(self._target.url, error.kind.value, at_s)
        about, job = self._target.url, self._target.job.job_name
        event(_log, logging.WARNING, "poll failed", about=about, job=job, reason=error.kind.value, error=error)
