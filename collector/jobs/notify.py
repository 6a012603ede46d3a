"""Tells receivers when a settled verdict changes: beside the polls, again after a failure, no change twice.

Nothing is queued. What a receiver is still to be told is the difference between the last report and what the database
says that it knows: it survives a restart, a newer verdict takes an older one's place, and it cannot grow.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from analyzer.report import Report
from analyzer.verdict import Verdict
from collector.clock import Clock
from collector.errors import StoreError
from collector.export.verdict_news import News, news_of, slack_body, standing, webhook_body
from collector.health import DaemonHealth, ReceiverHealth
from collector.jobs.post import NotSentError, post
from collector.jobs.worker import Worker
from collector.logs import event
from collector.settings.notifications import NotificationConfig
from collector.store import Store
from collector.store.names import storable

FIRST_PAUSE_S = 5.0
LONGEST_PAUSE_S = 900.0
_log = logging.getLogger("breakeven.notifications")
Supervise = Callable[[str, Callable[[], Awaitable[None]]], Awaitable[None]]
"""Runs a part that never ends, and again when it breaks."""
_BODIES = {"slack": slack_body, "webhook": webhook_body}


class Notifier:
    """All receivers of the configuration, each with a task of its own: a slow one holds up no other."""

    def __init__(
        self,
        store: Store,
        writer: Worker,
        reader: Worker,
        health: DaemonHealth,
        clock: Clock,
        supervise: Supervise,
        first_pause_s: float = FIRST_PAUSE_S,
    ) -> None:
        self._store = store
        self._writer = writer
        self._reader = reader
        self._health = health
        self._clock = clock
        self._supervise = supervise
        self._first_pause_s = first_pause_s
        self._running: dict[str, tuple[NotificationConfig, Receiver, asyncio.Task[None]]] = {}
        self._report: Report | None = None

    def configure(self, receivers: Sequence[NotificationConfig]) -> None:
        """Tell exactly these from now on. To be called on the event loop."""
        wanted = {one.name: one for one in receivers}
        former: dict[str, Receiver] = {}
        for name, (config, receiver, task) in list(self._running.items()):
            if wanted.get(name) != config:
                former[name] = receiver
                task.cancel()
                del self._running[name]
                self._health.receivers.pop(name, None)
        for name, config in wanted.items():
            if name not in self._running:
                health = self._health.receivers[name] = ReceiverHealth(kind=config.kind)
                parts = self._store, self._writer, self._reader, health, self._clock, self._first_pause_s
                receiver = Receiver(config, *parts, former=former.get(name))
                task = asyncio.create_task(self._run(f"notifications {name}", receiver))
                self._running[name] = (config, receiver, task)
                receiver.take(self._report)

    def take(self, report: Report | None) -> None:
        """A new report: whoever is to be told of it is, later. None: another daemon makes them, and tells."""
        self._report = report
        for _, receiver, _ in self._running.values():
            receiver.take(report)

    async def close(self) -> None:
        """Stop telling; what was not told is told after the next start."""
        tasks = [task for _, _, task in self._running.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, name: str, receiver: Receiver) -> None:
        await self._supervise(name, receiver.run)


class Receiver:
    """One receiver: what it knows, and what it is to be told."""

    def __init__(
        self,
        config: NotificationConfig,
        store: Store,
        writer: Worker,
        reader: Worker,
        health: ReceiverHealth,
        clock: Clock,
        first_pause_s: float,
        former: Receiver | None = None,
    ) -> None:
        """`former` is what the same one was by another configuration: what it was sent may not have arrived."""
        self._config = config
        self._store = store
        self._writer = writer
        self._reader = reader
        self._health = health
        self._clock = clock
        self._first_pause_s = first_pause_s
        self._unanswered: dict[tuple[str, str], tuple[Verdict, Verdict]] = {} if former is None else former.unanswered
        """Verdicts that were sent, whether or not they arrived, and what was told before; by key in the database."""
        self._given_up: set[str] = set()
        """Messages that the receiver will never take; a changed configuration or a restart tries them again."""
        self._report: Report | None = None
        self._fresh = asyncio.Event()
        self._failures = 0

    @property
    def unanswered(self) -> dict[tuple[str, str], tuple[Verdict, Verdict]]:
        """For who takes its place: what was sent, whether or not it arrived."""
        return dict(self._unanswered)

    def take(self, report: Report | None) -> None:
        """Tell what is new in this report, as soon as the receiver may be bothered; nothing of None."""
        self._report = report
        self._fresh.set()

    async def run(self) -> None:
        """Tell for ever, and leave a receiver that fails alone for ever longer."""
        while True:
            await self._fresh.wait()
            self._fresh.clear()
            pause_s = None if self._report is None else await self._tell(self._report)
            if pause_s is not None:
                await asyncio.sleep(pause_s)
                self._fresh.set()

    async def _tell(self, report: Report) -> float | None:
        """Tell all news of a report; after a failure, seconds until the next attempt."""
        started_s = self._clock.monotonic_s()
        try:
            news = news_of(report, await self._known(report), self._config.verdicts)
            news = [one for one in news if one.id not in self._given_up]
            self._health.waiting = sum(len(one.changes) for one in news)
            for one in news:
                started_s = self._clock.monotonic_s()
                await self._send(one)
                self._health.waiting -= len(one.changes)
                self._health.succeeded(self._clock.wall_s(), self._clock.monotonic_s() - started_s)
                self._failures = 0
                event(_log, logging.INFO, "told of changed verdicts", about=self._config.name, id=one.id)
        except NotSentError as error:
            return self._failed(error.reason, str(error), started_s, error.pause_s, final=error.final)
        except StoreError as error:
            return self._failed("store", str(error), started_s)
        return None

    def _failed(
        self, reason: str, text: str, started_s: float, asked_s: float | None = None, *, final: bool = False
    ) -> float:
        self._health.failed(self._clock.wall_s(), reason, text, self._clock.monotonic_s() - started_s)
        pause_s = min(self._first_pause_s * 2.0 ** min(self._failures, 16), LONGEST_PAUSE_S)
        pause_s = pause_s if asked_s is None else max(pause_s, asked_s)
        self._failures += 1
        what = "it is not tried again before a reload or restart" if final else f"it is tried again in {pause_s:g} s"
        message = f"changed verdicts could not be told; {what}"
        event(_log, logging.ERROR, message, about=self._config.name, reason=reason, error=text)
        return pause_s

    async def _known(self, report: Report) -> dict[tuple[str, str], Verdict]:
        """What the receiver knows. What stands when it is first looked at is no change. Raises StoreError."""
        # Read anew each time: of several daemons on one database another may have told something since.
        told = await self._reader.run(self._store.reader.told, self._config.name)
        verdicts = standing(report)
        now = {_kept(key): verdict for key, verdict in verdicts.items()}
        for key, (sent, former) in self._unanswered.items():
            # To be said again while it holds; should it have arrived after all, another verdict is news.
            if told.get(key) is sent and now.get(key) is sent:
                told[key] = former
        fresh = {key: verdict for key, verdict in verdicts.items() if _kept(key) not in told}
        if fresh:
            await self._writer.run(self._store.writer.save_told, self._config.name, fresh)
            told |= {_kept(key): verdict for key, verdict in fresh.items()}
        return {key: told[_kept(key)] for key in verdicts}

    async def _send(self, news: News) -> None:
        """Tell one deployment's changes. Raises NotSentError and StoreError.

        It is written down first: were the daemon killed in between, none is better than the same one twice.
        """
        name, save = self._config.name, self._store.writer.save_told
        await self._writer.run(save, name, news.verdicts)
        self._unanswered |= {_kept(key): (news.verdicts[key], former) for key, former in news.former.items()}
        try:
            await post(self._config, _BODIES[self._config.kind](news))
        except NotSentError as error:
            if not error.arrived:
                await self._writer.run(save, name, news.former)
                self._answered(news)
            if error.final:
                self._given_up.add(news.id)
            raise
        self._answered(news)

    def _answered(self, news: News) -> None:
        for key in news.verdicts:
            self._unanswered.pop(_kept(key), None)


def _kept(key: tuple[str, str]) -> tuple[str, str]:
    """A key as the database has it."""
    return storable(key[0]), storable(key[1])
