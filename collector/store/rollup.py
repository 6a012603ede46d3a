"""Makes five-minute totals from the raw samples of closed buckets, with the analysis' own windows, and hours of those.

A window belongs to the bucket in which it ends, so every pair of neighbouring samples is counted once. What is still
to do stands in `stale_buckets`: marked in the transaction that wrote samples, cleared in the one that wrote their
totals. So a killed process loses no bucket and repeats at most one, and late samples bring their bucket back. Hours
follow from five-minute totals in the same way, by `stale_hours`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, Table, delete, select

from analyzer.columns import totals_of_columns
from analyzer.windows import DIP_WINDOWS, Totals, add_up_whole
from collector.store.codec import microseconds, replica_columns, seconds, totals_of, totals_row
from collector.store.engine import Engines
from collector.store.read import replica_of_epoch
from collector.store.schema import (
    BUCKET_MS,
    HISTOGRAM_COLUMNS,
    HOUR_MS,
    epochs,
    replica_samples,
    replica_totals,
    stale_buckets,
    stale_hours,
)
from collector.store.spans import last_row_before, rows_between
from collector.store.write import pairs_in, upsert_hours, upsert_totals

FEW_OF_AN_HOUR = 0.2
"""Largest share of an hour left out for a series that the rest has: a missed answer touches two buckets of twelve."""


def roll_up(engines: Engines, now_s: float) -> int:
    """Bring the totals of every bucket and hour that ended by `now_s` up to date; how many buckets that took.

    One transaction per bucket and hour. A window longer than a bucket (polls more than two minutes apart) is counted
    right as long as a replica's samples arrive in the order they were taken. Raises StoreError.
    """
    now_ms = microseconds(now_s) // 1000
    done = 0
    while (made := engines.write(lambda connection: _roll_up_one(connection, now_ms - BUCKET_MS))) is not None:
        done += made
    while engines.write(lambda connection: _add_up_one(connection, now_ms - HOUR_MS)) is not None:
        pass
    return done


def _roll_up_one(connection: Connection, closed_ms: int) -> int | None:
    """Roll up the oldest stale bucket: 1, or 0 when another process took it first; None when there is none."""
    bucket, mine = _taken(connection, stale_buckets, closed_ms)
    if bucket is None:
        return None
    if mine:
        upsert_totals(connection, [totals_row(bucket, totals) for totals in bucket_totals(connection, bucket)])
    return int(mine)


def _add_up_one(connection: Connection, closed_ms: int) -> int | None:
    """Add up the oldest stale hour, as `_roll_up_one` does a bucket."""
    hour, mine = _taken(connection, stale_hours, closed_ms)
    if hour is None:
        return None
    if mine:
        upsert_hours(connection, hour_rows(connection, hour))
    return int(mine)


def _taken(connection: Connection, marks: Table, closed_ms: int) -> tuple[int | None, bool]:
    """The oldest mark up to `closed_ms`, and whether clearing it fell to us; None when there is none."""
    wanted = select(marks.c.bucket_ms).where(marks.c.bucket_ms <= closed_ms)
    oldest = connection.execute(wanted.order_by(marks.c.bucket_ms).limit(1)).scalar()
    if oldest is None:
        return None, False
    # Clearing the mark comes first: it waits for whoever is adding rows here, and they wait for us.
    return oldest, connection.execute(delete(marks).where(marks.c.bucket_ms == oldest)).rowcount > 0


def hour_rows(connection: Connection, hour_ms: int) -> list[dict[str, Any]]:
    """The rows of one hour, one per epoch, from its five-minute totals."""
    keys = replica_of_epoch(connection)
    start_ms = replica_totals.c.bucket_ms
    within = select(replica_totals).where(start_ms >= hour_ms, start_ms < hour_ms + HOUR_MS)
    parts: dict[int, list[Totals]] = defaultdict(list)
    pairs: dict[int, int] = defaultdict(int)
    for row in connection.execute(within.order_by(start_ms)).mappings():
        epoch = row["epoch_id"]
        parts[epoch].append(totals_of(row, keys[epoch]))
        pairs[epoch] += pairs_in(row)
    return [
        {**totals_row(hour_ms, whole), "pairs": pairs[epoch]}
        for epoch, found in sorted(parts.items())
        if (whole := add_up_whole(found, FEW_OF_AN_HOUR)) is not None
    ]


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
