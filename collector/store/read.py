"""Reads what was stored, on connections that cannot write."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, and_, bindparam, func, or_, select

from analyzer.columns import Columns
from analyzer.samples import GpuSample, ReplicaKey, ReplicaSample
from analyzer.verdict import Verdict, VerdictState
from analyzer.windows import Totals
from collector.store.codec import gpu_sample, microseconds, replica_columns, replica_sample, seconds, totals_of_rows
from collector.store.engine import Engines
from collector.store.grid import Rows, grid_rows
from collector.store.identity import identity_of
from collector.store.names import storable, storable_key
from collector.store.records import Epoch, RegisteredReplica, StoredReport
from collector.store.schema import (
    BUCKET_MS,
    HOUR_MS,
    analyser,
    epochs,
    gpu_samples,
    gpus,
    replica_hours,
    replica_samples,
    replica_totals,
    replicas,
    reports,
    told_verdicts,
    verdicts,
)
from collector.store.spans import last_row_before, newest_rows, rows_at_once, rows_between, span_us, ticks_between
from collector.store.stack import Stack

_ALWAYS_S = 2.0**43
"""Later than any stored instant."""
_KEY_PARTS = (replicas.c.target, replicas.c.model, replicas.c.rank)
_EPOCHS_OF = select(epochs.c.id).join(replicas).where(*(part == bindparam(part.name) for part in _KEY_PARTS))
"""Made once: to make it costs more than to ask it."""


class Reader:
    """The store's reading side, safe from any thread. Spans hold their start and not their end. Raises StoreError."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines

    def replicas(self) -> list[RegisteredReplica]:
        """Every replica ever seen, by key."""

        def work(connection: Connection) -> list[RegisteredReplica]:
            rows = connection.execute(select(replicas))
            return [RegisteredReplica(ReplicaKey(row.target, row.model, row.rank), row.job) for row in rows]

        return sorted(self._engines.read(work), key=lambda one: one.key)

    def epochs(self, replica: ReplicaKey | None = None) -> list[Epoch]:
        """Epochs of one replica, or of all, in the order they began."""

        def work(connection: Connection) -> list[Epoch]:
            wanted = select(epochs, replicas.c.target, replicas.c.model, replicas.c.rank).join(replicas)
            if replica is not None:
                wanted = wanted.where(_is(replica))
            rows = connection.execute(wanted.order_by(epochs.c.started_at_us, epochs.c.id))
            return [
                Epoch(
                    id=row.id,
                    replica=ReplicaKey(row.target, row.model, row.rank),
                    identity=identity_of(row.identity),
                    process_start=row.process_start,
                    started_at_s=seconds(row.started_at_us),
                )
                for row in rows
            ]

        return self._engines.read(work)

    def epoch_starts(self) -> dict[int, float]:
        """When each epoch began (unix time), by its number."""
        starts = select(epochs.c.id, epochs.c.started_at_us)
        return self._engines.read(
            lambda connection: {number: seconds(at_us) for number, at_us in connection.execute(starts)}
        )

    def samples(
        self, since_s: float, until_s: float, replica: ReplicaKey | None = None, epoch: int | None = None
    ) -> list[ReplicaSample]:
        """Samples of one replica, or of one of its epochs, or of all, taken within a span, oldest first."""
        since_us, until_us = span_us(since_s, until_s)

        def work(connection: Connection) -> list[ReplicaSample]:
            keys = _keys(connection, replica, epoch)
            members = None if replica is None else list(keys)
            rows = rows_between(connection, replica_samples, since_us, until_us, members)
            return [replica_sample(row, keys[row[1]]) for row in rows if row[1] in keys]

        return self._engines.read(work)

    def columns(self, since_s: float, until_s: float, epochs: Mapping[int, ReplicaKey]) -> dict[int, Columns]:
        """Samples of some epochs of given replicas taken within a span, by epoch; one without any is not there.

        The quick way to many: as columns, and in one search.
        """
        rows = self._engines.read(lambda connection: _rows_of(connection, since_s, until_s, epochs))
        return {epoch: replica_columns(list(own), epochs[epoch]) for epoch, own in groupby(rows, key=itemgetter(1))}

    def stack(self, since_s: float, until_s: float, epochs: Mapping[int, ReplicaKey]) -> Stack | None:
        """The same, stacked; None where there is none at all."""
        rows = self._engines.read(lambda connection: _rows_of(connection, since_s, until_s, epochs))
        return Stack(rows, epochs) if rows else None

    def last_sample(self, replica: ReplicaKey, before_s: float = _ALWAYS_S) -> ReplicaSample | None:
        """A replica's newest sample, or the newest taken before an instant; None when there is none."""

        def work(connection: Connection) -> ReplicaSample | None:
            members = list(replica_of_epoch(connection, replica))
            row = last_row_before(connection, replica_samples, microseconds(before_s), members)
            return None if row is None else replica_sample(row, replica)

        return self._engines.read(work)

    def latest(self, since_s: float) -> dict[ReplicaKey, ReplicaSample]:
        """The newest sample of each replica that has one since an instant."""
        since_ms = microseconds(since_s) // 1000
        # Hours name the epochs that may have samples since: the many that ended long ago are not searched for.
        begun_ms, hour_ms = epochs.c.started_at_us / 1000, epochs.c.last_hour_ms
        may = or_(begun_ms >= since_ms - BUCKET_MS, hour_ms >= since_ms - HOUR_MS, hour_ms.is_(None))
        wanted = select(epochs.c.id, replicas.c.target, replicas.c.model, replicas.c.rank).join(replicas).where(may)

        def work(connection: Connection) -> dict[ReplicaKey, ReplicaSample]:
            keys = {number: ReplicaKey(*names) for number, *names in connection.execute(wanted)}
            newest = newest_rows(connection, replica_samples, keys, since_ms)
            return {key: replica_sample(row, key) for key, row in newest.items()}

        return self._engines.read(work)

    def gpu_samples(self, since_s: float, until_s: float, uuid: str | None = None) -> list[GpuSample]:
        """Samples of one GPU, or of all, taken within a span, oldest first."""
        since_us, until_us = span_us(since_s, until_s)

        def work(connection: Connection) -> list[GpuSample]:
            known = {row.id: (row.uuid, row.name) for row in connection.execute(select(gpus))}
            if uuid is not None:
                known = {number: (uuid, name) for number, (kept, name) in known.items() if kept == storable(uuid)}
            members = None if uuid is None else list(known)
            rows = rows_between(connection, gpu_samples, since_us, until_us, members)
            return [gpu_sample(row, *known[row[1]]) for row in rows if row[1] in known]

        return self._engines.read(work)

    def totals(
        self, since_s: float, until_s: float, replica: ReplicaKey | None = None, epoch: int | None = None
    ) -> list[tuple[float, Totals]]:
        """(start of the bucket, totals) of the five-minute buckets that start within a span, oldest first."""
        return self._totals(replica_totals, since_s, until_s, replica, epoch)

    def hours(
        self, since_s: float, until_s: float, replica: ReplicaKey | None = None, epoch: int | None = None
    ) -> list[tuple[float, Totals]]:
        """(start of the hour, totals) of the closed hours that start within a span, oldest first."""
        return self._totals(replica_hours, since_s, until_s, replica, epoch)

    def _totals(
        self, table: Table, since_s: float, until_s: float, replica: ReplicaKey | None, epoch: int | None
    ) -> list[tuple[float, Totals]]:
        def work(connection: Connection) -> list[tuple[float, Totals]]:
            keys = _keys(connection, replica, epoch)
            members = None if replica is None else list(keys)
            return list(_totals_between(connection, table, since_s, until_s, keys, members))

        return self._engines.read(work)

    def totals_of(
        self, since_s: float, until_s: float, members: Mapping[int, ReplicaKey]
    ) -> dict[int, list[tuple[float, Totals]]]:
        """As `totals`, of some epochs of given replicas, by epoch: in one search."""
        return self._totals_of(replica_totals, since_s, until_s, members)

    def hours_of(
        self, since_s: float, until_s: float, members: Mapping[int, ReplicaKey]
    ) -> dict[int, list[tuple[float, Totals]]]:
        """As `hours`, of some epochs of given replicas, by epoch: in one search."""
        return self._totals_of(replica_hours, since_s, until_s, members)

    def _totals_of(
        self, table: Table, since_s: float, until_s: float, members: Mapping[int, ReplicaKey]
    ) -> dict[int, list[tuple[float, Totals]]]:
        def work(connection: Connection) -> dict[int, list[tuple[float, Totals]]]:
            found: dict[int, list[tuple[float, Totals]]] = {epoch: [] for epoch in members}
            for start_s, totals in _totals_between(connection, table, since_s, until_s, members, list(members)):
                found[totals.epoch].append((start_s, totals))
            return found

        return self._engines.read(work)

    def latest_report(self, until_s: float | None = None) -> StoredReport | None:
        """The newest report, made by `until_s` where it is given; None before the first."""
        newest = select(reports).where(*_made_by(until_s)).order_by(reports.c.made_at_us.desc()).limit(1)
        row = self._engines.read(lambda connection: connection.execute(newest).first())
        return None if row is None else StoredReport(seconds(row.made_at_us), json.loads(zlib.decompress(row.body)))

    def analyser(self) -> str | None:
        """The daemon whose turn it is to analyse, as several on one Postgres database see it; None when none has it."""
        holder = select(analyser.c.holder)
        return self._engines.read(lambda connection: connection.execute(holder).scalar())

    def latest_report_s(self, until_s: float | None = None) -> float | None:
        """When the report that `latest_report` gives was made (unix time); None before the first."""
        newest = select(func.max(reports.c.made_at_us)).where(*_made_by(until_s))
        at_us = self._engines.read(lambda connection: connection.execute(newest).scalar())
        return None if at_us is None else seconds(at_us)

    def report_times(self) -> list[float]:
        """When the kept reports were made (unix time), oldest first."""
        times = select(reports.c.made_at_us).order_by(reports.c.made_at_us)
        return [
            seconds(one) for one in self._engines.read(lambda connection: list(connection.execute(times).scalars()))
        ]

    def reports(self, since_s: float, until_s: float) -> Iterator[StoredReport]:
        """The kept reports made within a span, oldest first and one at a time: a fleet's are megabytes each."""
        for made_at_s in self.report_times():
            if since_s <= made_at_s < until_s and (body := self._report_of(made_at_s)) is not None:
                yield StoredReport(made_at_s, body)

    def _report_of(self, made_at_s: float) -> Any:
        """A report's body; None when it was deleted meanwhile."""
        one = select(reports.c.body).where(reports.c.made_at_us == microseconds(made_at_s))
        body = self._engines.read(lambda connection: connection.execute(one).scalar())
        return None if body is None else json.loads(zlib.decompress(body))

    def verdicts(self) -> dict[tuple[str, str], VerdictState]:
        """The verdict states by (deployment, scheme)."""

        def work(connection: Connection) -> dict[tuple[str, str], VerdictState]:
            return {
                (row.deployment, row.scheme): VerdictState(
                    verdict=Verdict(row.verdict),
                    since_s=seconds(row.since_us),
                    last_data_s=None if row.last_data_us is None else seconds(row.last_data_us),
                    candidate=None if row.candidate is None else Verdict(row.candidate),
                    candidate_since_s=None if row.candidate_since_us is None else seconds(row.candidate_since_us),
                )
                for row in connection.execute(select(verdicts))
            }

        return self._engines.read(work)

    def told(self, receiver: str) -> dict[tuple[str, str], Verdict]:
        """The verdict that a receiver of notifications was told last, by (deployment, scheme) as they are stored."""
        rows = select(told_verdicts).where(told_verdicts.c.receiver == storable(receiver))
        found = self._engines.read(lambda connection: list(connection.execute(rows)))
        return {(row.deployment, row.scheme): Verdict(row.verdict) for row in found}


def _rows_of(connection: Connection, since_s: float, until_s: float, epochs: Mapping[int, ReplicaKey]) -> Rows:
    """The rows of some epochs taken within a span, each one's together and oldest first."""
    since_us, until_us = span_us(since_s, until_s)
    ticks = ticks_between(connection, replica_samples, since_us, until_us)
    return rows_at_once(connection, replica_samples, since_us, until_us, ticks, list(epochs))


def replica_of_epoch(connection: Connection, replica: ReplicaKey | None = None) -> dict[int, ReplicaKey]:
    """The replica of every epoch, or the epochs of one replica."""
    if replica is not None:
        kept = storable_key(replica)
        values = {"target": kept.target, "model": kept.model, "rank": kept.rank}
        return dict.fromkeys(connection.execute(_EPOCHS_OF, values).scalars(), replica)
    pairs = select(epochs.c.id, replicas.c.target, replicas.c.model, replicas.c.rank).join(replicas)
    return {number: ReplicaKey(target, model, rank) for number, target, model, rank in connection.execute(pairs)}


def _totals_between(
    connection: Connection,
    table: Table,
    since_s: float,
    until_s: float,
    keys: Mapping[int, ReplicaKey],
    members: Sequence[int] | None,
) -> Iterator[tuple[float, Totals]]:
    """(start, totals) of the known epochs, sought among `members` where any are named, oldest first."""
    since_us, until_us = span_us(since_s, until_s)
    # Starts are whole milliseconds.
    rows = grid_rows(connection, table, -(-since_us // 1000), -(-until_us // 1000), members)
    known = [row for row in rows if row[1] in keys]
    return zip((row[0] / 1000 for row in known), totals_of_rows(known, keys), strict=True)


def _keys(connection: Connection, replica: ReplicaKey | None, epoch: int | None) -> dict[int, ReplicaKey]:
    """As `replica_of_epoch`; one whose epoch is known is not looked up."""
    return replica_of_epoch(connection, replica) if replica is None or epoch is None else {epoch: replica}


def _made_by(until_s: float | None) -> Sequence[ColumnElement[bool]]:
    return () if until_s is None else (reports.c.made_at_us <= microseconds(until_s),)


def _is(replica: ReplicaKey) -> ColumnElement[bool]:
    kept = storable_key(replica)
    return and_(replicas.c.target == kept.target, replicas.c.model == kept.model, replicas.c.rank == kept.rank)
