"""A Postgres backend that stands still is given up: the connection is cut, and the next one goes on."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from collector.errors import StoreAwayError, StoreError
from collector.store import Appended, Store
from tests.contract.postgres_cluster import Cluster
from tests.contract.standing_clock import StandingClock
from tests.contract.store_samples import START_S, registered, sample

LIMIT_S = 0.5
BACKEND = "SELECT pg_backend_pid()"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collector.store.engine.TRANSACTION_LIMIT_S", LIMIT_S)


@contextmanager
def stopped(*pids: int) -> Iterator[None]:
    """Processes that stand still meanwhile."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def pids(store: Store) -> tuple[int, int]:
    """The processes that serve the store's writes and its reads."""
    return (
        store._engines.write(lambda connection: int(connection.exec_driver_sql(BACKEND).scalar_one())),
        store._engines.read(lambda connection: int(connection.exec_driver_sql(BACKEND).scalar_one())),
    )


@pytest.mark.fault(
    "4", "a Postgres backend hangs", promise="a connection without an answer for a minute is cut, and a new one goes on"
)
def test_a_backend_that_stands_still_is_given_up(impatient: None, migrated_url: str) -> None:
    with closing(Store.open(migrated_url, StandingClock())) as store:
        key, epoch = registered(store)
        with stopped(*pids(store)):
            assert Appended(1, 0) == store.writer.append([sample(key, epoch, START_S)])
            assert len(store.reader.samples(0, 4e9)) == 1


@pytest.mark.fault(
    "4",
    "a Postgres backend hangs",
    promise="one that stops in mid transaction is given up, which is made anew",
)
def test_a_backend_that_stops_in_mid_transaction_is_given_up(impatient: None, migrated_url: str) -> None:
    stop: list[int] = []
    with closing(Store.open(migrated_url, StandingClock())) as store:
        registered(store)

        def work(connection: object) -> int:
            pid = int(connection.exec_driver_sql(BACKEND).scalar_one())  # type: ignore[attr-defined]
            if not stop:
                stop.append(pid)
                os.kill(pid, signal.SIGSTOP)
            return int(connection.exec_driver_sql("SELECT 7").scalar_one())  # type: ignore[attr-defined]

        try:
            assert store._engines.write(work) == 7
        finally:
            os.kill(stop[0], signal.SIGCONT)


def test_a_connection_in_the_pool_is_never_cut(impatient: None, migrated_url: str) -> None:
    """It rests for longer than a transaction may last, and is still the same one."""
    with closing(Store.open(migrated_url, StandingClock())) as store:
        before = pids(store)
        threading.Event().wait(3 * LIMIT_S)
        assert pids(store) == before


@pytest.mark.fault(
    "4",
    "a Postgres backend hangs",
    promise="a whole server that stands still is an error once the limit is over (a minute; here half a second), not a "
    "wait without end",
)
def test_a_server_that_stands_still_is_away(impatient: None, own_postgres: Cluster) -> None:
    url = own_postgres.url(own_postgres.fresh())
    with closing(Store.open(f"{url}&connect_timeout=2", StandingClock())) as store:
        key, epoch = registered(store)
        postmaster = int(own_postgres.run("SELECT pg_read_file('postmaster.pid')")[0][0].split()[0])
        with stopped(postmaster, *pids(store)), pytest.raises(StoreAwayError):
            store.writer.append([sample(key, epoch, START_S)])
        assert Appended(1, 0) == store.writer.append([sample(key, epoch, START_S)])


@pytest.mark.fault(
    "4",
    "the database is away",
    promise="what will not come back, as a missing database, is refused at any start",
)
def test_only_a_database_that_may_come_back_is_waited_for(own_postgres: Cluster) -> None:
    """A server that does not listen may; a database that is not there, or a schema of nobody's, will not."""
    name = own_postgres.fresh()
    own_postgres.run("CREATE TABLE alembic_version (version_num text)", name)
    own_postgres.run("INSERT INTO alembic_version VALUES ('of another program')", name)
    for url in (own_postgres.url("nowhere"), own_postgres.url(name)):
        with pytest.raises(StoreError) as refused:
            Store.open(url, StandingClock(), even_away=True)
        assert not isinstance(refused.value, StoreAwayError)
    empty = own_postgres.url(own_postgres.fresh())
    own_postgres.stop()
    with pytest.raises(StoreAwayError):
        Store.open(empty, StandingClock())
    with closing(Store.open(empty, StandingClock(), even_away=True)) as store:
        assert store.upgraded is None
        with pytest.raises(StoreAwayError):
            store.roll_up(START_S)
        own_postgres.start()
        store.prepare()
        key, epoch = registered(store)
        assert Appended(1, 0) == store.writer.append([sample(key, epoch, START_S)])
