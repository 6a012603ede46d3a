"""Makes five-minute totals from the raw samples of closed buckets, with the analysis' own windows.

A window belongs to the bucket in which it ends, so every pair of neighbouring samples is counted once. What is still
to do stands in `stale_buckets`: marked in the transaction that wrote samples, cleared in the one that wrote their
totals. So a killed process loses no bucket and repeats at most one, and late samples bring their bucket back.
"""

from __future__ import annotations

from collections import defaultdict, deque
from typing import Any

from sqlalchemy import Connection, Row, delete, select

from analyzer.samples import ReplicaSample
from analyzer.windows import DIP_WINDOWS, Totals, add_up, pairwise_totals
from collector.store.codec import microseconds, replica_sample, totals_row
from collector.store.engine import Engines
from collector.store.read import replica_of_epoch
from collector.store.schema import BUCKET_MS, epochs, replica_samples, stale_buckets
from collector.store.spans import last_row_before, rows_between
from collector.store.write import upsert_totals


def roll_up(engines: Engines, now_s: float) -> int:
    """Bring the totals of every bucket that ended by `now_s` up to date; how many buckets that took.

    One transaction per bucket. A window longer than a bucket (polls more than two minutes apart) is counted right as
    long as a replica's samples arrive in the order they were taken. Raises StoreError.
    """
    closed_ms = microseconds(now_s) // 1000 - BUCKET_MS
    done = 0
    while (made := engines.write(lambda connection: _roll_up_one(connection, closed_ms))) is not None:
        done += made
    return done


def _roll_up_one(connection: Connection, closed_ms: int) -> int | None:
    """Roll up the oldest stale bucket: 1, or 0 when another process took it first; None when there is none."""
    wanted = select(stale_buckets.c.bucket_ms).where(stale_buckets.c.bucket_ms <= closed_ms)
    bucket = connection.execute(wanted.order_by(stale_buckets.c.bucket_ms).limit(1)).scalar()
    if bucket is None:
        return None
    # Clearing the mark comes first: it waits for whoever is adding samples here, and they wait for us.
    if connection.execute(delete(stale_buckets).where(stale_buckets.c.bucket_ms == bucket)).rowcount == 0:
        return 0
    upsert_totals(connection, [totals_row(bucket, totals) for totals in bucket_totals(connection, bucket)])
    return 1


def bucket_totals(connection: Connection, bucket_ms: int) -> list[Totals]:
    """The totals of the windows that end in one bucket, one per epoch."""
    start_us, end_us = bucket_ms * 1000, (bucket_ms + BUCKET_MS) * 1000
    keys = replica_of_epoch(connection)
    before: dict[int, deque[Row[Any]]] = defaultdict(lambda: deque(maxlen=DIP_WINDOWS + 2))
    within: dict[int, list[ReplicaSample]] = defaultdict(list)
    for row in rows_between(connection, replica_samples, start_us - BUCKET_MS * 1000, end_us):
        if row.tick_ms * 1000 + row.offset_us < start_us:
            before[row.epoch_id].append(row)
        else:
            within[row.epoch_id].append(replica_sample(row, keys[row.epoch_id]))
    made = []
    for epoch, found in within.items():
        rows = before.get(epoch) or [_long_before(connection, epoch, start_us)]
        begun = [replica_sample(row, keys[epoch]) for row in rows if row is not None]
        parts = pairwise_totals([*begun, *found])
        # What begins earlier is only there to know a dip by; windows that end earlier belong to other buckets.
        made.append(add_up(part for part in parts if microseconds(part.end_s) >= start_us))
    return [totals for totals in made if totals is not None]


def _long_before(connection: Connection, epoch: int, start_us: int) -> Row[Any] | None:
    """The last row of an epoch that was silent for longer than a bucket; None for a new one, without searching."""
    begun_us = connection.execute(select(epochs.c.started_at_us).where(epochs.c.id == epoch)).scalar()
    if begun_us is None or begun_us >= start_us:
        return None
    return last_row_before(connection, replica_samples, start_us, [epoch])
