"""A SQLite file that cannot be used is moved aside and said so; what is merely in the way is left alone."""

from __future__ import annotations

import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from collector.errors import StoreError
from collector.store import Appended, Keep, Store
from tests.contract.standing_clock import StandingClock
from tests.contract.store_processes import context, upgrade_at_once
from tests.contract.store_samples import START_S, registered, sample


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database is to be."""
    return tmp_path / "breakeven.db"


def filled(path: Path) -> None:
    """A database of some pages."""
    with closing(Store.open(str(path), StandingClock())) as store:
        key, epoch = registered(store)
        store.writer.append([sample(key, epoch, START_S + 15.0 * n, steps_total=n * 1e9) for n in range(2000)])


def works(store: Store) -> None:
    """The store is empty and takes samples."""
    assert store.reader.replicas() == []
    key, epoch = registered(store)
    store.writer.append([sample(key, epoch, START_S)])
    assert len(store.reader.samples(START_S, START_S + 1)) == 1


@pytest.mark.fault(
    "4", "a corrupt, empty or foreign file", promise="moved aside whole with a time stamp, and never deleted"
)
def test_a_file_that_is_no_database_is_moved_aside_whole(path: Path, clock: StandingClock) -> None:
    path.write_bytes(b"targets:\n  - http://a:8000\n" * 100)
    former = path.read_bytes()
    with closing(Store.open(str(path), clock)) as store:
        assert path.with_name("breakeven.db.corrupt-20261123T100000Z") == store.set_aside
        assert former == store.set_aside.read_bytes()
        works(store)


@pytest.mark.fault("4", "a corrupt, empty or foreign file", promise="overwritten pages are found at the start")
def test_a_database_with_overwritten_pages_is_moved_aside_whole(path: Path, clock: StandingClock) -> None:
    filled(path)
    damaged = bytearray(path.read_bytes())
    damaged[4096 * 3 : 4096 * 20] = os.urandom(4096 * 17)
    path.write_bytes(damaged)
    with closing(Store.open(str(path), clock)) as store:
        assert store.set_aside is not None
        assert bytes(damaged) == store.set_aside.read_bytes()
        works(store)


@pytest.mark.fault("4", "a corrupt, empty or foreign file", promise="so is a file cut short")
def test_a_database_cut_short_is_moved_aside(path: Path, clock: StandingClock) -> None:
    filled(path)
    os.truncate(path, 4096 * 5)
    with closing(Store.open(str(path), clock)) as store:
        assert store.set_aside is not None
        works(store)


def test_the_log_goes_with_the_file(path: Path, clock: StandingClock) -> None:
    """A log left beside a fresh database would be taken for its own."""
    path.write_bytes(b"garbage" * 1000)
    path.with_name("breakeven.db-wal").write_bytes(b"log")
    with closing(Store.open(str(path), clock)) as store:
        assert store.set_aside is not None
        assert store.set_aside.with_name(f"{store.set_aside.name}-wal").read_bytes() == b"log"


def test_a_second_unusable_file_does_not_replace_the_first(path: Path, clock: StandingClock) -> None:
    names = []
    for _ in range(3):
        path.write_bytes(b"garbage" * 1000)
        with closing(Store.open(str(path), clock)) as store:
            names.append(store.set_aside)
    assert len(set(names)) == 3
    assert all(name is not None and name.exists() for name in names)


@pytest.mark.fault("4", "a corrupt, empty or foreign file", promise="an empty file is a new database")
def test_an_empty_file_is_a_new_database(path: Path, clock: StandingClock) -> None:
    path.touch()
    with closing(Store.open(str(path), clock)) as store:
        assert store.set_aside is None
        works(store)


def test_a_sound_database_is_not_touched(path: Path, clock: StandingClock) -> None:
    filled(path)
    with closing(Store.open(str(path), clock)) as store:
        assert store.set_aside is None
        assert len(store.reader.samples(0, 2e9)) == 2000


def test_the_folder_is_made(tmp_path: Path, clock: StandingClock) -> None:
    with closing(Store.open(f"sqlite:///{tmp_path}/new/deep/x.db", clock)) as store:
        works(store)


@pytest.mark.fault(
    "4", "a corrupt, empty or foreign file", promise="another program's database is refused and left alone"
)
@pytest.mark.parametrize("command", ["PRAGMA journal_mode=DELETE", "PRAGMA journal_mode=WAL"])
def test_another_program_s_database_is_refused_and_left_alone(path: Path, clock: StandingClock, command: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(command)
        connection.execute("CREATE TABLE theirs (x)")
        connection.commit()
    with pytest.raises(StoreError, match="another program's tables"):
        Store.open(str(path), clock)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("theirs",)]


def test_a_folder_in_the_file_s_place_is_refused_in_one_line(path: Path, clock: StandingClock) -> None:
    path.mkdir()
    with pytest.raises(StoreError, match=r"breakeven\.db") as refused:
        Store.open(str(path), clock)
    assert "\n" not in str(refused.value)


def test_a_file_in_the_folder_s_place_is_refused_in_one_line(tmp_path: Path, clock: StandingClock) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="folder cannot be made") as refused:
        Store.open(str(tmp_path / "file" / "x.db"), clock)
    assert "\n" not in str(refused.value)


@pytest.mark.fault(
    "4",
    "two daemons on one database",
    promise="a SQLite file has one writer; a second is refused, and told who the first is",
)
@pytest.mark.fault(
    "4", "SQLite's WAL-reset bug", promise="one process and one connection write the file, which the bug takes two of"
)
def test_a_second_writer_is_refused_and_told_who_the_first_is(path: Path, clock: StandingClock) -> None:
    with closing(Store.open(str(path), clock)) as store:
        with pytest.raises(StoreError, match=f"in use by process {os.getpid()}"):
            Store.open(str(path), clock)
        works(store)
    Store.open(str(path), clock).close()


@pytest.mark.fault("4", "the database is busy", promise="readers are welcome beside the writer")
def test_readers_and_upgrades_are_welcome_beside_a_writer(path: Path, clock: StandingClock) -> None:
    with closing(Store.open(str(path), clock)) as store, closing(Store.open_to_read(str(path))) as beside:
        works(store)
        assert len(beside.reader.samples(START_S, START_S + 1)) == 1
        processes = context()
        ours, theirs = processes.Pipe(duplex=False)
        alone = processes.Barrier(1)
        other = processes.Process(target=upgrade_at_once, args=(str(path), None, alone, theirs))
        other.start()
        theirs.close()
        with closing(ours):
            before, after, _ = ours.recv()
        other.join()
        assert before == after


@pytest.mark.fault(
    "4", "the database is busy", promise="a write waits until another program's is done, and is made then"
)
def test_a_write_waits_for_another_program_s(path: Path, clock: StandingClock) -> None:
    with (
        closing(Store.open(str(path), clock)) as store,
        ThreadPoolExecutor(1) as writer,
        closing(sqlite3.connect(path, isolation_level=None)) as other,
    ):
        key, epoch = registered(store)
        other.execute("BEGIN IMMEDIATE")
        written = writer.submit(store.writer.append, [sample(key, epoch, START_S)])
        with pytest.raises(TimeoutError):
            written.result(0.3)
        other.execute("COMMIT")
        assert Appended(1, 0) == written.result()
        assert len(store.reader.samples(START_S, START_S + 1)) == 1


def test_a_store_opened_to_read_cannot_write(store_url: str, clock: StandingClock) -> None:
    with closing(Store.open(store_url, clock)):
        pass
    with closing(Store.open_to_read(store_url)) as store:
        with pytest.raises(StoreError, match=r"read-?only"):
            registered(store)
        with pytest.raises(StoreError, match=r"read-?only"):
            store.prune(Keep(0, 0, 0), START_S)
        assert store.reader.replicas() == []


def test_reading_connections_cannot_write(store: Store) -> None:
    with pytest.raises(StoreError, match=r"read-?only"):
        store._engines.read(lambda connection: connection.execute(text("DELETE FROM replicas")))
