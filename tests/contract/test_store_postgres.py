"""What only a server can do to us: cut connections, ask for passwords, let a second daemon write at the same moment."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing
from threading import Event, Thread
from typing import Any

import pytest
from sqlalchemy import Connection, event

from analyzer.windows import Totals
from collector.errors import StoreError
from collector.store import Appended, Store
from collector.store.rollup import bucket_totals
from tests.contract.postgres_cluster import GUARDED_PASSWORD, GUARDED_ROLE, Cluster
from tests.contract.standing_clock import StandingClock
from tests.contract.store_samples import START_S, registered, sample

OURS = "datname = '{}' AND application_name = 'breakeven'"


@pytest.fixture
def database(postgres: Cluster, migrated_database: str) -> Iterator[str]:
    """The name of a database that holds the schema and nothing else."""
    name = postgres.fresh(migrated_database)
    yield name
    postgres.drop(name)


@pytest.fixture
def opened(postgres: Cluster, database: str) -> Iterator[Store]:
    """A store on that database."""
    with closing(Store.open(postgres.url(database), StandingClock())) as store:
        yield store


def cut(postgres: Cluster, database: str) -> int:
    """End all our connections from the server's side; how many."""
    return len(postgres.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {OURS.format(database)}"))


@pytest.mark.fault("4", "Postgres restarts or cuts connections", promise="the next write opens a connection of its own")
def test_the_next_write_after_a_cut_connection_succeeds(postgres: Cluster, database: str, opened: Store) -> None:
    key, epoch = registered(opened)
    opened.writer.append([sample(key, epoch, START_S)])
    opened.reader.replicas()
    assert cut(postgres, database) == 2
    assert Appended(1, 0) == opened.writer.append([sample(key, epoch, START_S + 15)])
    assert len(opened.reader.samples(START_S, START_S + 30, key)) == 2


@pytest.mark.fault(
    "4", "Postgres restarts or cuts connections", promise="a write that was cut is made once more, as a whole"
)
def test_a_connection_cut_in_mid_transaction_is_tried_once_more(
    postgres: Cluster, database: str, opened: Store
) -> None:
    key, epoch = registered(opened)
    cuts: list[int] = []

    def cut_once(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "replica_samples" in statement and not cuts:
            cuts.append(cut(postgres, database))

    event.listen(opened._engines.writing, "before_cursor_execute", cut_once)
    batch = [sample(key, epoch, START_S + 15.0 * n) for n in range(3)]
    assert Appended(3, 0) == opened.writer.append(batch)
    assert len(cuts) == 1
    assert batch == opened.reader.samples(START_S, START_S + 60, key)


@pytest.mark.fault("4", "Postgres restarts or cuts connections", promise="one retry and no more: then the samples wait")
def test_a_server_that_keeps_cutting_is_an_error_and_not_a_loop(
    postgres: Cluster, database: str, opened: Store
) -> None:
    key, epoch = registered(opened)
    cuts: list[int] = []

    def cut_always(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "replica_samples" in statement:
            cuts.append(cut(postgres, database))

    event.listen(opened._engines.writing, "before_cursor_execute", cut_always)
    with pytest.raises(StoreError, match="PostgreSQL"):
        opened.writer.append([sample(key, epoch, START_S)])
    assert len(cuts) == 2


@pytest.mark.fault("5", "a secret in a log, page, metric or file", promise="the database's password is in no error")
def test_any_password_works_and_never_shows(postgres: Cluster, database: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    url = postgres.url(database, GUARDED_ROLE, GUARDED_PASSWORD)
    with closing(Store.open(url, StandingClock())) as store:
        registered(store)
        assert postgres.run(f"SELECT DISTINCT usename FROM pg_stat_activity WHERE {OURS.format(database)}") == [
            (GUARDED_ROLE,)
        ]
        shown = f"{store.place} {store._engines!r} {caplog.text}"
    with pytest.raises(StoreError, match="password authentication failed") as refused:
        Store.open(postgres.url(database, GUARDED_ROLE, GUARDED_PASSWORD + "x"), StandingClock())
    shown += f"{refused.value} {refused.value.__cause__!r} {caplog.text}"
    assert GUARDED_PASSWORD not in shown
    assert GUARDED_PASSWORD[3:] not in shown


def test_a_database_that_does_not_exist_is_one_clear_line(postgres: Cluster) -> None:
    with pytest.raises(StoreError, match='database "nowhere" does not exist') as refused:
        Store.open(postgres.url("nowhere"), StandingClock())
    assert "\n" not in str(refused.value)


def test_a_user_who_may_not_make_tables_is_told_what_to_ask_for(postgres: Cluster, postgres_database: str) -> None:
    postgres.run("DROP ROLE IF EXISTS visitor")
    postgres.run("CREATE ROLE visitor LOGIN")
    with pytest.raises(StoreError, match="let this user create tables"):
        Store.open(postgres.url(postgres_database, "visitor"), StandingClock())


@pytest.mark.fault(
    "4",
    "the network to Postgres is cut",
    promise="a connection is told to end after ten seconds without acknowledgement, and the operator's own limits win",
)
def test_our_time_limits_hold_and_the_operator_s_win(postgres: Cluster, database: str) -> None:
    def setting(connection: Connection, name: str) -> str:
        return str(connection.exec_driver_sql(f"SHOW {name}").scalar())

    with closing(Store.open(postgres.url(database), StandingClock())) as store:
        assert store._engines.read(lambda connection: setting(connection, "statement_timeout")) == "30s"
        assert store._engines.read(lambda connection: setting(connection, "transaction_read_only")) == "on"
        # A process that is stopped within a write must not keep another daemon's waiting for its rows.
        idle = store._engines.write(lambda connection: setting(connection, "idle_in_transaction_session_timeout"))
        assert idle == "30s"
        stated = store._engines.read(lambda connection: connection.connection.dbapi_connection.info.get_parameters())
        assert (stated["tcp_user_timeout"], stated["connect_timeout"]) == ("10000", "5")
    theirs = f"{postgres.url(database)}&options=-c%20statement_timeout%3D7s&application_name=mine"
    with closing(Store.open(theirs, StandingClock())) as store:
        assert store._engines.read(lambda connection: setting(connection, "statement_timeout")) == "7s"
        assert store._engines.read(lambda connection: setting(connection, "application_name")) == "mine"


@pytest.mark.fault(
    "4", "a Postgres backend hangs", promise="a statement that waits is ended at its time limit, and the store goes on"
)
def test_a_hanging_statement_is_ended(postgres: Cluster, database: str) -> None:
    """Another session holds the table: the write gives up at the statement's time limit and the store goes on."""
    import psycopg

    url = f"{postgres.url(database)}&options=-c%20statement_timeout%3D200"
    with closing(Store.open(url, StandingClock())) as store:
        key, epoch = registered(store)
        with psycopg.connect(postgres.url(database)) as holder:
            holder.execute("LOCK TABLE replica_samples IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(StoreError, match="statement timeout"):
                store.writer.append([sample(key, epoch, START_S)])
        assert Appended(1, 0) == store.writer.append([sample(key, epoch, START_S)])


@pytest.mark.fault("4", "the database is busy", promise="whoever reads for long, a dump, holds no new day's samples up")
def test_a_long_reader_holds_no_new_day_up(postgres: Cluster, database: str) -> None:
    """Another session has read both tables and goes on; samples of two days later need a partition of their own."""
    import psycopg

    url = f"{postgres.url(database)}&options=-c%20statement_timeout%3D2s"
    with closing(Store.open(url, StandingClock())) as store:
        key, epoch = registered(store)
        assert Appended(1, 0) == store.writer.append([sample(key, epoch, START_S)])
        with psycopg.connect(postgres.url(database)) as reader:
            reader.execute("SELECT count(*) FROM replica_samples, gpu_samples")
            later = sample(key, epoch, START_S + 2 * 86_400)
            assert Appended(1, 0) == store.writer.append([later])
            assert later in store.reader.samples(0, 4e9)


def test_a_roll_up_waits_for_samples_that_are_just_being_added(
    postgres: Cluster, database: str, opened: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Daemon A has marked the bucket and not yet committed its samples when daemon B rolls the bucket up."""
    key, epoch = registered(opened)
    opened.writer.append([sample(key, epoch, START_S + 15.0 * n, steps_total=float(n)) for n in (0, 1)])
    marked, may_go_on = Event(), Event()

    def stop_after_marking(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "INSERT INTO replica_samples" in statement:
            marked.set()
            may_go_on.wait()

    event.listen(opened._engines.writing, "before_cursor_execute", stop_after_marking)
    adding = Thread(target=opened.writer.append, args=([sample(key, epoch, START_S + 30.0, steps_total=2.0)],))
    adding.start()
    marked.wait()
    with closing(Store.open(postgres.url(database), StandingClock())) as second:
        rolling = Thread(target=second.roll_up, args=(START_S + 1e6,))
        rolling.start()
        waiting = f"SELECT 1 FROM pg_stat_activity WHERE {OURS.format(database)} AND wait_event_type = 'Lock'"
        while rolling.is_alive() and not postgres.run(waiting):
            rolling.join(0.01)
        may_go_on.set()
        adding.join()
        rolling.join()
        second.roll_up(START_S + 1e6)
        assert [totals.deltas["steps_total"] for _, totals in second.reader.totals(0, 4e9, key)] == [2.0]


def test_samples_added_while_their_bucket_is_rolled_up_bring_it_back(
    postgres: Cluster, database: str, opened: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Daemon A has read the bucket's samples when daemon B adds one more to it."""
    key, epoch = registered(opened)
    opened.writer.append([sample(key, epoch, START_S + 15.0 * n, steps_total=float(n)) for n in (0, 1)])
    with closing(Store.open(postgres.url(database), StandingClock())) as second:
        late = [sample(key, epoch, START_S + 30.0, steps_total=2.0)]
        adding = Thread(target=second.writer.append, args=(late,))
        waiting = f"SELECT 1 FROM pg_stat_activity WHERE {OURS.format(database)} AND wait_event_type = 'Lock'"

        def read_while_another_adds(connection: Connection, bucket_ms: int, past: object) -> list[Totals]:
            assert past is None
            made = list(bucket_totals(connection, bucket_ms))
            if adding.ident is None:
                adding.start()
                while adding.is_alive() and not postgres.run(waiting):
                    adding.join(0.01)
            return made

        with monkeypatch.context() as patched:
            patched.setattr("collector.store.rollup.bucket_totals", read_while_another_adds)
            opened.roll_up(START_S + 300)
        adding.join()
        opened.roll_up(START_S + 1e6)
    assert [totals.deltas["steps_total"] for _, totals in opened.reader.totals(0, 4e9, key)] == [2.0]
