"""The targets that are polled now, each by a loop of its own until it is no longer followed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from functools import partial
from typing import Any

from collector.errors import SourceError
from collector.health import DaemonHealth, TargetHealth, Work
from collector.jobs.any_target import Parts
from collector.jobs.polled import Roster
from collector.jobs.targets import Target
from collector.jobs.ticks import Instants, every, first_delay_s
from collector.scrape.fetch import Fetcher

FIRST_POLLS_PER_S = 200.0
"""Many targets are begun one after another: their pages are not in memory all at once."""
_log = logging.getLogger("breakeven")


class Followed:
    """Begins and ends the loops; what is known of a target that is gone goes with it."""

    def __init__(self, parts: Parts, roster: Roster, health: DaemonHealth, instants: Instants) -> None:
        self._parts = parts
        self._roster = roster
        self._health = health
        self._instants = instants
        self._loops: dict[str, asyncio.Task[Any]] = {}
        self._targets: dict[str, Target] = {}

    @property
    def loops(self) -> Collection[asyncio.Task[Any]]:
        """Those that run, to be cancelled at the end."""
        return self._loops.values()

    def now(self) -> list[Target]:
        """The targets that are polled."""
        return list(self._targets.values())

    def exactly(self, targets: list[Target], fetcher: Fetcher) -> None:
        """Poll exactly these targets: new ones are begun, those that are gone are forgotten with their series."""
        wanted = {target.url: target for target in targets}
        changed = {url for url, target in wanted.items() if self._targets.get(url, target) != target}
        for url in (self._loops.keys() - wanted.keys()) | changed:
            self._loops.pop(url).cancel()
            del self._targets[url]
            self._parts.board.forget(url)
            self._health.targets.pop(url, None)
            self._roster.forget(url)
        fresh = [target for url, target in wanted.items() if url not in self._loops]
        for number, target in enumerate(fresh):
            self._targets[target.url] = target
            begin_s = number / FIRST_POLLS_PER_S
            self._loops[target.url] = asyncio.create_task(self._poll(target, fetcher, begin_s))

    async def _poll(self, target: Target, fetcher: Fetcher, begin_s: float) -> None:
        """For ever; what lacks for now may come."""
        health = TargetHealth(url=target.url, job=target.job.job_name, simulated=target.simulated)
        self._health.targets[target.url] = health
        while True:
            try:
                poll = self._parts.poll_of(target, fetcher, health)
                await asyncio.sleep(begin_s)
                await poll.run()
                first_s = first_delay_s(target.url, target.interval_s, self._parts.clock.wall_s())
                skipped = partial(self._health.skipped, Work.POLL)
                await every(target.interval_s, first_s, self._instants, poll.run, skipped)
            except SourceError as error:
                health.failed(self._parts.clock.wall_s(), error.kind.value, str(error))
            except Exception:  # noqa: BLE001 - a bug must not silence a target for good
                _log.exception("a target's polls broke", extra={"fields": {"about": target.url, "reason": "bug"}})
            await asyncio.sleep(target.interval_s)
