"""What a month of a thousand replicas takes in either database: bytes of raw samples, and how long questions take.

An hour is written as the daemon does and sealed by its job, and lies there as the whole day before the last hour, which
comes as rows. What Postgres' autovacuum does while the daemon runs is asked for, since no time passes here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Connection, Table, text

from analyzer.samples import Identity, ReplicaKey, ReplicaSample
from collector.jobs.analyse import Analyse
from collector.jobs.polled import Polled
from collector.jobs.sink import FLUSH_S
from collector.jobs.step_models import CAPACITIES_AT_ONCE
from collector.jobs.ticks import first_delay_s
from collector.settings.load import parse_settings
from collector.store import Store
from collector.store.engine import open_engines
from collector.store.partitions import days_of, make_days
from collector.store.retention import used_bytes
from collector.store.schema import BUCKET_MS, HOUR_MS, replica_blocks, replica_hours, replica_totals
from collector.store.sealing import SEALED_AFTER_S
from tests.bench.fleet import member, watched_hour
from tests.bench.measure import Timing, timed
from tests.bench.table import Row
from tests.contract.postgres_cluster import running_cluster
from tests.fakes.hand_clock import HandClock

INTERVAL_S = 15.0
HOUR_S, DAY_S, MONTH_S = 3600.0, 86_400.0, 30 * 86_400.0
DAY_HOURS = DAY_S / HOUR_S
VARIANTS = 100
"""So many replicas differ in their figures; the others share theirs."""
LARGEST_DAY_MB, LONGEST_LATEST_MS, LONGEST_MONTH_MS = 0.75, 50.0, 20.0
_SPANS = {replica_totals: (BUCKET_MS, DAY_S), replica_hours: (HOUR_MS, MONTH_S)}
"""How long totals are, and how far back this month has them: by five minutes as far as they are read so."""
ROW_HOURS = 3
"""At most so many hours lie as rows: sealed after two, by an hourly job."""


def rows(replicas: int, runs: int, folder: Path) -> list[Row]:
    """Both databases; the month lies in `folder` while it is asked."""
    made = of_database("SQLite", f"sqlite:///{folder / 'month.db'}", replicas, runs)
    with running_cluster() as cluster:
        return made + of_database("Postgres", cluster.url(cluster.fresh()), replicas, runs)


def of_database(name: str, url: str, replicas: int, runs: int) -> list[Row]:
    """One database: filled as the daemon fills it for an hour, the month before made of that hour's totals."""
    clock = HandClock()
    with closing(Store.open(url, clock)) as store:
        begin_s = clock.wall_s() // HOUR_S * HOUR_S
        fleet = registered(store, replicas, begin_s)
        empty = used(url)
        fill(store, fleet, begin_s - HOUR_S)
        hour_mb = (used(url) - empty) / replicas / 1e6
        sealing = seal(store, begin_s)
        repeat_blocks(url, begin_s)
        sealed_mb = (used(url) - empty) / replicas / 1e6
        day_mb = sealed_mb * (1 - ROW_HOURS / DAY_HOURS) + hour_mb * ROW_HOURS
        fill(store, fleet, begin_s)
        now_s = begin_s + HOUR_S
        store.roll_up(now_s)
        repeat(url, begin_s)
        one = fleet[replicas // 2].key

        def asked(what: Callable[[], Sequence[object]], expected: int) -> Callable[[], object]:
            def go() -> None:
                assert len(what()) == expected

            return go

        reader, size = store.reader, f"{used(url) / 1e6:,.0f} MB, {name}"
        hour_polls = round(HOUR_S / INTERVAL_S)
        latest = asked(lambda: [*reader.latest(now_s - DAY_S)], replicas)
        month = asked(lambda: reader.hours(now_s - MONTH_S, now_s, one), round(MONTH_S / HOUR_S))
        day = asked(lambda: reader.totals(now_s - DAY_S, now_s, one), round(DAY_S * 1000 / BUCKET_MS))
        raw = asked(lambda: reader.samples(now_s - HOUR_S, now_s + 1, one), hour_polls)
        old = asked(lambda: reader.samples(now_s - DAY_S, now_s - DAY_S + HOUR_S, one), hour_polls)
        of = f"raw samples of a target and day, every {INTERVAL_S:g} s"
        return [
            Row(f"{of}, all but the last {ROW_HOURS} hours sealed, {name}", day_mb, "MB", LARGEST_DAY_MB),
            Row(f"the same, all sealed, {name}", sealed_mb, "MB"),
            Row(f"the same, none sealed, {name}", hour_mb * DAY_HOURS, "MB"),
            Row(f"sealing five minutes of {replicas:,} replicas, {name}", sealing, "s"),
            _ms(f"latest state of {replicas:,} replicas, of {size}", latest, runs, LONGEST_LATEST_MS),
            _ms(f"30 days of one replica from hourly totals, {name}", month, runs, LONGEST_MONTH_MS),
            _ms(f"a day of one replica from five-minute totals, {name}", day, runs),
            _ms(f"an hour of one replica from raw samples, {name}", raw, runs),
            _ms(f"the same from sealed samples, {name}", old, runs),
            *report_rows(name, store, fleet, now_s, runs),
        ]


def report_rows(name: str, store: Store, fleet: Sequence[Stored], now_s: float, runs: int) -> list[Row]:
    """The daemon's report from what is stored: the first one, and one whose figures of the week stand."""
    analyse = Analyse(store, parse_settings("", ""))
    polled = {one.key: Polled(one.key, "bench", one.identity, "bench", now_s, now_s, INTERVAL_S, {}) for one in fleet}
    epochs = {one.key: one.epoch for one in fleet}
    begun_s = time.perf_counter()
    analyse.run(polled, epochs, now_s)
    first_s = time.perf_counter() - begun_s
    usual = timed(lambda: analyse.run(polled, epochs, now_s), runs, time.perf_counter)
    what = f"a report of {len(fleet):,} replicas with a week of history"
    return [
        Row(f"{what}, the first after the daemon's start, {name}", first_s, "s"),
        Row(f"{what}, most of whose figures stand, with {CAPACITIES_AT_ONCE} capacities, {name}", usual, "s"),
    ]


def _ms(name: str, work: Callable[[], object], runs: int, bound_ms: float | None = None) -> Row:
    """By the wall: a database may be another process, and whoever asks waits for it."""
    return Row(name, timed(work, max(runs, 5), time.perf_counter).times(1000), "ms", bound_ms)


@dataclass(frozen=True, slots=True)
class Stored:
    """One replica: its key and epoch, when in an interval it is polled, and what its polls say."""

    key: ReplicaKey
    identity: Identity
    epoch: int
    offset_s: float
    samples: Sequence[ReplicaSample]


def registered(store: Store, replicas: int, begin_s: float) -> list[Stored]:
    """The fleet; its epochs began a month before."""
    hour = watched_hour(INTERVAL_S)
    variants = [member(number, hour) for number in range(min(replicas, VARIANTS))]
    fleet = []
    for number in range(replicas):
        one = variants[number % len(variants)]
        key = ReplicaKey(f"http://replica-{number}:8000/metrics", one.key.model)
        epoch = store.writer.register(key, one.identity, "bench", "bench", begin_s - MONTH_S)
        fleet.append(Stored(key, one.identity, epoch, first_delay_s(key.target, INTERVAL_S, 0.0), one.samples))
    return fleet


def fill(store: Store, fleet: Sequence[Stored], begin_s: float) -> None:
    """An hour of raw samples, written as the daemon does: what was polled since the last flush, flush after flush."""
    for flush in range(round(HOUR_S / FLUSH_S)):
        tick, since_s = int(flush * FLUSH_S // INTERVAL_S), flush * FLUSH_S % INTERVAL_S
        at_s = begin_s + tick * INTERVAL_S
        store.writer.append(
            replace(
                one.samples[tick], replica=one.key, epoch=one.epoch, at_s=at_s + one.offset_s, interval_s=INTERVAL_S
            )
            for one in fleet
            if since_s <= one.offset_s < since_s + FLUSH_S
        )


def seal(store: Store, begin_s: float) -> Timing:
    """Seal the hour before, five minutes after five minutes; how long each took by the wall."""
    taken = timed(lambda: store.seal(begin_s + SEALED_AFTER_S), round(HOUR_S * 1000 / BUCKET_MS) - 1, time.perf_counter)
    assert store.seal(begin_s + SEALED_AFTER_S) == 0
    return taken


def repeat_blocks(url: str, begin_s: float) -> None:
    """The sealed hour again and again until the day before `begin_s` is full, oldest first."""
    hours = range(round(DAY_HOURS) - 1, 0, -1)
    last_ms = round(begin_s * 1000) - HOUR_MS
    with changing(url) as connection:
        if connection.dialect.name != "sqlite":
            make_days(connection, days_of([last_ms - back * HOUR_MS for back in hours]))
        for back in hours:
            columns = ", ".join(replica_blocks.columns.keys()).replace("bucket_ms", f"bucket_ms - {back * HOUR_MS}", 1)
            of_hour = f"SELECT {columns} FROM replica_blocks WHERE bucket_ms >= {last_ms} ORDER BY 1, 2"
            connection.exec_driver_sql(f"INSERT INTO replica_blocks {of_hour}")
    with changing(url, "AUTOCOMMIT") as connection:
        if connection.dialect.name != "sqlite":
            connection.exec_driver_sql("VACUUM replica_samples, replica_blocks")


def repeat(url: str, begin_s: float) -> None:
    """The hour's totals again and again until the month is full, oldest first as they would have come."""
    with changing(url) as connection:
        for table, (span_ms, length_s) in _SPANS.items():
            last_ms = round((begin_s + HOUR_S) * 1000) - span_ms
            first_ms = last_ms + span_ms - round(length_s * 1000)
            there = connection.execute(text(f"SELECT DISTINCT bucket_ms FROM {table.name}")).scalars()
            missing = sorted({*range(first_ms, last_ms + 1, span_ms)} - {*there})
            for bucket_ms in missing:
                connection.execute(text(_copy(table)), {"back": last_ms - bucket_ms, "last": last_ms})
    with changing(url, "AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))


def _copy(table: Table) -> str:
    """The statement that puts a bucket's rows so many milliseconds earlier."""
    earlier = "{} - CAST(:back AS bigint) * 1000"
    shifted = {"bucket_ms": "bucket_ms - :back", "start_us": earlier, "end_us": earlier}
    columns = ", ".join(shifted.get(name, "{}").format(name) for name in table.columns.keys())  # noqa: SIM118
    return f"INSERT INTO {table.name} SELECT {columns} FROM {table.name} WHERE bucket_ms = :last"


@contextmanager
def changing(url: str, isolation: str | None = None) -> Iterator[Connection]:
    """A connection that writes what no daemon would write so."""
    with closing(open_engines(url)) as engines:
        engine = engines.migrating
        if isolation is not None and not engines.sqlite:
            engine = engine.execution_options(isolation_level=isolation)
        with engine.begin() as connection:
            yield connection


def used(url: str) -> int:
    """Bytes of the stored rows."""
    with closing(open_engines(url)) as engines:
        return used_bytes(engines)
