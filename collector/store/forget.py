"""Forgets epochs and replicas of which nothing is kept any longer: a server that renames its model makes one a poll."""

from __future__ import annotations

from sqlalchemy import Connection, delete, func, select

from collector.store.schema import (
    HOUR_MS,
    epochs,
    replica_blocks,
    replica_samples,
    replicas,
    stale_buckets,
    stale_hours,
)

EPOCHS_AT_ONCE = 10_000


def forget_epochs(connection: Connection, samples_since_ms: int, hours_since_ms: int) -> int:
    """Delete epochs without samples, totals and hours, given since when those are kept; how many replicas went.

    An epoch that never had an hour had samples at most. Nothing is forgotten of a time that is still to be added up:
    neither an epoch that ended then, nor one that came back then after a long absence.
    """
    unadded = []
    for marks in (stale_buckets, stale_hours):
        oldest = connection.execute(select(func.min(marks.c.bucket_ms))).scalar()
        if oldest is not None:
            unadded.append(oldest - HOUR_MS)
    samples_since_ms = min(samples_since_ms, *unadded) if unadded else samples_since_ms
    begun_ms = epochs.c.started_at_us / 1000
    never = epochs.c.last_hour_ms.is_(None) & (begun_ms < samples_since_ms - HOUR_MS)
    long_gone = select(epochs.c.id).where(never | (epochs.c.last_hour_ms < hours_since_ms - HOUR_MS))
    gone = set(connection.execute(long_gone).scalars())
    if gone and unadded:
        for since_ms, member in (
            (replica_samples.c.tick_ms, replica_samples.c.epoch_id),
            (replica_blocks.c.bucket_ms, replica_blocks.c.epoch_id),
        ):
            came_back = select(member).where(since_ms >= min(unadded)).distinct()
            gone -= set(connection.execute(came_back).scalars())
    for begin in range(0, len(gone), EPOCHS_AT_ONCE):
        some = sorted(gone)[begin : begin + EPOCHS_AT_ONCE]
        connection.execute(delete(epochs).where(epochs.c.id.in_(some)))
    return connection.execute(delete(replicas).where(replicas.c.id.not_in(select(epochs.c.replica_id)))).rowcount
