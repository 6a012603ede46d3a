"""Makes five-minute totals from the raw samples of closed buckets, with the analysis' own windows.

A window belongs to the bucket in which it ends, so every pair of neighbouring samples is counted once. What is still
to do stands in `stale_buckets`: marked in the transaction that wrote samples, cleared in the one that wrote their
totals. So a killed process loses no bucket and repeats at most one, and late samples bring their bucket back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, select

from analyzer.columns import totals_of_columns
from analyzer.windows import DIP_WINDOWS, Totals
from collector.store.codec import microseconds, replica_columns, seconds, totals_row
from collector.store.engine import Engines
from collector.store.read import replica_of_epoch
from collector.store.schema import BUCKET_MS, HISTOGRAM_COLUMNS, epochs, replica_samples, stale_buckets
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
    before: dict[int, list[Row[Any]]] = defaultdict(list)
    within: dict[int, list[Row[Any]]] = defaultdict(list)
    for row in rows_between(connection, replica_samples, start_us - BUCKET_MS * 1000, end_us):
        group = before if row.tick_ms * 1000 + row.offset_us < start_us else within
        group[row.epoch_id].append(row)
    made = []
    for epoch, found in within.items():
        begun = _enough(connection, epoch, _last_of(before[epoch]), start_us)
        # What begins earlier is only there to know a dip by, and what a histogram grew from; windows that end earlier
        # belong to other buckets.
        columns = replica_columns([*begun, *found], keys[epoch])
        made.append(totals_of_columns(columns, lambda ends_s: ends_s >= seconds(start_us)).get(1))
    return [totals for totals in made if totals is not None]


def _enough(connection: Connection, epoch: int, rows: Sequence[Row[Any]], start_us: int) -> list[Row[Any]]:
    """The rows, and where they are too few to know a dip by, older ones before them: polls are rare, or had ceased."""
    found = list(rows)
    while len(found) <= DIP_WINDOWS:
        first_us = found[0].tick_ms * 1000 + found[0].offset_us if found else start_us
        older = _long_before(connection, epoch, first_us)
        if older is None:
            break
        found.insert(0, older)
    return found


def _last_of(rows: Sequence[Row[Any]]) -> Sequence[Row[Any]]:
    """The last rows before a bucket, from where a histogram's increase in it may begin and a dip before that."""
    begin = len(rows) - 1
    for column in HISTOGRAM_COLUMNS.values():
        carrying = (at for at in range(len(rows) - 1, -1, -1) if getattr(rows[at], column) is not None)
        begin = min(begin, next(carrying, begin))
    return rows[max(0, begin - DIP_WINDOWS - 1) :]


def _long_before(connection: Connection, epoch: int, start_us: int) -> Row[Any] | None:
    """An epoch's last row before an instant, however long before; None for one that began later, without searching."""
    begun_us = connection.execute(select(epochs.c.started_at_us).where(epochs.c.id == epoch)).scalar()
    if begun_us is None or begun_us >= start_us:
        return None
    return last_row_before(connection, replica_samples, start_us, [epoch])
