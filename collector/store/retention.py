"""Deletes what is older than it must be kept, from the old end and in small steps; bounds the database's size.

Postgres keeps raw samples, sealed or not, in whole days: one goes when all of it is too old, no row being touched.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import partial
from math import inf

from sqlalchemy import Connection, Table, delete, exists, func, select

from collector.store.codec import microseconds
from collector.store.engine import Engines
from collector.store.forget import forget_epochs
from collector.store.partitions import drop_days, table_bytes
from collector.store.schema import (
    BLOCKS,
    BUCKET_MS,
    HOUR_MS,
    gpu_blocks,
    gpu_samples,
    metadata,
    replica_blocks,
    replica_hours,
    replica_samples,
    replica_totals,
    reports,
    stale_buckets,
    stale_hours,
    told_verdicts,
    verdicts,
)
from collector.store.steps import Steps

BATCH_ROWS = 5_000
"""About so many rows go in one transaction."""
BATCH_BLOCKS = BATCH_ROWS // 20
"""Of blocks so many: as many samples, where one comes every 15 seconds."""
KEPT_WHATEVER_SIZE_S = 3_600.0
"""Samples younger than this stay, however small the size limit is: without them nothing can be said at all."""
_RAW = (replica_blocks, replica_samples, gpu_blocks, gpu_samples)
"""Sealed rows are the older ones."""
_DAY_US = 86_400_000_000
_SHRINK_ABOVE = 0.25
"""Free pages are used again; only a file with a larger free share than this gives space back to the disk."""
_SHRINK_PAGES = 1_000


@dataclass(frozen=True, slots=True)
class Keep:
    """How long what is kept, in seconds, and how many bytes the database may use (None: as many as it takes).

    Five-minute totals go by whole hours. Reports are all kept as long as samples, and the last one of each UTC day as
    long as hourly totals. What a replica was is kept as long as anything is of it; verdict states that no report has
    renewed go with the samples.
    """

    samples_s: float
    totals_s: float
    hours_s: float
    max_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many rows were deleted, and how many bytes the database uses now."""

    samples: int
    gpu_samples: int
    totals: int
    hours: int
    reports: int
    replicas: int
    verdicts: int
    used_bytes: int


def pruning(engines: Engines, keep: Keep, now_s: float, *, tight: bool = False) -> Steps[Pruned]:
    """To delete what is too old at `now_s`, then what is oldest until the database fits its limit.

    A SQLite file loses samples, then totals, then hours; Postgres whole days of samples, since what else it deleted
    would free no space. Samples and totals that are still to be added up outlive their time, but not the size limit.
    `tight` gives all free space of a SQLite file back to the disk, however little it is.
    A step raises StoreError.
    """
    return Steps(_pruning(engines, keep, now_s, tight=tight))


def _pruning(engines: Engines, keep: Keep, now_s: float, *, tight: bool) -> Generator[None, None, Pruned]:
    oldest_kept_ms = _aligned(now_s - keep.samples_s, BUCKET_MS)
    unrolled = _oldest(engines, stale_buckets)
    if unrolled is not None:
        # The bucket before is kept too: its last sample begins the first window.
        oldest_kept_ms = min(oldest_kept_ms, unrolled - BUCKET_MS)
    # Whole hours: a late sample brings its hour back, which is then added up from all of its totals or from none.
    totals_ms = _aligned(now_s - keep.totals_s, HOUR_MS)
    unadded = _oldest(engines, stale_hours)
    if unadded is not None:
        totals_ms = min(totals_ms, unadded)
    hours_ms = _aligned(now_s - keep.hours_s, HOUR_MS)
    limits_ms = dict.fromkeys(_RAW, oldest_kept_ms) | {replica_totals: totals_ms, replica_hours: hours_ms}
    gone = {table.name: 0 for table in limits_ms}
    for table, before_ms in limits_ms.items():
        for some in _deleted(engines, table, before_ms):
            gone[table.name] += some
            yield
    old_reports = engines.write(
        lambda connection: _thin_reports(connection, microseconds(now_s - keep.samples_s), hours_ms * 1000)
    )
    forgotten = engines.write(lambda connection: forget_epochs(connection, oldest_kept_ms, hours_ms))
    stale = delete(verdicts).where(verdicts.c.saved_at_us < microseconds(now_s - keep.samples_s))
    unrenewed = engines.write(lambda connection: connection.execute(stale).rowcount)
    engines.write(_forget_told)
    yield
    if keep.max_bytes is not None:
        limit_ms = _aligned(now_s - KEPT_WHATEVER_SIZE_S, BUCKET_MS)
        # Replicas and GPUs alike, the oldest first.
        for tables in (_RAW, (replica_totals,), (replica_hours,)) if engines.sqlite else (_RAW,):
            left = list(tables)
            while left and used_bytes(engines) > keep.max_bytes:
                oldest = min(left, key=partial(_first_ms, engines))
                more = _forget_some(engines, oldest, limit_ms)
                gone[oldest.name] += more
                if not more:
                    left.remove(oldest)
                yield
    if engines.sqlite:
        yield from _shrinking(engines, tight=tight)
    return Pruned(
        samples=gone[replica_blocks.name] + gone[replica_samples.name],
        gpu_samples=gone[gpu_blocks.name] + gone[gpu_samples.name],
        totals=gone[replica_totals.name],
        hours=gone[replica_hours.name],
        reports=old_reports,
        replicas=forgotten,
        verdicts=unrenewed,
        used_bytes=used_bytes(engines),
    )


def used_bytes(engines: Engines) -> int:
    """Bytes that stored rows use: a SQLite file without its free pages, our tables in Postgres. Raises StoreError."""

    def work(connection: Connection) -> int:
        if engines.sqlite:
            pages, free, size = (_pragma(connection, name) for name in ("page_count", "freelist_count", "page_size"))
            return (pages - free) * size
        return sum(table_bytes(connection, name) for name in metadata.tables)

    return engines.read(work)


def _aligned(instant_s: float, length_ms: int) -> int:
    """The bucket (ms) of an instant: whole buckets go or stay."""
    return microseconds(instant_s) // (length_ms * 1000) * length_ms


def _oldest(engines: Engines, marks: Table) -> int | None:
    return engines.read(lambda connection: connection.execute(select(func.min(marks.c.bucket_ms))).scalar())


def _deleted(engines: Engines, table: Table, before_ms: int) -> Iterator[int]:
    """Deletes a table's rows before a tick; how many, transaction by transaction."""
    forget = _forget_some if table in _RAW else _delete_batch
    while (gone := forget(engines, table, before_ms)) > 0:
        yield gone


def _first_ms(engines: Engines, table: Table) -> float:
    """The tick of a table's oldest row; later than any where it has none."""
    moment = next(iter(table.primary_key.columns))
    first = engines.read(lambda connection: connection.execute(select(func.min(moment))).scalar())
    return inf if first is None else float(first)


def _forget_some(engines: Engines, table: Table, before_ms: int) -> int:
    if engines.sqlite:
        return _delete_batch(engines, table, before_ms)
    return engines.write(lambda connection: drop_days(connection, table, before_ms, most=1))


def _delete_batch(engines: Engines, table: Table, before_ms: int) -> int:
    """Delete the oldest rows before a tick, whole ticks at a time; how many, of blocks how many samples."""
    moment = next(iter(table.primary_key.columns))
    blocks = table in BLOCKS.values()

    def work(connection: Connection) -> int:
        ordered = select(moment).where(moment < before_ms).order_by(moment)
        last = connection.execute(ordered.offset((BATCH_BLOCKS if blocks else BATCH_ROWS) - 1).limit(1)).scalar()
        oldest = delete(table).where(moment < before_ms if last is None else moment <= last)
        if blocks:
            return sum(connection.execute(oldest.returning(table.c.samples)).scalars())
        return connection.execute(oldest).rowcount

    return engines.write(work)


def _forget_told(connection: Connection) -> None:
    """What was told of verdicts goes with their states."""
    same = (verdicts.c.deployment == told_verdicts.c.deployment) & (verdicts.c.scheme == told_verdicts.c.scheme)
    connection.execute(delete(told_verdicts).where(~exists().where(same)))


def _thin_reports(connection: Connection, all_since_us: int, daily_since_us: int) -> int:
    made = list(connection.execute(select(reports.c.made_at_us).order_by(reports.c.made_at_us)).scalars())
    last_of_day = {at_us // _DAY_US: at_us for at_us in made}
    gone = [
        at_us
        for at_us in made[:-1]
        if at_us < all_since_us and (at_us < daily_since_us or last_of_day[at_us // _DAY_US] != at_us)
    ]
    for at_us in gone:
        connection.execute(delete(reports).where(reports.c.made_at_us == at_us))
    return len(gone)


def shrink(engines: Engines, *, tight: bool = False) -> None:
    """Give a SQLite file's free pages back to the disk, some at a time, while there are too many of them.

    `tight` leaves none, and empties the file's log as well.
    """
    for _ in _shrinking(engines, tight=tight):
        pass


def _shrinking(engines: Engines, *, tight: bool) -> Iterator[None]:
    if tight:
        engines.script("PRAGMA wal_checkpoint(TRUNCATE)")
    former = None
    while True:
        pages, free = engines.read(
            lambda connection: (_pragma(connection, "page_count"), _pragma(connection, "freelist_count"))
        )
        # A file made without this ability frees nothing, ever.
        enough = free == 0 if tight else free <= max(_SHRINK_PAGES, pages * _SHRINK_ABOVE)
        if enough or free == former:
            break
        former = free
        engines.script(f"PRAGMA incremental_vacuum({min(free, _SHRINK_PAGES)})")
        yield
    if tight:
        # The file itself only shrinks when its log is written back.
        engines.script("PRAGMA wal_checkpoint(TRUNCATE)")


def _pragma(connection: Connection, name: str) -> int:
    return int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())
