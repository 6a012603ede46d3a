"""The schema: what the migrations make is what the code expects, and getting there is safe."""

from __future__ import annotations

import shutil
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from collector.errors import StoreError
from collector.store import Store
from collector.store.engine import Engines, open_engines
from collector.store.migrate import (
    SchemaState,
    SchemaStatus,
    Upgrade,
    current,
    head,
    migrations_path,
    status,
    upgrade,
)
from collector.store.schema import metadata
from tests.contract.next_release import HEAD, NEXT, with_another_migration
from tests.contract.standing_clock import StandingClock
from tests.contract.store_processes import context, upgrade_at_once
from tests.contract.store_samples import START_S, registered, sample

BROKEN = "raise RuntimeError('the machine went down here')"


@pytest.fixture
def engines(store_url: str) -> Iterator[Engines]:
    """The ways into an empty database."""
    with closing(open_engines(store_url)) as opened:
        yield opened


def test_the_migrations_make_exactly_the_tables_that_the_code_expects(engines: Engines, clock: StandingClock) -> None:
    upgrade(engines, clock)
    with engines.migrating.begin() as connection:
        found = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(found, metadata) == []


def test_primary_keys_start_with_the_tick_and_sqlite_clusters_by_them(engines: Engines, clock: StandingClock) -> None:
    upgrade(engines, clock)
    with engines.migrating.begin() as connection:
        for name, table in metadata.tables.items():
            key = inspect(connection).get_pk_constraint(name)["constrained_columns"]
            assert [column.name for column in table.primary_key.columns] == key
        if engines.sqlite:
            made = connection.execute(text("SELECT name FROM sqlite_master WHERE sql LIKE '%WITHOUT ROWID%'")).scalars()
            totals = {"replica_totals", "stale_buckets", "replica_hours", "stale_hours"}
            assert {"replica_samples", "gpu_samples", *totals} == set(made)


def test_revisions_are_numbered_as_alembic_orders_them() -> None:
    config = Config()
    config.set_main_option("script_location", str(migrations_path()))
    assert head() == ScriptDirectory.from_config(config).get_current_head()


def test_an_upgrade_says_what_it_did(engines: Engines, clock: StandingClock) -> None:
    assert SchemaStatus(None, HEAD, SchemaState.EMPTY) == status(engines)
    assert current(engines) is None
    done = upgrade(engines, clock)
    assert (Upgrade(None, HEAD, None), True) == (done, done.changed)
    assert SchemaStatus(HEAD, HEAD, SchemaState.CURRENT) == status(engines)
    again = upgrade(engines, clock)
    assert (Upgrade(HEAD, HEAD, None), False) == (again, again.changed)


def test_asking_for_the_status_makes_no_file(tmp_path: Path) -> None:
    with closing(open_engines(str(tmp_path / "none" / "none.db"))) as engines:
        assert SchemaState.EMPTY is status(engines).state
        assert current(engines) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.fault(
    "4",
    "several daemons migrate at once",
    promise="four processes at once: one upgrades, all go on, on either database",
)
@pytest.mark.parametrize("_round", range(3))
def test_four_processes_may_upgrade_an_empty_database_at_once(store_url: str, _round: int) -> None:
    assert run_at_once(store_url, None) == [(HEAD, HEAD, False)] * 3 + [(None, HEAD, False)]


@pytest.mark.fault("4", "several daemons migrate at once", promise="the same from a former schema with rows")
def test_four_processes_may_upgrade_a_former_schema_at_once(
    store_url: str, engines: Engines, clock: StandingClock, tmp_path: Path
) -> None:
    """One copies and upgrades; the others wait for it and find nothing to do."""
    upgrade(engines, clock)
    engines.close()
    scripts = with_another_migration(tmp_path, "pass")
    assert [(HEAD, NEXT, engines.sqlite)] + [(NEXT, NEXT, False)] * 3 == run_at_once(store_url, scripts)
    assert engines.sqlite == (len(list(tmp_path.glob(f"breakeven.db.rev-{HEAD}-*"))) == 1)


def run_at_once(url: str, scripts: Path | None) -> list[Any]:
    """What four processes say that upgrade at the same moment."""
    processes = context()
    barrier = processes.Barrier(4)
    pipes = [processes.Pipe(duplex=False) for _ in range(4)]
    started = [processes.Process(target=upgrade_at_once, args=(url, scripts, barrier, theirs)) for _, theirs in pipes]
    for process in started:
        process.start()
    said = []
    for (ours, theirs), process in zip(pipes, started, strict=True):
        theirs.close()
        with closing(ours):
            said.append(ours.recv())
        process.join()
    return sorted(said, key=str)


@pytest.mark.fault(
    "4",
    "a crash in the middle of a migration",
    promise="by SIGKILL, on either database: the former schema stands whole, and the next upgrade goes through",
)
def test_a_process_killed_in_a_migration_leaves_the_former_schema(
    store_url: str, engines: Engines, clock: StandingClock, tmp_path: Path
) -> None:
    """It has made its table, which is not committed, when it kills itself."""
    upgrade(engines, clock)
    deadly = with_another_migration(tmp_path, "import os; os.kill(os.getpid(), 9)")
    processes = context()
    ours, theirs = processes.Pipe(duplex=False)
    alone = processes.Barrier(1)
    killed = processes.Process(target=upgrade_at_once, args=(store_url, deadly, alone, theirs))
    killed.start()
    theirs.close()
    killed.join()
    ours.close()
    assert killed.exitcode == -signal.SIGKILL
    check_that_another_migration_goes_through_whole(engines, clock, tmp_path)


def check_that_another_migration_goes_through_whole(engines: Engines, clock: StandingClock, folder: Path) -> None:
    """Nothing of the one that ended half-way is there, and the same one, mended, goes through."""
    assert current(engines) == HEAD
    with engines.reading.begin() as connection:
        assert "events" not in inspect(connection).get_table_names()
    mended = with_another_migration(folder, "pass")
    assert upgrade(engines, clock, mended).after == NEXT


def test_a_migration_that_dies_leaves_the_former_schema_and_can_be_tried_again(
    engines: Engines, clock: StandingClock, tmp_path: Path
) -> None:
    upgrade(engines, clock)
    broken = with_another_migration(tmp_path, BROKEN)
    with pytest.raises(RuntimeError, match="went down"):
        upgrade(engines, clock, broken)
    check_that_another_migration_goes_through_whole(engines, clock, tmp_path)


def test_a_migration_may_rebuild_a_table_that_others_refer_to_and_keeps_its_rows(
    store_url: str, clock: StandingClock, tmp_path: Path
) -> None:
    with closing(Store.open(store_url, clock)) as store:
        key, epoch = registered(store)
        written = sample(key, epoch, START_S, steps_total=5.0)
        store.writer.append([written])
    rebuild = "with op.batch_alter_table('epochs') as batch: batch.alter_column('identity', nullable=True)"
    with closing(open_engines(store_url)) as engines:
        upgrade(engines, clock, with_another_migration(tmp_path, rebuild))
        with engines.reading.begin() as connection:
            assert {"identity": True, "fingerprint": False}.items() <= {
                column["name"]: column["nullable"] for column in inspect(connection).get_columns("epochs")
            }.items()
            assert connection.execute(text("SELECT steps_total FROM replica_samples")).scalar() == 5.0


def test_a_migration_that_would_break_references_is_taken_back(
    engines: Engines, clock: StandingClock, tmp_path: Path
) -> None:
    upgrade(engines, clock)
    orphan = "op.execute(\"INSERT INTO epochs VALUES (1, 77, 'f', '{}', NULL, 0)\")"
    with pytest.raises(StoreError):
        upgrade(engines, clock, with_another_migration(tmp_path, orphan))
    assert current(engines) == HEAD


def test_another_program_s_tables_are_left_alone(store_url: str, clock: StandingClock) -> None:
    with closing(open_engines(store_url)) as engines:
        with engines.migrating.begin() as connection:
            connection.execute(text("CREATE TABLE reports (theirs TEXT)"))
        with pytest.raises(StoreError, match="another program's tables"):
            upgrade(engines, clock)
        with engines.reading.begin() as connection:
            assert inspect(connection).get_table_names() == ["reports"]


@pytest.mark.fault(
    "4", "an older or a newer schema", promise="an older one is upgraded; a SQLite file is copied before"
)
def test_a_sqlite_file_is_copied_before_its_schema_changes(tmp_path: Path, clock: StandingClock) -> None:
    """With a percent sign in its name, and a row that so far stands only in the log beside the file."""
    path = tmp_path / "100%@x.db"
    scripts = with_another_migration(tmp_path, "pass")
    with closing(Store.open(str(path), clock)) as store:
        key, epoch = registered(store)
        store.writer.append([sample(key, epoch, START_S)])
        with closing(open_engines(str(path))) as engines:
            done = upgrade(engines, clock, scripts)
    assert done.copy == tmp_path / f"100%@x.db.rev-{HEAD}-20261123T100000Z"
    with closing(sqlite3.connect(done.copy)) as copy:
        assert copy.execute("SELECT version_num FROM alembic_version").fetchone() == (HEAD,)
        assert copy.execute("SELECT count(*) FROM replica_samples").fetchone() == (1,)
    assert not list(tmp_path.glob("*.copying"))


def test_no_copy_is_made_where_the_disk_has_no_room(
    tmp_path: Path, clock: StandingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "breakeven.db"
    with closing(open_engines(str(path))) as engines:
        upgrade(engines, clock)
        usage = shutil.disk_usage(tmp_path)
        monkeypatch.setattr("shutil.disk_usage", lambda _: usage._replace(free=1000))
        with pytest.raises(StoreError, match="must be free"):
            upgrade(engines, clock, with_another_migration(tmp_path, "pass"))
        assert current(engines) == HEAD


def test_the_migrations_of_the_installed_package_come_before_the_checkout_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collector.store.migrate.__file__", str(tmp_path / "collector" / "store" / "migrate.py"))
    assert tmp_path / "migrations" == migrations_path()
    (tmp_path / "collector" / "_migrations").mkdir(parents=True)
    assert tmp_path / "collector" / "_migrations" == migrations_path()
    with pytest.raises(StoreError, match="installation is incomplete"):
        head()


def test_reading_needs_a_current_schema(store_url: str, tmp_path: Path, clock: StandingClock) -> None:
    with closing(open_engines(store_url)) as engines:
        upgrade(engines, clock)
        with engines.migrating.begin() as connection:
            connection.execute(text("DROP TABLE alembic_version"))
            for table in reversed(metadata.sorted_tables):
                connection.execute(text(f"DROP TABLE {table.name}"))
    with pytest.raises(StoreError, match="breakeven db upgrade"):
        Store.open_to_read(store_url)
    with pytest.raises(StoreError, match="does not exist"):
        Store.open_to_read(str(tmp_path / "none" / "none.db"))
    assert not (tmp_path / "none").exists()
