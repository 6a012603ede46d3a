"""Polls a target of either kind: an engine's until its page shows GPUs, an exporter's until its page shows none."""

from __future__ import annotations

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
from collector.jobs.tls_contexts import TlsContexts
from collector.scrape.fetch import Fetcher
from collector.scrape.page import LayoutPool


@dataclass(frozen=True, slots=True)
class Parts:
    """What the polls of all targets share."""

    sink: Sink
    board: GpuBoard
    joins: GpuJoins
    layouts: LayoutPool
    contexts: TlsContexts
    clock: Clock

    def poll_of(self, target: Target, fetcher: Fetcher, health: TargetHealth) -> PollAny:
        """The polls of a target. Raises SourceError for forward-pass records that cannot be listened to."""
        scraper = scraper_of(target, fetcher, self.contexts, self.layouts)
        newest_s = self.sink.newest_s(target.url)
        engine = PollTarget(target, scraper, self.sink, health, self.clock, self.joins, newest_s)
        return PollAny(target, fetcher, health, engine, self)


class PollAny:
    """One target's polls, whatever its page shows."""

    __slots__ = ("_engine", "_fetcher", "_gpu_page", "_health", "_parts", "_shows_gpus", "_target")

    def __init__(
        self, target: Target, fetcher: Fetcher, health: TargetHealth, engine: PollTarget, parts: Parts
    ) -> None:
        """`engine` polls an engine's page; the poll of an exporter's, which few targets need, is made of `parts`."""
        self._target = target
        self._fetcher = fetcher
        self._health = health
        self._engine = engine
        self._parts = parts
        self._gpu_page: PollGpuPage | None = None
        self._shows_gpus = self._stated

    @property
    def _stated(self) -> bool:
        """Whether the operator says that it is an exporter."""
        return self._target.job.engine == ENGINE

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
            scraper = gpu_scraper_of(self._target, self._fetcher, self._parts.contexts, self._parts.clock)
            self._gpu_page = PollGpuPage(self._target, scraper, self._parts.board, self._health, self._parts.clock)
        await self._gpu_page.run()
        if not self._stated and self._health.reason == Kind.WRONG_ENGINE:
            self._shows_gpus = False
            self._parts.board.forget(self._target.url)
