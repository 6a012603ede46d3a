"""What earlier runs knew of today's targets: replicas of a target that is down at the start still count."""

from __future__ import annotations

from collections.abc import Sequence

from collector.jobs.joins import GpuJoins
from collector.jobs.polled import Polled, Roster
from collector.jobs.targets import Target
from collector.store import Store

SEEN_S = 24 * 3600.0
"""A replica that was silent for longer is forgotten."""


def remember(store: Store, targets: Sequence[Target], roster: Roster, now_s: float, joins: GpuJoins) -> None:
    """Put the replicas last seen at these targets on the roster, without figures. Raises StoreError."""
    by_url = {target.url: target for target in targets}
    newest = {one.replica: one for one in store.reader.epochs() if one.replica.target in by_url}
    for key, epoch in newest.items():
        last = store.reader.last_sample(key)
        target = by_url[key.target]
        if last is None or now_s - last.at_s > SEEN_S:
            continue
        roster.epochs[key] = last.epoch
        roster.polled[key] = Polled(
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
