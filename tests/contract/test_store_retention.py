"""What is too old goes, from the old end and in small steps; what must be kept stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from analyzer.samples import GpuSample
from collector.store import Keep, Pruned, Store
from tests.contract.store_samples import START_S, registered, sample

HOUR_S = 3600.0
DAY_S = 86_400.0


def filled(store: Store, hours: float, interval_s: float = 60.0) -> None:
    """One replica and one GPU, polled from START_S on."""
    key, epoch = registered(store)
    instants = [START_S + n * interval_s for n in range(int(hours * HOUR_S / interval_s))]
    store.writer.append(
        [sample(key, epoch, at_s, interval_s, steps_total=at_s, busy_s_total=at_s / 3) for at_s in instants],
        [GpuSample("GPU-a", at_s, interval_s, power_w=300.0) for at_s in instants],
    )


@pytest.mark.fault(
    "4", "unbounded growth", promise="samples, five-minute and hourly totals are each deleted after their own time"
)
def test_samples_and_totals_are_kept_for_their_own_times(store: Store) -> None:
    """Ten hours polled each minute; of samples the last 2 h stay, of totals the last 5 h, of hours the last 7.

    Postgres keeps the samples of the whole day, which is not over.
    """
    filled(store, 10)
    samples = 120 if store.place.startswith("SQLite") else 600
    now_s = START_S + 10 * HOUR_S
    assert store.roll_up(now_s) == 120
    pruned = store.prune(Keep(samples_s=2 * HOUR_S, totals_s=5 * HOUR_S, hours_s=7 * HOUR_S), now_s)
    assert (pruned.samples, pruned.gpu_samples, pruned.totals, pruned.hours) == (600 - samples, 600 - samples, 60, 3)
    assert min(one.at_s for one in store.reader.samples(0, 4e9)) == START_S + 10 * HOUR_S - 60 * samples
    assert samples == len(store.reader.samples(0, 4e9)) == len(store.reader.gpu_samples(0, 4e9))
    assert min(start_s for start_s, _ in store.reader.totals(0, 4e9)) == START_S + 5 * HOUR_S
    assert len(store.reader.totals(0, 4e9)) == 60
    assert [start_s for start_s, _ in store.reader.hours(0, 4e9)] == [START_S + hour * HOUR_S for hour in range(3, 10)]


def test_pruning_again_deletes_nothing(store: Store) -> None:
    filled(store, 3)
    store.roll_up(START_S + 3 * HOUR_S)
    keep = Keep(HOUR_S, HOUR_S, HOUR_S)
    store.prune(keep, START_S + 3 * HOUR_S)
    pruned = store.prune(keep, START_S + 3 * HOUR_S)
    assert (pruned.samples, pruned.gpu_samples, pruned.totals, pruned.hours, pruned.reports) == (0, 0, 0, 0, 0)


def test_a_new_store_has_nothing_to_prune(store: Store) -> None:
    pruned = store.prune(Keep(HOUR_S, HOUR_S, HOUR_S, max_bytes=1), START_S)
    assert pruned == Pruned(0, 0, 0, 0, 0, 0, 0, store.used_bytes())


def test_samples_outlive_their_time_until_their_totals_are_made(store: Store) -> None:
    filled(store, 3)
    now_s = START_S + 90 * DAY_S
    assert store.prune(Keep(HOUR_S, 365 * DAY_S, 365 * DAY_S), now_s).samples == 0
    store.roll_up(now_s)
    assert store.prune(Keep(HOUR_S, 365 * DAY_S, 365 * DAY_S), now_s).samples == 180
    assert len(store.reader.totals(0, 4e9)) == 36


def test_pruned_samples_that_come_again_do_not_spoil_their_totals(store: Store) -> None:
    """A spool that is replayed twice: the bucket's totals stay those of all its samples."""
    key, epoch = registered(store)
    batch = [sample(key, epoch, START_S + 15.0 * n, steps_total=float(n)) for n in range(60)]
    store.writer.append(batch)
    store.roll_up(START_S + DAY_S)
    store.prune(Keep(HOUR_S, 365 * DAY_S, 365 * DAY_S), START_S + DAY_S)
    assert store.reader.samples(0, 4e9) == []
    before = store.reader.totals(0, 4e9)
    store.writer.append(batch[30:33])
    store.roll_up(START_S + DAY_S)
    assert before == store.reader.totals(0, 4e9)


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_deletion_goes_in_small_transactions(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """600 rows in batches of 100: no transaction deletes more, so writers are never kept waiting for long."""
    filled(store, 10)
    store.roll_up(START_S + DAY_S)
    monkeypatch.setattr("collector.store.retention.BATCH_ROWS", 100)
    deleted: list[int] = []

    def count(_connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("DELETE FROM replica_samples"):
            deleted.append(cursor.rowcount)

    event.listen(store._engines.writing, "after_cursor_execute", count)
    assert store.prune(Keep(HOUR_S, 365 * DAY_S, 365 * DAY_S), START_S + DAY_S).samples == 600
    assert deleted == [100] * 6 + [0]


def test_reports_are_thinned_to_the_last_of_each_day_and_the_newest_stays(store: Store) -> None:
    """Reports every 6 h over four days from 10:00 UTC; all of the last day stay, one a day before, none after three."""
    for n in range(16):
        store.writer.append_report(START_S + n * 6 * HOUR_S, {"n": n})
    now_s = START_S + 16 * 6 * HOUR_S
    pruned = store.prune(Keep(samples_s=DAY_S, totals_s=2 * DAY_S, hours_s=3 * DAY_S), now_s)
    # Kept: 6 and 10 (22:00 of the second and third day) and 12 to 15. Report 2, of the first day, is too old.
    assert pruned.reports == 10
    latest = store.reader.latest_report()
    assert latest is not None
    assert latest.body == {"n": 15}
    store.prune(Keep(samples_s=DAY_S, totals_s=2 * DAY_S, hours_s=3 * DAY_S), now_s + 365 * DAY_S)
    assert latest == store.reader.latest_report()


@pytest.mark.parametrize("store", ["postgres"], indirect=True)
def test_postgres_drops_whole_days_and_deletes_no_row(store: Store) -> None:
    """49 h from 10:00 UTC in steps of a minute: with an hour kept at 11:00 of the third day, 14 h and 24 h go."""
    filled(store, 49)
    now_s = START_S + 49 * HOUR_S
    store.roll_up(now_s)
    said: list[str] = []
    event.listen(store._engines.writing, "after_cursor_execute", lambda _c, _cursor, text, *_: said.append(text))
    pruned = store.prune(Keep(HOUR_S, 365 * DAY_S, 365 * DAY_S), now_s)
    assert (pruned.samples, pruned.gpu_samples) == (38 * 60, 38 * 60)
    # Of two tables and their blocks, which nothing was sealed into.
    assert len([text for text in said if text.startswith("DROP TABLE")]) == 8
    assert not [text for text in said if text.startswith(("DELETE FROM replica_samples", "DELETE FROM gpu_samples"))]
    assert 11 * 60 == len(store.reader.samples(0, 4e9)) == len(store.reader.gpu_samples(0, 4e9))


@pytest.mark.parametrize("store", ["postgres"], indirect=True)
def test_postgres_drops_one_day_at_a_time(store: Store) -> None:
    """Of two tables two days are too old: however large they are, none waits for the others' end."""
    filled(store, 49)
    now_s = START_S + 49 * HOUR_S
    store.roll_up(now_s)
    steps = store.pruning(Keep(HOUR_S, 365 * DAY_S, 365 * DAY_S), now_s)
    left = []
    for _ in range(4):
        assert steps.step() is None
        left.append((len(store.reader.samples(0, 4e9)), len(store.reader.gpu_samples(0, 4e9))))
    first, both = (49 - 14) * 60, 11 * 60
    assert left == [(first, 49 * 60), (both, 49 * 60), (both, first), (both, both)]
    assert steps.all().samples == 38 * 60


@pytest.mark.parametrize("store", ["postgres"], indirect=True)
def test_postgres_is_brought_under_its_size_by_whole_days_and_today_stays(store: Store) -> None:
    filled(store, 49)
    now_s = START_S + 49 * HOUR_S
    store.roll_up(now_s)
    pruned = store.prune(Keep(365 * DAY_S, 365 * DAY_S, 365 * DAY_S, max_bytes=1), now_s)
    assert (pruned.samples, pruned.gpu_samples) == (38 * 60, 38 * 60)
    assert len(store.reader.samples(0, 4e9)) == 11 * 60


def test_a_replica_of_which_nothing_is_kept_is_forgotten(store: Store) -> None:
    """After its hours are gone too, and not before."""
    filled(store, 2)
    store.roll_up(START_S + DAY_S)
    keep = Keep(HOUR_S, HOUR_S, 10 * DAY_S)
    assert store.prune(keep, START_S + 5 * DAY_S).replicas == 0
    assert len(store.reader.replicas()) == 1
    assert store.prune(keep, START_S + 20 * DAY_S).replicas == 1
    assert store.reader.replicas() == []


def test_a_replica_that_came_back_after_all_else_was_deleted_is_not_forgotten(store: Store) -> None:
    """A server away for 20 days goes on in its epoch: samples that are still to be added up keep it."""
    filled(store, 2)
    store.roll_up(START_S + DAY_S)
    key, epoch = registered(store, store.reader.replicas()[0].key)
    back_s = START_S + 20 * DAY_S
    store.writer.append([sample(key, epoch, back_s)])
    assert store.prune(Keep(HOUR_S, HOUR_S, 10 * DAY_S), back_s + 60).replicas == 0
    assert [epoch] == [one.id for one in store.reader.epochs(key)]


@pytest.mark.fault("4", "unbounded growth", promise="a SQLite file is brought under its size limit from the old end")
@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_a_sqlite_file_is_brought_under_its_size_from_the_old_end(store: Store, tmp_path: Path) -> None:
    filled(store, 48, interval_s=15.0)
    now_s = START_S + 48 * HOUR_S
    store.roll_up(now_s)
    before = store.used_bytes()
    limit = before // 2
    pruned = store.prune(Keep(365 * DAY_S, 365 * DAY_S, 365 * DAY_S, max_bytes=limit), now_s)
    assert pruned.used_bytes == store.used_bytes() <= limit < before
    kept = store.reader.samples(0, 4e9)
    assert 11_520 - pruned.samples == len(kept) > 0
    assert now_s - 15 == kept[-1].at_s
    assert len(store.reader.totals(0, 4e9)) == 576


@pytest.mark.fault("4", "unbounded growth", promise="of replicas and GPUs, whatever is older goes first")
def test_a_size_limit_takes_the_oldest_samples_of_replicas_and_gpus_alike(store: Store) -> None:
    """A GPU's readings are two days older than the replica's samples, and the database is a byte too large."""
    key, epoch = registered(store)
    for day in (0, 2):
        instants = [START_S + day * DAY_S + 5.0 * n for n in range(1000)]
        of_replica = [sample(key, epoch, at_s, 5.0) for at_s in instants] if day else []
        store.writer.append(of_replica, [] if day else [GpuSample("GPU-a", at_s, 5.0) for at_s in instants])
    keep = Keep(365 * DAY_S, 365 * DAY_S, 365 * DAY_S, max_bytes=store.used_bytes() - 1)
    pruned = store.prune(keep, START_S + 4 * DAY_S)
    assert pruned.gpu_samples > 0
    assert pruned.samples == 0


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_the_last_hour_stays_however_small_the_limit(store: Store) -> None:
    filled(store, 12, interval_s=5.0)
    now_s = START_S + 12 * HOUR_S
    pruned = store.prune(Keep(365 * DAY_S, 365 * DAY_S, 365 * DAY_S, max_bytes=1), now_s)
    assert pruned.used_bytes > 1
    assert 720 == len(store.reader.samples(0, 4e9)) == len(store.reader.gpu_samples(0, 4e9))


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_a_file_that_is_mostly_free_gives_space_back_to_the_disk(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collector.store.retention._SHRINK_PAGES", 20)
    path = tmp_path / "breakeven.db"
    filled(store, 48, interval_s=20.0)
    now_s = START_S + 49 * HOUR_S
    store.roll_up(now_s)
    before = store.used_bytes()
    after = store.prune(Keep(HOUR_S, HOUR_S, HOUR_S), now_s).used_bytes
    store.close()
    assert after < before / 4
    assert after <= path.stat().st_size < after * 1.34 + 20 * 4096
