"""A full disk under an export, an import or a start costs one clear line, and nothing that was there before."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from collector.errors import StoreError
from collector.store import Store, checked
from tests.contract.standing_clock import StandingClock
from tests.contract.store_samples import START_S, registered, sample
from tests.fakes.small_disk import fill, small_disk

CLOCK = StandingClock()
SAMPLES = 30_000


def quiet(_table: str, _rows: int) -> None:
    """Nobody listens."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An export of more samples than a megabyte holds, as it is or in a database."""
    with closing(Store.open(str(tmp_path / "one.db"), CLOCK)) as store:
        key, epoch = registered(store)
        # Each digit counts: what repeats itself shrinks to nothing.
        totals = ((n * 2_654_435_761) % 2**40 / 7 for n in range(SAMPLES))
        store.writer.append([sample(key, epoch, START_S + 15 * n, steps_total=one) for n, one in enumerate(totals)])
        store.export_to(tmp_path / "out", "0.1.0", CLOCK, quiet)
    return tmp_path / "out"


def test_an_export_that_does_not_fit_is_not_finished_and_says_so(folder: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path, 1) as disk, closing(Store.open_to_read(str(tmp_path / "one.db"))) as store:
        fill(disk, 200_000)
        with pytest.raises(StoreError, match="No space left on device") as refused:
            store.export_to(disk / "out", "0.1.0", CLOCK, quiet)
        with pytest.raises(StoreError, match="holds no finished export"):
            checked(disk / "out")
    assert "\n" not in str(refused.value)
    assert checked(folder).tables["replica_samples"].rows == SAMPLES


def test_an_import_that_does_not_fit_leaves_the_database_empty(folder: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path, 1) as disk, closing(Store.open(str(disk / "two.db"), CLOCK)) as store:
        with pytest.raises(StoreError, match="disk is full") as refused:
            store.import_from(folder, checked(folder), quiet)
        assert store.reader.replicas() == []
        assert store.reader.samples(0, 4e9) == []
    assert "\n" not in str(refused.value)


@pytest.mark.fault("4", "SQLite's disk is full", promise="a start is refused in one line, and works when there is room")
def test_a_start_on_a_full_disk_is_refused_in_one_line_and_works_when_there_is_room(tmp_path: Path) -> None:
    with small_disk(tmp_path, 1) as disk:
        with closing(Store.open(str(disk / "one.db"), CLOCK)) as store:
            registered(store)
        (disk / "one.db.lock").unlink()
        ballast = fill(disk, 0)
        with pytest.raises(StoreError, match=r"one\.db cannot be checked: the disk is full"):
            Store.open(str(disk / "one.db"), CLOCK)
        ballast.unlink()
        with closing(Store.open(str(disk / "one.db"), CLOCK)) as store:
            assert store.set_aside is None
            assert len(store.reader.replicas()) == 1
