"""A real TimescaleDB holds what SQLite holds, in hypertables: added, rolled up, sealed, dropped by time and by size."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import _preparing

from analyzer.samples import GpuSample
from collector.store import Keep, Store
from collector.store.partitions import DAY_MS
from collector.store.schema import replica_samples
from tests.contract.standing_clock import StandingClock
from tests.contract.store_samples import START_S, registered, sample, seal_all
from tests.contract.test_store_seal import lying
from tests.fakes.timescaledb import running_timescaledb

pytestmark = pytest.mark.soak

HOUR_S, DAY_S = 3600.0, 86_400.0
YEAR_S = 365 * DAY_S
PER_HOUR = 4
HYPERTABLES = ["gpu_blocks", "gpu_samples", "replica_blocks", "replica_samples"]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The URL of a TimescaleDB that all these tests share."""
    with running_timescaledb() as url:
        yield url


@pytest.fixture
def clock() -> StandingClock:
    """A clock that stands still."""
    return StandingClock()


@pytest.fixture
def store(server: str, clock: StandingClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store that holds nothing yet, in a schema of its own."""
    # Names of prepared statements are a session's, and there is one.
    monkeypatch.setattr(_preparing.PrepareManager, "prepare_threshold", None)
    monkeypatch.setattr(psycopg.Connection, "prepare_threshold", None)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS kept CASCADE")
        connection.execute("CREATE SCHEMA kept")
        connection.execute("SET search_path = kept, public")
    with closing(Store.open(server, clock)) as opened:
        yield opened


@pytest.fixture
def beside(tmp_path: Path, clock: StandingClock) -> Iterator[Store]:
    """A SQLite file."""
    with closing(Store.open(str(tmp_path / "beside.db"), clock)) as opened:
        yield opened


def asked(store: Store, statement: str) -> list[Any]:
    """The first column of a statement's answer."""
    return store._engines.write(lambda connection: list(connection.exec_driver_sql(statement).scalars()))


def chunks(store: Store, table: str) -> int:
    """How many days of a table there are."""
    return len(asked(store, f"SELECT chunk_name FROM timescaledb_information.chunks WHERE hypertable_name = '{table}'"))


def fill(store: Store, hours: int) -> None:
    """Two replicas and a GPU, polled from START_S on, `PER_HOUR` times an hour."""
    interval_s = HOUR_S / PER_HOUR
    known = {one.key.target: one.key for one in store.reader.replicas()}
    for number in range(2):
        key, epoch = registered(store, known.get(f"r{number}"))
        instants = [START_S + n * interval_s for n in range(hours * PER_HOUR)]
        samples = [
            sample(key, epoch, at_s, interval_s, steps_total=at_s + number, busy_s_total=at_s / 3) for at_s in instants
        ]
        store.writer.append(samples)
    store.writer.append([], [GpuSample("GPU-a", at_s, interval_s, power_w=300.0) for at_s in instants])


def test_every_raw_table_and_its_blocks_are_hypertables_of_days(store: Store) -> None:
    told = "SELECT hypertable_name FROM timescaledb_information.hypertables ORDER BY 1"
    assert asked(store, told) == HYPERTABLES
    lengths = "SELECT DISTINCT integer_interval FROM timescaledb_information.dimensions"
    assert asked(store, lengths) == [DAY_MS]
    assert asked(store, "SELECT count(*) FROM pg_class WHERE relkind = 'p'") == [0], "no native partitions beside them"


def test_what_is_appended_rolled_up_and_sealed_reads_as_from_sqlite(store: Store, beside: Store) -> None:
    """30 hours from 10:00 UTC: two days, which are two chunks of raw samples and two of blocks."""
    for one in (store, beside):
        fill(one, 30)
    now_s = START_S + 31 * HOUR_S
    assert chunks(store, "replica_samples") == 2

    def told(one: Store) -> list[Any]:
        reader = one.reader
        views = [reader.samples(0, 4e9), reader.gpu_samples(0, 4e9), reader.totals(0, 4e9), reader.hours(0, 4e9)]
        return [sorted(repr(figure) for figure in view) for view in views]

    keys = {one.key for one in store.reader.replicas()}
    assert keys, "replicas are read"
    assert store.roll_up(now_s) == beside.roll_up(now_s) == 2 * 30 * PER_HOUR, "the one after each as well"
    assert [len(view) for view in told(store)] == [len(view) for view in told(beside)] == [240, 120, 238, 60]
    before = told(store)
    assert seal_all(store, now_s) == seal_all(beside, now_s)
    assert lying(store) == lying(beside)
    assert told(store) == before
    assert chunks(store, "replica_blocks") == 2
    latest = {key: one.at_s for key, one in store.reader.latest(START_S).items()}
    assert latest == dict.fromkeys(keys, START_S + 30 * HOUR_S - 900)
    key = next(iter(keys))
    mine = store.reader.samples(0, 4e9, key)
    assert store.reader.last_sample(key, START_S + HOUR_S) == mine[3]
    assert store.writer.append(mine).new == 0, "raw or sealed, what is there is a duplicate"
    late = replace(mine[5], at_s=mine[5].at_s + 1.0, interval_s=1.0)
    assert store.writer.append([late]).new == 1
    assert seal_all(store, now_s) == 1
    assert [*mine[:6], late, *mine[6:]] == store.reader.samples(0, 4e9, key)


@pytest.mark.parametrize("sealed", [False, True])
def test_days_that_are_too_old_are_dropped_as_chunks(store: Store, sealed: bool) -> None:
    """49 hours from 10:00 UTC, one kept at 11:00 of the third day: 14 h and 24 h go, of two replicas and a GPU."""
    fill(store, 49)
    now_s = START_S + 49 * HOUR_S
    store.roll_up(now_s)
    if sealed:
        seal_all(store, now_s)
    pruned = store.prune(Keep(HOUR_S, YEAR_S, YEAR_S), now_s)
    assert (pruned.samples, pruned.gpu_samples) == (2 * 38 * PER_HOUR, 38 * PER_HOUR)
    assert len(store.reader.samples(0, 4e9)) == 2 * 11 * PER_HOUR
    assert len(store.reader.gpu_samples(0, 4e9)) == 11 * PER_HOUR
    assert chunks(store, "replica_samples") == 1
    assert chunks(store, "replica_blocks") == int(sealed)
    assert len(store.reader.totals(0, 4e9)) == 2 * (49 * PER_HOUR - 1), "what was rolled up stays"


@pytest.mark.fault(
    "4", "unbounded growth", promise="on TimescaleDB the size limit takes the oldest day, and no more than it needs"
)
@pytest.mark.parametrize("sealed", [False, True])
def test_the_size_limit_takes_the_oldest_day_and_no_more_than_it_needs(store: Store, sealed: bool) -> None:
    """97 hours from 10:00 UTC are five days. A limit just under what they use costs the first of them, 14 hours."""
    fill(store, 97)
    now_s = START_S + 97 * HOUR_S
    store.roll_up(now_s)
    if sealed:
        seal_all(store, now_s)
    used = store.used_bytes()
    assert used > 97 * PER_HOUR * 2 * 100, "chunks count"
    pruned = store.prune(Keep(YEAR_S, YEAR_S, YEAR_S, max_bytes=used - 1), now_s)
    assert pruned.samples == 2 * 14 * PER_HOUR
    assert pruned.used_bytes < used
    assert store.prune(Keep(YEAR_S, YEAR_S, YEAR_S, max_bytes=1), now_s).samples == 2 * (24 * 3) * PER_HOUR
    assert len(store.reader.samples(0, 4e9)) == 2 * 11 * PER_HOUR, "the day that is not over stays"


def test_chunks_that_timescaledb_itself_compressed_are_read_added_to_sealed_and_dropped(store: Store) -> None:
    """An operator's choice; two days, of which TimescaleDB compresses the first."""
    fill(store, 30)
    table = replica_samples.name
    before = sorted(map(repr, store.reader.samples(0, 4e9)))
    store._engines.write(
        lambda connection: connection.exec_driver_sql(
            f"ALTER TABLE {table} SET (timescaledb.compress, timescaledb.compress_segmentby = 'epoch_id',"
            " timescaledb.compress_orderby = 'tick_ms')"
        )
    )
    until_ms = round(START_S * 1000) + DAY_MS
    asked(store, f"SELECT compress_chunk(c)::text FROM show_chunks('{table}', older_than => {until_ms}) AS c")
    done = "SELECT count(*) FROM timescaledb_information.chunks WHERE is_compressed"
    assert asked(store, done) == [1]
    assert sorted(map(repr, store.reader.samples(0, 4e9))) == before
    key = store.reader.replicas()[0].key
    mine = store.reader.samples(0, 4e9, key)
    late = replace(mine[5], at_s=mine[5].at_s + 1.0, interval_s=1.0)
    appended = store.writer.append([*mine[:20], late])
    assert (appended.new, appended.duplicates) == (1, 20)
    now_s = START_S + 31 * HOUR_S
    store.roll_up(now_s)
    seal_all(store, now_s)
    assert [*mine[:6], late, *mine[6:]] == store.reader.samples(0, 4e9, key)
    assert store.prune(Keep(HOUR_S, YEAR_S, YEAR_S), now_s).samples == 2 * 14 * PER_HOUR + 1
