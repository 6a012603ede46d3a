"""Forgets epochs and replicas of which nothing is kept any longer: a server that renames its model makes one a poll."""

from __future__ import annotations

from sqlalchemy import Connection, delete, func, select

from collector.store.schema import HOUR_MS, epochs, replicas, stale_buckets, stale_hours


def forget_epochs(connection: Connection, samples_since_ms: int, hours_since_ms: int) -> int:
    """Delete epochs without samples, totals and hours, given since when those are kept; how many replicas went.

    An epoch that never had an hour had samples at most. Nothing is forgotten of a time that is still to be added up.
    """
    for marks in (stale_buckets, stale_hours):
        oldest = connection.execute(select(func.min(marks.c.bucket_ms))).scalar()
        if oldest is not None:
            samples_since_ms = min(samples_since_ms, oldest - HOUR_MS)
    begun_ms = epochs.c.started_at_us / 1000
    never = epochs.c.last_hour_ms.is_(None) & (begun_ms < samples_since_ms - HOUR_MS)
    connection.execute(delete(epochs).where(never | (epochs.c.last_hour_ms < hours_since_ms - HOUR_MS)))
    return connection.execute(delete(replicas).where(replicas.c.id.not_in(select(epochs.c.replica_id)))).rowcount
