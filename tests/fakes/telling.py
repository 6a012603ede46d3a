"""A notifier as the daemon runs it, and reports with verdicts that a test gives them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from analyzer.report import Report
from analyzer.verdict import Verdict
from collector.clock import SystemClock
from collector.health import DaemonHealth
from collector.jobs.notify import Notifier
from collector.jobs.worker import Worker
from collector.settings.notifications import NotificationConfig
from collector.store import Store
from tests.fakes.patience import until

WORTH_IT, EVALUATE, NO, NO_DATA = Verdict.WORTH_IT, Verdict.EVALUATE, Verdict.NO, Verdict.INSUFFICIENT_DATA


def judged(
    report: Report, verdict: Verdict, today: Verdict | None = None, since_s: float = 5.0, **changes: Any
) -> Report:
    """The report with this verdict for w4a16, and one that today's figures would give."""
    (one,) = report.deployments
    schemes = [
        replace(
            scheme,
            state=replace(scheme.state, verdict=verdict),
            judged=replace(
                scheme.judged,
                verdict=verdict if today is None else today,
                reasons_for=("1 GPU is given back", "it is fast"),
                reasons_against=("it pays back after 8 months", "lasting complexity"),
            ),
        )
        if scheme.scheme == "w4a16"
        else scheme
        for scheme in one.schemes
    ]
    return replace(report, deployments=(replace(one, schemes=tuple(schemes), **changes),))


@asynccontextmanager
async def telling(store: Store, *receivers: NotificationConfig) -> AsyncIterator[tuple[Notifier, DaemonHealth]]:
    """A notifier as the daemon runs it, quick to try again; it ends as the daemon ends it."""

    async def supervise(_: str, part: Callable[[], Awaitable[None]]) -> None:
        await part()

    writer, reader, health = Worker("writer"), Worker("reader"), DaemonHealth(started_s=0.0)
    notifier = Notifier(store, writer, reader, health, SystemClock(), supervise, first_pause_s=0.02)
    notifier.configure(receivers)
    try:
        yield notifier, health
    finally:
        await notifier.close()
        assert writer.close(5.0)
        assert reader.close(5.0)


async def known(store: Store, verdict: Verdict, name: str = "team") -> None:
    """Wait until a receiver's knowledge is written down."""
    await until(lambda: store.reader.told(name).get(("chat", "w4a16")) is verdict)
