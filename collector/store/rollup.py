"""Makes five-minute totals from the raw samples of closed buckets, with the analysis' own windows, and hours of those.

A window belongs to the bucket in which it ends, so every pair of neighbouring samples is counted once. What is still
to do stands in `stale_buckets`: marked in the transaction that wrote samples, cleared in the one that wrote their
totals. So a killed process loses no bucket and repeats at most one, and late samples bring their bucket back. Hours
follow from five-minute totals in the same way, by `stale_hours`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence, Set
from functools import cache, partial
from itertools import islice
from operator import attrgetter
from statistics import median

import numpy as np
from sqlalchemy import Connection, Table, delete, select, update

from analyzer.samples import ReplicaKey
from analyzer.spans import totals_of_columns
from analyzer.stacked import Stacked, totals_by_owner
from analyzer.windows import DIP_WINDOWS, Totals, add_up_whole
from collector.store.codec import (
    Row,
    microseconds,
    pairs_of,
    replica_columns,
    seconds,
    stacked_samples,
    totals_of_rows,
    totals_row,
)
from collector.store.engine import Engines
from collector.store.grid import grid_rows
from collector.store.last_rows import last_rows_before
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
from collector.store.spans import members_between, rows_at_once, rows_between, ticks_between
from collector.store.steps import Steps
from collector.store.write import upsert_hours, upsert_totals

MEMBERS_AT_ONCE = 10_000
MEMBERS_TOGETHER = 25
"""So many epochs are rolled up together: a thousand, with their samples as rows and as arrays, took 100 MB."""
FEW_OF_AN_HOUR = 0.2
"""Largest share of an hour left out for a series that the rest has: a missed answer touches two buckets of twelve."""
LOOK_BACK_MS = 60_000
"""Histograms are told once a minute: so far back lies the sample that an increase begins with."""
LOOK_BACK_POLLS = 5.5
"""And so many polls before it are read, to know a dip by: one more than it takes, and half a poll of unpunctuality."""
PAST_ROWS = DIP_WINDOWS + 1
"""So many rows before a bucket tell a dip that its first windows may lead out of."""
_epoch_of = attrgetter("epoch")
Past = Mapping[int, Sequence[Row]]
"""By epoch, its last rows that are older than the bucket before the one that is rolled up."""
_Begun = Callable[[], Mapping[int, int]]
"""Gives when each epoch began, in microseconds of unix time."""


class PastNeededError(Exception):
    """A bucket's totals take rows that are older than the bucket before it: those of these epochs, each with its start.

    They may lie far back, so they are looked for before the transaction that holds the others up.
    """

    def __init__(self, bucket_ms: int, begun_us: Mapping[int, int]) -> None:
        super().__init__(bucket_ms)
        self.bucket_ms = bucket_ms
        self.begun_us = begun_us


def rolling_up(engines: Engines, now_s: float, check: Callable[[Connection], None] = lambda _: None) -> Steps[int]:
    """To bring the totals of every bucket and hour that ended by `now_s` up to date; how many buckets that took.

    One transaction per bucket and hour. A window longer than a bucket (polls more than two minutes apart) is counted
    right as long as a replica's samples arrive in the order they were taken. `check` goes first in each transaction.
    A step raises StoreError, and what `check` raises.
    """
    return Steps(_rolling_up(engines, now_s, check))


def _rolling_up(engines: Engines, now_s: float, check: Callable[[Connection], None]) -> Generator[None, None, int]:
    def checked(work: Callable[[Connection, int], int | None], closed_ms: int) -> int | None:
        def both(connection: Connection) -> int | None:
            check(connection)
            return work(connection, closed_ms)

        return engines.write(both)

    now_ms = microseconds(now_s) // 1000
    done, past = 0, dict[int, Past]()
    while True:
        try:
            made = checked(partial(_roll_up_one, past=past), now_ms - BUCKET_MS)
        except PastNeededError as needed:
            past = {needed.bucket_ms: engines.read(partial(past_of, needed=needed))}
            continue
        if made is None:
            break
        done += made
        yield
    while checked(_add_up_one, now_ms - HOUR_MS) is not None:
        yield
    return done


def _roll_up_one(connection: Connection, closed_ms: int, past: Mapping[int, Past]) -> int | None:
    """Roll up the oldest stale bucket: 1, or 0 when another process took it first; None when there is none.

    `past` is what was found of the past by bucket. Raises PastNeededError where a bucket's is needed.
    """
    bucket, mine = _taken(connection, stale_buckets, closed_ms)
    if bucket is None:
        return None
    if mine:
        made = iter(bucket_totals(connection, bucket, past.get(bucket)))
        while rows := [totals_row(bucket, totals) for totals in islice(made, MEMBERS_TOGETHER)]:
            upsert_totals(connection, rows)
    return int(mine)


def _add_up_one(connection: Connection, closed_ms: int) -> int | None:
    """Add up the oldest stale hour, as `_roll_up_one` does a bucket."""
    hour, mine = _taken(connection, stale_hours, closed_ms)
    if hour is None:
        return None
    if mine:
        rows = hour_rows(connection, hour)
        upsert_hours(connection, rows)
        _remember_hour(connection, hour, [row[1] for row in rows])
    return int(mine)


def _remember_hour(connection: Connection, hour_ms: int, members: Sequence[int]) -> None:
    """Note with the epochs that they have totals of this hour."""
    newer = (epochs.c.last_hour_ms.is_(None)) | (epochs.c.last_hour_ms < hour_ms)
    for begin in range(0, len(members), MEMBERS_AT_ONCE):
        some = members[begin : begin + MEMBERS_AT_ONCE]
        connection.execute(update(epochs).where(epochs.c.id.in_(some), newer).values(last_hour_ms=hour_ms))


def _taken(connection: Connection, marks: Table, closed_ms: int) -> tuple[int | None, bool]:
    """The oldest mark up to `closed_ms`, and whether clearing it fell to us; None when there is none."""
    wanted = select(marks.c.bucket_ms).where(marks.c.bucket_ms <= closed_ms)
    oldest = connection.execute(wanted.order_by(marks.c.bucket_ms).limit(1)).scalar()
    if oldest is None:
        return None, False
    # Clearing the mark comes first: it waits for whoever is adding rows here, and they wait for us.
    return oldest, connection.execute(delete(marks).where(marks.c.bucket_ms == oldest)).rowcount > 0


def hour_rows(connection: Connection, hour_ms: int) -> list[Row]:
    """The rows of one hour, one per epoch, from its five-minute totals; their last figure is the number of pairs."""
    keys = replica_of_epoch(connection)
    members = select(replica_totals.c.epoch_id).where(
        replica_totals.c.bucket_ms.between(hour_ms, hour_ms + HOUR_MS - 1)
    )
    known = sorted(keys.keys() & set(connection.execute(members.distinct()).scalars()))
    found: list[Row] = []
    for begin in range(0, len(known), MEMBERS_TOGETHER):
        found += _hour_rows_of(connection, hour_ms, known[begin : begin + MEMBERS_TOGETHER], keys)
    return found


def _hour_rows_of(
    connection: Connection, hour_ms: int, members: Sequence[int], keys: Mapping[int, ReplicaKey]
) -> Iterator[Row]:
    parts: dict[int, list[Totals]] = defaultdict(list)
    pairs: dict[int, int] = defaultdict(int)
    rows = grid_rows(connection, replica_totals, hour_ms, hour_ms + HOUR_MS, members)
    for row, totals in zip(rows, totals_of_rows(rows, keys), strict=True):
        parts[totals.epoch].append(totals)
        pairs[totals.epoch] += pairs_of(row)
    for epoch, found in sorted(parts.items()):
        whole = add_up_whole(found, FEW_OF_AN_HOUR)
        if whole is not None:
            yield (*totals_row(hour_ms, whole), pairs[epoch])


def bucket_totals(connection: Connection, bucket_ms: int, past: Past | None = None) -> Iterator[Totals]:
    """The totals of the windows that end in one bucket, one per epoch. Raises PastNeededError without a `past`.

    Some are made at a time: the rows to write take a third of their memory.
    An epoch that needs a past and is not in there has got samples since it was looked for; its own is looked for here.
    """
    start_us, end_us = bucket_ms * 1000, (bucket_ms + BUCKET_MS) * 1000
    ticks = ticks_between(connection, replica_samples, start_us - BUCKET_MS * 1000, end_us)
    keys = replica_of_epoch(connection)
    members = [one for one in members_between(connection, replica_samples, start_us, end_us) if one in keys]
    # Most buckets need none of them.
    begun_us = cache(partial(_begun_us, connection))
    needed: dict[int, int] = {}
    for begin in range(0, len(members), MEMBERS_TOGETHER):
        some = members[begin : begin + MEMBERS_TOGETHER]
        made, lacking = _bucket_totals_of(connection, bucket_ms, ticks, some, keys, past, begun_us)
        needed |= lacking
        yield from made
    if needed:
        raise PastNeededError(bucket_ms, needed)


def past_of(connection: Connection, needed: PastNeededError) -> Past:
    """The rows that are needed, of every epoch those that are there."""
    found: dict[int, Sequence[Row]] = dict.fromkeys(needed.begun_us, ())
    epochs_needed = sorted(found)
    for begin in range(0, len(epochs_needed), MEMBERS_TOGETHER):
        some = {epoch: needed.begun_us[epoch] for epoch in epochs_needed[begin : begin + MEMBERS_TOGETHER]}
        found |= last_rows_before(connection, replica_samples, (needed.bucket_ms - BUCKET_MS) * 1000, some, PAST_ROWS)
    return found


def _bucket_totals_of(
    connection: Connection,
    bucket_ms: int,
    ticks: Sequence[int],
    members: Sequence[int],
    keys: Mapping[int, ReplicaKey],
    past: Past | None,
    begun_us: _Begun,
) -> tuple[list[Totals], dict[int, int]]:
    """The totals of some epochs; and those whose past is needed, with their start, where none was given."""
    start_us, end_us = bucket_ms * 1000, (bucket_ms + BUCKET_MS) * 1000
    within = rows_at_once(connection, replica_samples, start_us, end_us, ticks, members)
    if not within:
        return [], {}
    usual_ms = median(row[3] for row in within)
    look_us = round(min(BUCKET_MS, LOOK_BACK_MS + LOOK_BACK_POLLS * usual_ms) * 1000)
    rows = [*rows_at_once(connection, replica_samples, start_us - look_us, start_us, ticks, members), *within]
    stacked, epoch_of, _ = stacked_samples(rows)
    found = totals_by_owner(stacked, [(keys[epoch], epoch) for epoch in epoch_of], seconds(start_us))
    left = {epoch_of[number] for number in found.left}
    left |= {epoch_of[number] for number in _cut_short(stacked, epoch_of, start_us, start_us - look_us, begun_us)}
    made = [totals for totals in found.totals.values() if totals.epoch not in left]
    rest, needed = _one_by_one(connection, bucket_ms, left & {row[1] for row in within}, keys, past, begun_us)
    return sorted([*made, *rest], key=_epoch_of), needed


def _cut_short(stacked: Stacked, epoch_of: Sequence[int], start_us: int, looked_us: int, begun_us: _Begun) -> set[int]:
    """The owners of whose past too little was read: to know a dip by, or to begin a histogram's increase with."""
    owner, owners = stacked.owner, len(epoch_of)
    earlier = stacked.at_s < seconds(start_us)
    begin = np.bincount(owner[earlier], minlength=owners) - 1
    first = np.searchsorted(owner, np.arange(owners))
    for told in stacked.told.values():
        carrying, past = owner[told.at], earlier[told.at]
        last = np.full(owners, -1)
        last[carrying[past]] = told.at[past] - first[carrying[past]]
        grows = np.bincount(carrying[~past], minlength=owners) > 0
        begin = np.where(grows, np.minimum(begin, last), begin)
    few = np.flatnonzero(begin <= DIP_WINDOWS).tolist()
    begun = begun_us() if few else {}
    return {number for number in few if begun.get(epoch_of[number], 0) < looked_us}


def _begun_us(connection: Connection) -> dict[int, int]:
    """When each epoch began."""
    return {row.id: row.started_at_us for row in connection.execute(select(epochs.c.id, epochs.c.started_at_us))}


def _one_by_one(
    connection: Connection,
    bucket_ms: int,
    members: Set[int],
    keys: Mapping[int, ReplicaKey],
    past: Past | None,
    begun_us: _Begun,
) -> tuple[list[Totals], dict[int, int]]:
    """The totals of some epochs, with as much of their past as they need; and whose past is needed and not given."""
    start_us, end_us = bucket_ms * 1000, (bucket_ms + BUCKET_MS) * 1000
    before: dict[int, list[Row]] = defaultdict(list)
    within: dict[int, list[Row]] = defaultdict(list)
    for row in rows_between(connection, replica_samples, start_us - BUCKET_MS * 1000, end_us, sorted(members)):
        group = before if row[0] * 1000 + row[2] < start_us else within
        group[row[1]].append(row)
    # Too few to know a dip by: polls are rare, or had ceased.
    few = [epoch for epoch in within if len(before[epoch]) < PAST_ROWS]
    begun = begun_us() if few else {}
    needed = {one: begun[one] for one in few if begun.get(one, start_us) < start_us - BUCKET_MS * 1000}
    if past is not None:
        lacking = {epoch: began_us for epoch, began_us in needed.items() if epoch not in past}
        past, needed = {**past, **past_of(connection, PastNeededError(bucket_ms, lacking))}, {}
    made = []
    for epoch, found in within.items():
        if epoch in needed:
            continue
        begun_with = _last_of(before[epoch])
        if epoch in few and past is not None:
            begun_with = [*past.get(epoch, ()), *before[epoch]][-PAST_ROWS:]
        # What begins earlier is only there to know a dip by, and what a histogram grew from; windows that end earlier
        # belong to other buckets.
        columns = replica_columns([*begun_with, *found], keys[epoch])
        made.append(totals_of_columns(columns, lambda ends_s: ends_s >= seconds(start_us)).get(1))
    return [totals for totals in made if totals is not None], needed


def _last_of(rows: Sequence[Row]) -> Sequence[Row]:
    """The last rows before a bucket, from where a histogram's increase in it may begin and a dip before that."""
    begin = len(rows) - 1
    for column in range(-len(HISTOGRAM_COLUMNS), 0):
        carrying = (at for at in range(len(rows) - 1, -1, -1) if rows[at][column] is not None)
        begin = min(begin, next(carrying, begin))
    return rows[max(0, begin - DIP_WINDOWS - 1) :]
