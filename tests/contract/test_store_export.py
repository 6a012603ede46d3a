"""A database goes into files and out of them into either database, row for row, or not at all."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.samples import GpuSample, Identity, ReplicaKey
from analyzer.verdict import Verdict, VerdictState
from collector.errors import StoreError
from collector.store import Store, checked, engine
from collector.store.exported import WRITTEN
from tests.contract.postgres_cluster import Cluster
from tests.contract.store_exports import CLOCK, HOURS, exported, fill, imported, quiet, rows_of
from tests.contract.store_processes import context, import_until_killed
from tests.contract.store_samples import START_S, gpu_samples, registered, replica_samples, sample

names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8) | st.sampled_from(
    ["", "\\", "\\N", "\\x00", '"', '""', ",", "\r", "\n", "\r\n", "a\rb", " ", "NULL", "\\."]
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export of a filled SQLite file."""
    folder = tmp_path_factory.mktemp("export")
    with closing(Store.open(str(folder / "one.db"), CLOCK)) as store:
        fill(store)
        exported(store, folder / "out")
    return folder / "out"


def test_every_table_goes_to_postgres_and_back_row_for_row(migrated_url: str, tmp_path: Path) -> None:
    with closing(Store.open(str(tmp_path / "one.db"), CLOCK)) as store:
        fill(store)
        before = rows_of(store)
        assert [name for name, rows in before.items() if not rows] == [], "a table without rows shows nothing"
        exported(store, tmp_path / "out")
    with closing(Store.open(migrated_url, CLOCK)) as other:
        other.import_from(tmp_path / "out", checked(tmp_path / "out"), quiet)
        assert rows_of(other) == before
        manifest = exported(other, tmp_path / "back")
    assert imported(str(tmp_path / "two.db"), tmp_path / "back") == before
    assert {name: part.rows for name, part in manifest.tables.items()} == {
        one: len(rows) for one, rows in before.items()
    }


@given(data=st.data())
@settings(max_examples=6)
def test_any_rows_come_back_from_the_other_database(
    postgres: Cluster, migrated_database: str, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Doubles to the last bit, any text that a database keeps, bytes, and what was not reported."""
    folder = tmp_path_factory.mktemp("any")
    name = postgres.fresh(migrated_database)
    try:
        with closing(Store.open(str(folder / "one.db"), CLOCK)) as store:
            key = ReplicaKey(data.draw(names), data.draw(names), data.draw(names))
            identity = Identity(data.draw(names), model_path=data.draw(st.none() | names))
            process_start, job = data.draw(st.none() | names), data.draw(st.none() | names)
            epoch = store.writer.register(key, identity, process_start, job, START_S)
            store.writer.append(
                data.draw(st.lists(replica_samples(key, epoch), max_size=4)),
                data.draw(st.lists(gpu_samples(data.draw(names)), max_size=4)),
            )
            states = {(data.draw(names), data.draw(names)): VerdictState(Verdict.EVALUATE, START_S, None)}
            store.writer.save_verdicts(states, START_S)
            before = rows_of(store)
            exported(store, folder / "out")
        with closing(Store.open(postgres.url(name), CLOCK)) as other:
            other.import_from(folder / "out", checked(folder / "out"), quiet)
            assert rows_of(other) == before
            exported(other, folder / "back")
        assert imported(str(folder / "two.db"), folder / "back") == before
    finally:
        postgres.drop(name)


def test_a_daemon_goes_on_with_what_was_imported(folder: Path, empty_url: str) -> None:
    """Known replicas keep their epoch, new ones get numbers of their own, and the same samples are not doubled."""
    before = imported(empty_url, folder)
    with closing(Store.open(empty_url, CLOCK)) as store:
        key, epoch = registered(store, ReplicaKey("http://replica-0:8000/metrics", 'a "model", new\r\nline'))
        assert epoch == before["epochs"][0][0]
        assert store.writer.append([sample(key, epoch, START_S, steps_total=0.0)]).new == 0
        _, fresh = registered(store)
        assert fresh not in [row[0] for row in before["epochs"]]
        later_s = START_S + (HOURS + 1) * 3600.0
        assert store.writer.append([], [GpuSample("GPU-2", later_s, 15.0, "L4", power_w=1.0)]).new == 1
        store.roll_up(later_s + 7200)
        assert len(store.reader.hours(0, 4e9, key)) == HOURS


def test_a_database_that_holds_something_is_refused_and_left_alone(folder: Path, empty_url: str) -> None:
    once = imported(empty_url, folder)
    with pytest.raises(StoreError, match=r"holds \w+ already: an import needs an empty database"):
        imported(empty_url, folder)
    with closing(Store.open_to_read(empty_url)) as store:
        assert rows_of(store) == once


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def overwritten(path: Path) -> None:
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 0xFF
    path.write_bytes(bytes(body))


def lines_changed(path: Path, change: Callable[[list[bytes]], list[bytes]]) -> None:
    lines = change(gzip.decompress(path.read_bytes()).splitlines(keepends=True))
    path.write_bytes(gzip.compress(b"".join(lines)))


@pytest.mark.parametrize("table", ["replica_samples", "epochs"])
@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (cut_short, "cannot be imported"),
        (overwritten, "cannot be imported"),
        (lambda path: lines_changed(path, lambda lines: lines[:-1]), "rows, its export wrote"),
        (lambda path: lines_changed(path, lambda lines: [*lines, lines[0]]), r"duplicate|UNIQUE"),
        (lambda path: lines_changed(path, lambda lines: [*lines[:-1], b"soon," + lines[-1]]), r"line|COPY"),
        (Path.unlink, "the export is not whole"),
    ],
)
def test_a_damaged_export_changes_nothing_and_the_whole_one_can_still_be_imported(
    folder: Path, empty_url: str, tmp_path: Path, table: str, harm: Callable[[Path], None], said: str
) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(folder, damaged)
    harm(damaged / f"{table}.csv.gz")
    with pytest.raises(StoreError, match=said) as refused:
        imported(empty_url, damaged)
    assert "\n" not in str(refused.value)
    with closing(Store.open(empty_url, CLOCK)) as store:
        assert not any(rows_of(store).values())
    assert all(imported(empty_url, folder).values())


@pytest.mark.parametrize("tables", [1, 6, len(WRITTEN)])
def test_an_import_that_is_killed_has_done_nothing_and_can_be_repeated(
    folder: Path, empty_url: str, tables: int
) -> None:
    """SIGKILL after the first table, in the middle, and just before the end."""
    processes = context()
    ours, theirs = processes.Pipe(duplex=False)
    importing = processes.Process(target=import_until_killed, args=(empty_url, folder, tables, theirs))
    importing.start()
    theirs.close()
    with closing(ours):
        assert len(ours.recv()) == tables
    importing.kill()
    importing.join()
    with closing(Store.open(empty_url, CLOCK)) as store:
        assert not any(rows_of(store).values())
        store.import_from(folder, checked(folder), quiet)
        assert all(rows_of(store).values())


def test_an_export_of_a_moment_leaves_out_what_comes_meanwhile(store: Store, tmp_path: Path) -> None:
    """A sample is written after the first table, and is in no file; the epochs of those that are in one are too."""
    fill(store)
    before = rows_of(store)

    def meanwhile(table: str, _rows: int) -> None:
        if table == WRITTEN[0].name:
            key, epoch = registered(store)
            store.writer.append([sample(key, epoch, START_S + 9999)])

    manifest = store.export_to(tmp_path / "out", "0.1.0", CLOCK, meanwhile)
    assert {name: part.rows for name, part in manifest.tables.items()} == {
        name: len(one) for name, one in before.items()
    }
    assert len(rows_of(store)["replica_samples"]) == len(before["replica_samples"]) + 1


def test_an_export_may_take_longer_than_any_other_use_of_a_connection(
    migrated_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another connection that stands as long is cut; the export goes on after that."""
    monkeypatch.setattr(engine, "TRANSACTION_LIMIT_S", 0.3)
    with closing(Store.open(migrated_url, CLOCK)) as store:
        registered(store)

        def wait(table: str, _rows: int) -> None:
            if table == WRITTEN[0].name:
                with pytest.raises(StoreError):
                    store._engines.read(lambda connection: connection.exec_driver_sql("SELECT pg_sleep(60)"))

        assert store.export_to(tmp_path / "out", "0.1.0", CLOCK, wait).tables["replicas"].rows == 1


def test_an_unfinished_export_is_no_export(folder: Path, tmp_path: Path) -> None:
    unfinished = tmp_path / "unfinished"
    shutil.copytree(folder, unfinished)
    (unfinished / "manifest.json").unlink()
    with pytest.raises(StoreError, match="holds no finished export"):
        checked(unfinished)
    with pytest.raises(StoreError, match="is no folder"):
        checked(tmp_path / "nowhere")


def test_a_folder_that_holds_something_is_not_written_to(store: Store, folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(StoreError, match="is not empty"):
        exported(store, folder)
    assert before == {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 2}, "is of format 2"),
        ({"schema": "9999"}, "exported by release 0.1.0 at revision 9999"),
        ({"tables": {"events": {"file": "e", "columns": ["id"], "rows": 0, "days": []}}}, "in another form"),
        ({"tables": {"gpus": {"file": "gpus.csv.gz", "columns": ["id", "uuid"], "rows": 1, "days": []}}}, None),
        ({"tables": {"gpus": {"file": "gpus.csv.gz", "columns": ["id", "name"], "rows": 1, "days": []}}}, "lacks uuid"),
        ({"tables": {"gpus": {"file": "../gpus.csv.gz", "columns": [], "rows": 1, "days": []}}}, "no manifest"),
        ({"tables": 3}, "no manifest"),
    ],
)
def test_exports_of_other_releases_are_taken_where_they_fit(
    tmp_path: Path, change: dict[str, Any], said: str | None
) -> None:
    with closing(Store.open(str(tmp_path / "one.db"), CLOCK)) as store:
        store.writer.append([], [GpuSample("GPU-1", START_S, 15.0, None, power_w=1.0)])
        exported(store, tmp_path / "out")
    path = tmp_path / "out" / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    if said is None:
        checked(tmp_path / "out")
        return
    with pytest.raises(StoreError, match=said):
        checked(tmp_path / "out")
