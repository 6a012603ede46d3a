"""A newer release has upgraded the database: this one refuses to write to it, be it at the start or at work."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from collector.errors import SchemaTooNewError
from collector.store import Store
from collector.store.engine import open_engines
from collector.store.migrate import SchemaState, SchemaStatus, Upgrade, status, upgrade
from tests.contract.next_release import HEAD, NEXT, with_another_migration
from tests.contract.standing_clock import StandingClock
from tests.contract.store_samples import START_S, registered, sample

TOO_NEW = f"revision {NEXT}, this release knows up to {HEAD}"


@pytest.mark.fault("4", "an older or a newer schema", promise="a newer one is refused, both revisions named")
def test_a_newer_schema_is_refused_and_both_revisions_are_named(store_url: str, clock: StandingClock) -> None:
    with closing(open_engines(store_url)) as engines:
        upgrade(engines, clock)
        with engines.migrating.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9042'"))
        assert SchemaStatus("9042", HEAD, SchemaState.NEWER) == status(engines)
        with pytest.raises(SchemaTooNewError, match=f"revision 9042, this release knows up to {HEAD}"):
            upgrade(engines, clock)
    for attempt in (lambda: Store.open(store_url, clock), lambda: Store.open_to_read(store_url)):
        with pytest.raises(SchemaTooNewError, match="9042"):
            attempt()


@pytest.mark.fault(
    "4",
    "an older or a newer schema",
    promise="one that a newer release makes under a running daemon is written to no more, and still read",
)
def test_what_a_newer_release_has_upgraded_meanwhile_is_read_and_not_written(
    migrated_url: str, clock: StandingClock, tmp_path: Path
) -> None:
    with closing(Store.open(migrated_url, clock)) as store:
        lease = store.lease(clock, 60.0)
        assert lease.beat().mine
        key, epoch = registered(store)
        store.writer.append([sample(key, epoch, START_S)])
        with closing(open_engines(migrated_url)) as engines:
            upgrade(engines, clock, with_another_migration(tmp_path, "pass"))
        for write in (
            lambda: store.writer.append([sample(key, epoch, START_S + 5)]),
            lambda: store.roll_up(START_S + 4000),
            store.reach,
            lambda: store.writer.conclude({}, START_S, ["{}"], lease.guard),
            lease.beat,
        ):
            with pytest.raises(SchemaTooNewError, match=TOO_NEW):
                write()
        assert [one.at_s for one in store.reader.samples(0, START_S + 10)] == [START_S]


def test_an_upgrade_waits_for_a_write_in_hand_and_the_next_write_is_refused(
    migrated_url: str, clock: StandingClock, tmp_path: Path
) -> None:
    """The migration sees what the older release wrote last: nothing of it comes after."""
    scripts = with_another_migration(tmp_path, "op.execute('INSERT INTO events SELECT count(*) FROM reports')")
    waits = "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)"
    with closing(Store.open(migrated_url, clock)) as store, closing(open_engines(migrated_url)) as engines:
        with ThreadPoolExecutor(1) as beside:

            def work(connection: Connection) -> Future[Upgrade]:
                upgrading = beside.submit(upgrade, engines, clock, scripts)
                while not engines.read(lambda looking: looking.execute(text(waits)).scalar()):
                    assert not upgrading.done()
                connection.execute(text("INSERT INTO reports (made_at_us, body) VALUES (1, '')"))
                return upgrading

            assert store._engines.write(work).result() == Upgrade(HEAD, NEXT, None)
        assert engines.read(lambda connection: connection.execute(text("SELECT * FROM events")).scalars().all()) == [1]
        with pytest.raises(SchemaTooNewError, match=TOO_NEW):
            store.writer.append_report(START_S, {})
