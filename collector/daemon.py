"""The composition root: builds the parts from the settings, runs them, and ends them in order within ten seconds."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from collector import __version__
from collector.clock import Clock
from collector.errors import GpusLostError
from collector.export.snapshot import State
from collector.gpu.readings import GpuReader
from collector.health import DaemonHealth, Work
from collector.jobs.analyse import Analyse
from collector.jobs.any_target import Parts
from collector.jobs.descriptors import budget_of, raised_limit
from collector.jobs.discovery import Discovery, said
from collector.jobs.disk import watermark_of
from collector.jobs.followed import Followed
from collector.jobs.gpu_board import GpuBoard
from collector.jobs.gpus import PollGpus
from collector.jobs.joining import JoinGpus
from collector.jobs.joins import GpuJoins
from collector.jobs.named_last import NamedLast
from collector.jobs.notify import Notifier
from collector.jobs.own_gpus import OwnGpus
from collector.jobs.polled import Roster
from collector.jobs.recompute import Recompute
from collector.jobs.reload import reloaded
from collector.jobs.remember import Memory
from collector.jobs.serving import Serving, WebFlags
from collector.jobs.sink import Sink
from collector.jobs.spool import Spool
from collector.jobs.targets import Target
from collector.jobs.ticks import Instants, every, first_delay_s
from collector.jobs.tidy import Tidy
from collector.jobs.timetable import Job, Timetable
from collector.jobs.tls_contexts import TlsContexts
from collector.jobs.turn import Turn, lasts_s
from collector.jobs.worker import Worker
from collector.logs import event
from collector.scrape.fetch import Fetcher, client_session
from collector.scrape.page import LayoutPool
from collector.settings.model import Settings
from collector.store import Keep, Store

FLUSH_LIMIT_S = 3.0
SAVE_LIMIT_S = 2.0
CLOSE_LIMIT_S = 1.0
TIDY_INTERVAL_S = 3600
ROOM_INTERVAL_S = 60
"""So often old samples are deleted while a nearly full disk keeps new ones out."""
RESTART_PART_S = 5.0
DISCOVERY_CHECK_S = 30.0
FIRST_REPORT_S = 12.0
"""After two polls at the usual short intervals: a first report that says something."""
_log = logging.getLogger("breakeven")


class Daemon:
    """One run of the daemon. `targets` adds targets to those of the configuration; `gpus` replaces NVML."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        clock: Clock,
        *,
        targets: tuple[Target, ...] = (),
        gpus: GpuReader | None = None,
        own_gpus: OwnGpus | None = None,
        notices: tuple[str, ...] = (),
        load: Callable[[], Settings] | None = None,
        flags: WebFlags | None = None,
        spool: Spool | None = None,
    ) -> None:
        """`spool` takes what the store cannot; `own_gpus` keeps which GPUs are here.

        `load` reads the configuration anew and raises ConfigError; without it nothing can be reloaded.
        """
        self._settings = settings
        self._store = store
        self._clock = clock
        self._instants = Instants(clock)
        self.extra_targets = targets
        self._gpus, self._own_gpus = gpus, own_gpus
        self._gpus_lost: GpusLostError | None = None
        self._flags = WebFlags() if flags is None else flags
        self._load = load
        self._fetcher: Fetcher
        self._discovery: Discovery
        self._health = DaemonHealth(started_s=clock.wall_s(), notices=list(notices))
        self._health.damaged_blocks = store.damaged_blocks
        self._timetable = Timetable(clock, self._health)
        self._tidy_from_s = clock.monotonic_s()
        """Nothing is deleted before this instant (monotonic), whatever is planned anew meanwhile."""
        if store.set_aside is not None:
            self._health.storage_recovered = 1
            self._health.notices.append(f"the database was unusable and was moved to {store.set_aside}")
        if spool is not None and spool.set_aside is not None:
            self._health.notices.append(f"the spool was unusable and was moved to {spool.set_aside}")
        self._health.config.succeeded(clock.wall_s(), 0.0)
        self.state = State(version=__version__, health=self._health, ready=True)
        self._roster = Roster()
        self._writer, self._reader = Worker("store-writer"), Worker("store-reader")
        self._spool = spool
        self._health.spool = None if spool is None else spool.health
        self._beside = store.file if spool is None else settings.storage.spool.path
        self._sink = Sink(store, self._writer, self._roster, self._health, clock, spool, watermark_of(settings.storage))
        lasts = lasts_s(settings.global_.evaluation_interval)
        self._turn = Turn(store.lease(clock, lasts), self._health, lasts, clock)
        self.state.analyses = self._turn.mine
        self._board = GpuBoard(self._sink, self.state)
        self._joins = GpuJoins(settings.gpu_joins)
        parts = Parts(self._sink, self._board, self._joins, LayoutPool(), TlsContexts(), clock)
        self._followed = Followed(parts, self._roster, self._health, self._instants)
        self._joining = JoinGpus(self._joins, self._board, self._followed.now)
        self._notifier = Notifier(store, self._writer, self._reader, self._health, clock, self._supervised)
        self.recompute = Recompute(
            Analyse(store, settings),
            store,
            self._sink,
            self._writer,
            self._reader,
            self._roster,
            self.state,
            self._turn,
            clock,
            made=self._notifier.take,
        )

    def notice(self, text: str) -> None:
        """Show a line to whoever looks at the daemon."""
        if text not in self._health.notices:
            self._health.notices.append(text)

    async def reload(self) -> bool:
        """Take the configuration anew; a bad one changes nothing. Whether it was taken."""
        if not self._timetable.running:
            event(_log, logging.WARNING, "the configuration is not read again: the daemon is still starting")
            return False
        fresh = reloaded(self._settings, self._load, self._health.config, self._clock)
        if fresh is None:
            return False
        self._settings = fresh
        self._discovery.take(fresh)
        self._joins.stated = fresh.gpu_joins
        self.recompute.configure(fresh)
        self._notifier.configure(fresh.notifications)
        said(await self._discovery.refresh())
        self._followed.exactly(self._targets(), self._fetcher)
        self._plan()
        return True

    async def run(self, stop: asyncio.Event, started: Callable[[tuple[str, ...]], None]) -> None:
        """Serve until `stop` is set; `started` is told the URLs to open.

        Raises BreakevenError when it cannot listen, and GpusLostError where it is told to end when GPUs are gone.
        """
        budget = budget_of(raised_limit())
        serving = Serving(self._settings, self.state, self._clock, self._flags, self.reload)
        await serving.start(budget)
        session = client_session(budget.polls, self._settings.global_.allowed_networks)
        self._fetcher = Fetcher(session)
        self._discovery = Discovery(
            self._settings, self._fetcher, self._health.discovery, self._clock, kept=NamedLast(self._beside)
        )
        tasks: list[asyncio.Task[Any]] = []
        try:
            started(self.state.urls)
            said(await self._discovery.refresh())
            targets = self._targets()
            memory = Memory(self._store, self._reader, self._roster, self._joins, self._health.store, self._clock)
            remembered = await memory.take(targets)
            self._followed.exactly(targets, self._fetcher)
            tasks = [
                asyncio.create_task(self._supervised(name, part))
                for name, part in (
                    ("sink", self._sink.run),
                    ("turn", partial(self._turn.run, self._turned)),
                    ("discovery", self._discover),
                    ("clock", partial(self._timetable.watch_clock, self._clock_stepped)),
                    ("gpus", partial(self._poll_gpus, stop)),
                    ("joins", self._joining.run),
                    ("memory", partial(memory.take_later, remembered, self._followed.now)),
                )
            ]
            self._notifier.configure(self._settings.notifications)
            self._plan()
            self._timetable.start()
            await stop.wait()
            if self._gpus_lost is not None:
                raise self._gpus_lost
        finally:
            await self._end(serving, session, tasks)

    def _targets(self) -> list[Target]:
        found, problems = self._discovery.targets()
        said(problems)
        return [*self.extra_targets, *found]

    async def _supervised(self, name: str, part: Callable[[], Awaitable[None]]) -> None:
        """Run a part that never ends; one that breaks is logged and begun again."""
        while True:
            try:
                await part()
            except Exception:  # noqa: BLE001 - a bug in one part must not silence it for good
                _log.exception("a part of the daemon broke", extra={"fields": {"about": name, "reason": "bug"}})
                await asyncio.sleep(RESTART_PART_S)
            else:
                return

    async def _poll_gpus(self, stop: asyncio.Event) -> None:
        if self._gpus is None:
            return
        wanted = self._settings.gpu
        interval_s = wanted.interval
        health = self._health.gpu
        poll = PollGpus(self._gpus, self._board, health, self._clock, interval_s, wanted.exit_after, self._own_gpus)
        await poll.run()
        first_s = first_delay_s("gpus", interval_s, self._clock.wall_s())
        try:
            await every(interval_s, first_s, self._instants, poll.run, partial(self._health.skipped, Work.GPUS))
        except GpusLostError as error:
            event(_log, logging.ERROR, "ending, since GPUs that were read are gone", about="gpus", error=error)
            self._gpus_lost = error
            stop.set()

    async def _discover(self) -> None:
        """Ask the sources of targets again, each at its interval."""
        while True:
            # Looked at in between as well: a reload may bring a source.
            await asyncio.sleep(min(DISCOVERY_CHECK_S, self._discovery.wait_s(DISCOVERY_CHECK_S)))
            if self._discovery.wait_s(DISCOVERY_CHECK_S) == 0:
                said(await self._discovery.refresh())
                self._followed.exactly(self._targets(), self._fetcher)

    def _plan(self) -> None:
        """Plan the jobs anew."""
        retention = self._settings.storage.retention
        keep = Keep(retention.samples, retention.totals, retention.hours, retention.max_bytes)
        tidy = Tidy(self._store, keep, self._writer, self._health, self._turn, self._clock)
        interval_s = self._settings.global_.evaluation_interval
        first_report_s = min(FIRST_REPORT_S, interval_s)
        first_tidy_s = max(first_report_s, self._tidy_from_s - self._clock.monotonic_s())
        self._timetable.plan(
            {
                Work.RECOMPUTE: Job(self.recompute.run, interval_s, first_report_s),
                Work.TIDY: Job(tidy.run, TIDY_INTERVAL_S, first_tidy_s),
                Work.ROOM: Job(tidy.early, ROOM_INTERVAL_S, first_tidy_s),
            }
        )

    def _clock_stepped(self, step_s: float) -> None:
        """By a clock that is years ahead all history is old: whoever sets it has an hour to put it right.

        A step of less than that hour makes little older; where each put deleting off, a machine that sleeps and wakes
        would never come to it.
        """
        if abs(step_s) > TIDY_INTERVAL_S:
            self._tidy_from_s = self._clock.monotonic_s() + TIDY_INTERVAL_S
        self._plan()

    def _turned(self, mine: bool) -> None:
        """The turn to analyse came over from another daemon, whose last report is old already, or went to one."""
        if not mine:
            self._notifier.take(None)
        self._timetable.at_once(Work.RECOMPUTE)

    async def _end(self, serving: Serving, session: Any, tasks: list[asyncio.Task[Any]]) -> None:
        """Stop polling, write what waits, close; each step has its limit."""
        self._timetable.end()
        running = [*tasks, *self._followed.loops]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_LIMIT_S):
                await self._sink.flush()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SAVE_LIMIT_S):
                await self._sink.save()
        await self._turn.end()
        await session.close()
        await self._notifier.close()
        await serving.close()
        if self._gpus is not None:
            await self._gpus.close()
        # Told first, all of them: where the database hangs, they share the second that they are waited for.
        workers = (self._writer, self._reader, self._turn)
        for worker in workers:
            worker.close(0.0)
        until_s = self._clock.monotonic_s() + CLOSE_LIMIT_S
        ended = [worker.close(max(0.0, until_s - self._clock.monotonic_s())) for worker in workers]
        self._joining.close()
        self._discovery.close()
        if self._spool is not None:
            self._spool.close(CLOSE_LIMIT_S)
        if all(ended):
            self._store.close()
        event(_log, logging.INFO, "ended", samples_written=self._health.samples_written)
