"""Polls a target of either kind: an engine's until its page shows GPUs, an exporter's until its page shows none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from collector.clock import Clock
from collector.errors import Kind
from collector.gpu.dcgm import ENGINE
from collector.health import TargetHealth
from collector.jobs.gpu_board import GpuBoard
from collector.jobs.gpu_page import PollGpuPage
from collector.jobs.joins import GpuJoins
from collector.jobs.poll import PollTarget
from collector.jobs.scraper import GpuPageError, gpu_scraper_of, scraper_of
from collector.jobs.sink import Sink
from collector.jobs.targets import Target
from collector.scrape.fetch import Fetcher
from collector.scrape.page import LayoutPool


@dataclass(frozen=True, slots=True)
class Parts:
    """What the polls of all targets share."""

    sink: Sink
    board: GpuBoard
    joins: GpuJoins
    layouts: LayoutPool
    clock: Clock

    def poll_of(self, target: Target, fetcher: Fetcher, health: TargetHealth) -> PollAny:
        """The polls of a target. Raises SourceError for TLS files that cannot be used."""
        scraper = scraper_of(target, fetcher, self.layouts)
        newest_s = self.sink.newest_s(target.url)
        engine = PollTarget(target, scraper, self.sink, health, self.clock, self.joins, newest_s)

        def gpu_page() -> PollGpuPage:
            return PollGpuPage(target, gpu_scraper_of(target, fetcher, self.clock), self.board, health, self.clock)

        return PollAny(engine, gpu_page, health, lambda: self.board.forget(target.url), target.job.engine == ENGINE)


class PollAny:
    """One target's polls, whatever its page shows."""

    def __init__(
        self,
        engine: PollTarget,
        gpu_page: Callable[[], PollGpuPage],
        health: TargetHealth,
        forget: Callable[[], None],
        stated: bool,
    ) -> None:
        """`forget` drops what an exporter showed here; `stated`: the operator says that it is an exporter.

        `gpu_page` makes the poll of an exporter, which few targets need.
        """
        self._engine = engine
        self._make_gpu_page = gpu_page
        self._gpu_page: PollGpuPage | None = None
        self._health = health
        self._forget = forget
        self._stated = stated
        self._shows_gpus = stated

    async def run(self) -> None:
        """Poll once; a page that has turned into an engine's is read at the next poll."""
        if not self._shows_gpus:
            try:
                await self._engine.run()
            except GpuPageError:
                self._shows_gpus = True
            else:
                return
        if self._gpu_page is None:
            self._gpu_page = self._make_gpu_page()
        await self._gpu_page.run()
        if not self._stated and self._health.reason == Kind.WRONG_ENGINE:
            self._shows_gpus = False
            self._forget()
