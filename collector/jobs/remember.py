"""What earlier runs knew of today's targets: replicas of a target that is down at the start still count."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from collector.clock import Clock
from collector.errors import StoreError
from collector.health import Health
from collector.jobs.joins import GpuJoins
from collector.jobs.polled import Polled, Roster
from collector.jobs.targets import Target
from collector.jobs.worker import Worker
from collector.logs import event
from collector.store import Store

SEEN_S = 24 * 3600.0
"""A replica that was silent for longer is forgotten."""
AGAIN_S = 5.0
_log = logging.getLogger("breakeven.store")


class Memory:
    """Asks the database once it answers: at the start, or later where it was away then."""

    def __init__(
        self, store: Store, reader: Worker, roster: Roster, joins: GpuJoins, health: Health, clock: Clock
    ) -> None:
        """`health` is the store's."""
        self._store = store
        self._reader = reader
        self._roster = roster
        self._joins = joins
        self._health = health
        self._clock = clock

    async def take(self, targets: Sequence[Target]) -> bool:
        """Take what is known of these targets; whether the database told."""
        now_s = self._clock.wall_s()
        try:
            found = await self._reader.run(remembered, self._store, targets, now_s, self._joins)
        except StoreError as error:
            self._health.failed(now_s, "read_failed", str(error))
            event(_log, logging.ERROR, "what earlier runs saw is not known", about="store", error=error)
            return False
        for epoch, polled in found:
            self._roster.recall(polled, epoch)
        return True

    async def take_later(self, taken: bool, targets: Callable[[], Sequence[Target]]) -> None:
        """Unless it was taken: take it when samples were written again."""
        while not taken:
            await asyncio.sleep(AGAIN_S)
            taken = self._health.up is True and await self.take(targets())


def remembered(store: Store, targets: Sequence[Target], now_s: float, joins: GpuJoins) -> list[tuple[int, Polled]]:
    """Replicas last seen at these targets with their epochs; without figures. Raises StoreError."""
    by_url = {target.url: target for target in targets}
    newest = {one.replica: one for one in store.reader.epochs() if one.replica.target in by_url}
    seen = store.reader.latest(now_s - SEEN_S)
    found = []
    for key, epoch in newest.items():
        last = seen.get(key)
        target = by_url[key.target]
        if last is None:
            continue
        polled = Polled(
            replica=key,
            job=target.job.job_name,
            identity=epoch.identity,
            process_start=epoch.process_start,
            tick_s=last.at_s,
            at_s=last.at_s,
            interval_s=target.interval_s,
            fields={},
            simulated=target.simulated,
            gpu_uuids=joins.of(target).uuids,
        )
        found.append((last.epoch, polled))
    return found
