"""Writes samples, totals, reports and verdicts. Every write is one transaction and may be repeated without harm."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter, itemgetter
from typing import Any

from sqlalchemy import Connection, Table, select, update

from analyzer.samples import GpuSample, Identity, ReplicaKey, ReplicaSample
from analyzer.verdict import Verdict, VerdictState
from analyzer.windows import Totals
from collector.errors import StoreError, UnknownEpochError
from collector.store.codec import Row, bucket_ms, gpu_row, microseconds, replica_row, tick_ms_of, totals_row
from collector.store.conclusions import add_report, report_row, report_text, verdict_rows
from collector.store.engine import Engines
from collector.store.grid import numbers
from collector.store.identity import fingerprint, identity_text
from collector.store.names import storable, storable_key
from collector.store.partitions import days_of, lacks_day, make_days
from collector.store.records import Appended
from collector.store.schema import (
    BUCKET_MS,
    HOUR_MS,
    REFUSAL_COLUMNS,
    epochs,
    gpu_samples,
    gpus,
    replica_hours,
    replica_samples,
    replica_totals,
    replicas,
    stale_buckets,
    stale_hours,
    told_verdicts,
    verdicts,
)
from collector.store.sealed import not_sealed
from collector.store.statements import add, insert_into, put, remove, upsert

_KEY = itemgetter(0, 1)
EPOCHS_AT_ONCE = 10_000


class Writer:
    """The store's writing side. Safe to call from several threads; they take turns on the one writing connection."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines
        self._gpus: dict[str, tuple[int, str | None]] = {}
        self._days: set[int] = set()

    def register(
        self, key: ReplicaKey, identity: Identity, process_start: str | None, job: str | None, at_s: float
    ) -> int:
        """The number of the replica's epoch with this identity: the one it has, else a new one begun at `at_s`.

        A restarted daemon therefore goes on with the epoch it left. Raises StoreError.
        """
        kept, kept_job = storable_key(key), None if job is None else storable(job)
        found = {
            "fingerprint": fingerprint(identity, process_start),
            "identity": identity_text(identity),
            "process_start": None if process_start is None else storable(process_start),
            "started_at_us": microseconds(at_s),
        }

        def work(connection: Connection) -> int:
            replica_id = _replica_id(connection, kept, kept_job)
            mine = (epochs.c.replica_id == replica_id) & (epochs.c.fingerprint == found["fingerprint"])
            return _found_or_made(connection, epochs, mine, {"replica_id": replica_id, **found})

        return self._engines.write(work)

    def append(self, replica_samples_: Iterable[ReplicaSample], gpu_samples_: Iterable[GpuSample] = ()) -> Appended:
        """Add samples in one transaction; those already there are left as they are.

        Replicas' samples carry the epoch that `register` gave. Raises StoreError, and nothing was written then.
        """
        # In the key's order: two daemons that add the same rows never wait for each other in a circle.
        rows = sorted(map(replica_row, replica_samples_), key=_KEY)
        marks = sorted({start for row in rows for start in _touched(row)})
        readings = sorted(gpu_samples_, key=attrgetter("uuid", "at_s"))
        days = self._days_of([*(row[0] for row in rows), *map(tick_ms_of, readings)])
        named = {row[1] for row in rows}

        def work(connection: Connection) -> tuple[int, dict[str, tuple[int, str | None]]]:
            _require_epochs(connection, named)
            _mark_stale(connection, stale_buckets, marks)
            known = self._known_gpus(connection, readings)
            gpu_rows = [gpu_row(sample, known[sample.uuid][0]) for sample in readings]
            news = [_add(connection, table, of) for table, of in ((replica_samples, rows), (gpu_samples, gpu_rows))]
            return sum(news), known

        self._make_days(days - self._days)
        try:
            new, known = self._engines.write(work)
        except StoreError as error:
            if not lacks_day(error):
                raise
            # Whoever deletes old days, perhaps another daemon, has dropped one that was there.
            self._make_days(days)
            new, known = self._engines.write(work)
        # Only now: numbers given in a transaction that failed would be nobody's.
        self._gpus = known
        return Appended(new, len(rows) + len(readings) - new)

    def give_back(self) -> None:
        """Drop the pages that the connection to a SQLite file keeps in memory. Raises StoreError."""
        if self._engines.sqlite:
            self._engines.write(lambda connection: connection.exec_driver_sql("PRAGMA shrink_memory"))

    def append_totals(self, made: Iterable[tuple[float, Totals]]) -> None:
        """Keep totals by the start (unix time) of their bucket, in place of any made from fewer samples.

        Raises StoreError.
        """
        rows = [totals_row(bucket_ms(microseconds(start_s)), totals) for start_s, totals in made]
        self._engines.write(lambda connection: upsert_totals(connection, rows))

    def append_report(self, made_at_s: float, body: Mapping[str, Any]) -> None:
        """Keep a report given as JSON-ready values, in place of the newest unless that is to stay.

        One report a quarter of an hour stays; the newest is always there.
        Raises StoreError, and ValueError for what JSON has no word for.
        """
        row = report_row(made_at_s, [report_text(body)])
        self._engines.write(lambda connection: add_report(connection, row))

    def save_verdicts(self, states: Mapping[tuple[str, str], VerdictState], at_s: float) -> None:
        """Keep verdict states by (deployment, scheme); states of others stay as they are. Raises StoreError."""
        rows = verdict_rows(states, at_s)
        self._engines.write(lambda connection: upsert(connection, verdicts, rows))

    def conclude(
        self,
        states: Mapping[tuple[str, str], VerdictState],
        made_at_s: float,
        body: Iterable[str],
        guard: Callable[[Connection], None],
        *,
        sparing: bool = False,
    ) -> None:
        """Keep a report and its verdicts as `append_report` and `save_verdicts` do, together, or neither.

        `body` is the report's JSON in pieces. `sparing` puts the report in place of the newest in any case: the disk
        is nearly full. `guard` goes first in the transaction. Raises what it raises, and as those do.
        """
        row, rows = report_row(made_at_s, body), verdict_rows(states, made_at_s)

        def work(connection: Connection) -> None:
            guard(connection)
            upsert(connection, verdicts, rows)
            add_report(connection, row, sparing=sparing)

        self._engines.write(work)

    def save_told(self, receiver: str, told: Mapping[tuple[str, str], Verdict]) -> None:
        """Keep what a receiver was told, by (deployment, scheme); of others it stays. Raises StoreError."""
        rows = [
            {
                "receiver": storable(receiver),
                "deployment": storable(deployment),
                "scheme": storable(scheme),
                "verdict": verdict.value,
            }
            for (deployment, scheme), verdict in sorted(told.items())
        ]
        self._engines.write(lambda connection: upsert(connection, told_verdicts, rows))

    def forget(self) -> None:
        """Remember nothing of the database any longer: it may have been replaced by another state of itself."""
        self._gpus, self._days = {}, set()

    def _days_of(self, ticks_ms: Sequence[int]) -> set[int]:
        return set() if self._engines.sqlite else days_of(ticks_ms)

    def _make_days(self, days: set[int]) -> None:
        if days:
            self._engines.write(lambda connection: make_days(connection, days))
            self._days |= days

    def _known_gpus(self, connection: Connection, readings: Sequence[GpuSample]) -> dict[str, tuple[int, str | None]]:
        known = dict(self._gpus)
        for sample in readings:
            number, name = known.get(sample.uuid, (None, None))
            if number is None:
                uuid = storable(sample.uuid)
                number = _found_or_made(connection, gpus, gpus.c.uuid == uuid, {"uuid": uuid})
            if sample.name is not None and sample.name != name:
                connection.execute(update(gpus).where(gpus.c.id == number).values(name=storable(sample.name)))
                name = sample.name
            known[sample.uuid] = (number, name)
        return known


def upsert_totals(connection: Connection, rows: Sequence[Row]) -> None:
    """Write five-minute totals in place of those made from fewer pairs of samples, and mark their hours.

    Once raw samples are gone, a late one must not replace a bucket's totals by what it alone can tell.
    """
    put(connection, replica_totals, rows, _FULLER)
    _mark_stale(connection, stale_hours, sorted({row[0] // HOUR_MS * HOUR_MS for row in rows}))


def upsert_hours(connection: Connection, rows: Sequence[Row]) -> None:
    """Write hours' totals in place of those made from fewer pairs: once five-minute totals are gone, they stay."""
    put(connection, replica_hours, rows, "excluded.pairs >= replica_hours.pairs")


_PAIRS = ("windows", *REFUSAL_COLUMNS.values())
_FULLER = " >= ".join(" + ".join(f"{of}.{name}" for name in _PAIRS) for of in ("excluded", replica_totals.name))


def _touched(row: Row) -> tuple[int, int]:
    """The bucket of a sample and the next one, whose first window begins with the bucket's last sample."""
    start = bucket_ms(row[0] * 1000 + row[2])
    return start, start + BUCKET_MS


def _require_epochs(connection: Connection, named: set[int]) -> None:
    """Raises UnknownEpochError unless the database has them all. A foreign key would cost every row a search."""
    ordered = sorted(named)
    for begin in range(0, len(ordered), EPOCHS_AT_ONCE):
        some = ordered[begin : begin + EPOCHS_AT_ONCE]
        there = connection.exec_driver_sql(f"SELECT id FROM epochs WHERE id IN ({numbers(some)})")
        lacking = set(some) - set(there.scalars())
        if lacking:
            raise UnknownEpochError(f"epoch {min(lacking)} is not in this database; register the replica again")


def _mark_stale(connection: Connection, table: Table, marks: Sequence[int]) -> None:
    if not marks:
        return
    statement = insert_into(connection, table)
    if connection.dialect.name == "sqlite":
        statement = statement.on_conflict_do_nothing()
    else:
        # Touching the row makes a roll-up of this bucket wait for what is written here, or this for the roll-up.
        statement = statement.on_conflict_do_update(
            index_elements=["bucket_ms"], set_={"bucket_ms": statement.excluded.bucket_ms}
        )
    connection.execute(statement, [{"bucket_ms": mark} for mark in marks])


def _add(connection: Connection, table: Table, rows: list[Row]) -> int:
    """Add raw rows whose keys are neither there nor sealed; how many were not."""
    fresh = not_sealed(connection, table, rows)
    new = add(connection, table, fresh)
    if connection.dialect.name == "sqlite" or not new:
        return new
    # Another daemon may have sealed some of them since we looked: their keys were free again, and were taken twice.
    left = set(map(_KEY, not_sealed(connection, table, fresh)))
    return new - remove(connection, table, [key for key in map(_KEY, fresh) if key not in left])


def _replica_id(connection: Connection, key: ReplicaKey, job: str | None) -> int:
    mine = (replicas.c.target == key.target) & (replicas.c.model == key.model) & (replicas.c.rank == key.rank)
    row = {"target": key.target, "model": key.model, "rank": key.rank, "job": job}
    number = _found_or_made(connection, replicas, mine, row)
    connection.execute(
        update(replicas).where(replicas.c.id == number, replicas.c.job.is_distinct_from(job)).values(job=job)
    )
    return number


def _found_or_made(connection: Connection, table: Table, mine: Any, row: Mapping[str, Any]) -> int:
    """The number of the one row that `mine` describes, made if it is not there; safe against others doing the same."""
    wanted = select(table.c.id).where(mine)
    number = connection.execute(wanted).scalar()
    if number is None:
        connection.execute(insert_into(connection, table).on_conflict_do_nothing(), row)
        number = connection.execute(wanted).scalar_one()
    return int(number)
