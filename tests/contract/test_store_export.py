"""A database goes into files and out of them into either database, row for row, or not at all."""

from __future__ import annotations

import csv
import gzip
import json
import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Table, func, select

from analyzer.samples import GpuSample, Identity, ReplicaKey
from analyzer.verdict import Verdict, VerdictState
from collector.errors import StoreError
from collector.store import Manifest, Store, checked, engine
from collector.store.blocks import unpacked
from collector.store.codec import replica_row
from collector.store.exported import WRITTEN, Part, write_manifest
from collector.store.schema import BLOCKS
from collector.store.schema import replica_blocks as blocks_table
from collector.store.schema import replica_samples as samples_table
from collector.store.statements import add
from tests.contract.postgres_cluster import Cluster
from tests.contract.standing_clock import StandingClock
from tests.contract.store_processes import context, import_until_killed
from tests.contract.store_samples import START_S, gpu_samples, registered, replica_samples, sample

CLOCK = StandingClock()
HOURS = 16
"""From 10:00 UTC on: two days."""
Rows = dict[str, list[tuple[Any, ...]]]
names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8) | st.sampled_from(
    ["", "\\", "\\N", "\\x00", '"', '""', ",", "\r", "\n", "\r\n", "a\rb", " ", "NULL", "\\."]
)


def quiet(_table: str, _rows: int) -> None:
    """Nobody listens."""


def rows_of(store: Store) -> Rows:
    """Every row of every table that is exported, by key; samples that are sealed as the rows that they were."""
    return {table.name: store._engines.read(partial(_rows, table)) for table in WRITTEN}


def _rows(table: Table, connection: Connection) -> list[tuple[Any, ...]]:
    rows = [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key.columns))]
    if table.name not in BLOCKS:
        return rows
    blocks = connection.execute(select(BLOCKS[table.name])).fetchall()
    sealed = [row for block in blocks for row in unpacked(table, block)]
    return sorted({row[:2]: row for row in [*rows, *sealed]}.values(), key=itemgetter(0, 1))


def exported(store: Store, folder: Path) -> Manifest:
    return store.export_to(folder, "0.1.0", CLOCK, quiet)


def imported(url: str, folder: Path) -> Rows:
    with closing(Store.open(url, CLOCK)) as store:
        store.import_from(folder, checked(folder), quiet)
        return rows_of(store)


def fill(store: Store) -> None:
    """A day and more of two replicas and a GPU with their roll-ups, and what was concluded."""
    for number in range(2):
        key, epoch = registered(store, ReplicaKey(f"http://replica-{number}:8000/metrics", 'a "model", new\r\nline'))
        at = [START_S + 3600.0 * hour + 15.0 * n for hour in range(HOURS) for n in range(3)]
        store.writer.append(
            [sample(key, epoch, at_s, steps_total=float(n), kv_usage_ratio=0.1) for n, at_s in enumerate(at)],
            [GpuSample("GPU-1", at_s, 15.0, "L4", energy_j_total=at_s - START_S + 0.125) for at_s in at],
        )
    store.roll_up(START_S + (HOURS - 1.5) * 3600.0)
    while store.seal(START_S + (HOURS - 1) * 3600.0):
        pass
    store.writer.append_report(START_S, {"figures": [1.5, None, "infinite"]})
    store.writer.save_verdicts({("chat", "w4a16"): VerdictState(Verdict.NO, START_S, None)}, START_S)
    store.writer.save_told("operators", {("chat", "w4a16"): Verdict.NO})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export of a filled SQLite file."""
    folder = tmp_path_factory.mktemp("export")
    with closing(Store.open(str(folder / "one.db"), CLOCK)) as store:
        fill(store)
        exported(store, folder / "out")
    return folder / "out"


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without rows, once for SQLite and once for Postgres."""
    return str(tmp_path / "two.db") if request.param == "sqlite" else str(request.getfixturevalue("migrated_url"))


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


def test_sealed_samples_are_exported_as_rows_and_come_back_once(store: Store, tmp_path: Path) -> None:
    """One of them lies in the table as well, as after a daemon that was killed by a release without the present check.

    Two replicas polled 3 times in each of 16 hours: 96 rows, in the order of their keys.
    """
    fill(store)
    key = ReplicaKey("http://replica-0:8000/metrics", 'a "model", new\r\nline')
    samples = store.reader.samples(0, 4e9, key)
    twice = [replica_row(samples[0])]
    assert store._engines.write(lambda connection: add(connection, samples_table, twice)) == 1
    manifest = exported(store, tmp_path / "out")
    assert (manifest.tables["replica_samples"].rows, manifest.tables["gpu_samples"].rows) == (96, 48)
    with gzip.open(tmp_path / "out" / "replica_samples.csv.gz", "rt", newline="") as lines:
        fields = [row[:2] for row in csv.reader(lines)]
    assert fields == sorted(fields, key=lambda key: tuple(map(int, key)))
    assert len({tuple(one) for one in fields}) == len(fields) == 96
    with closing(Store.open(str(tmp_path / "two.db"), CLOCK)) as other:
        other.import_from(tmp_path / "out", checked(tmp_path / "out"), quiet)
        assert samples == other.reader.samples(0, 4e9, key)
        assert other._engines.read(lambda c: c.execute(select(func.count()).select_from(blocks_table)).scalar()) == 0
        while other.seal(START_S + 1e6):
            pass
        assert samples == other.reader.samples(0, 4e9, key)
        assert rows_of(other) == rows_of(store)


def test_an_export_that_has_sealed_blocks_is_imported(empty_url: str, tmp_path: Path) -> None:
    """As releases before wrote them: blocks beside rows."""
    with closing(Store.open(str(tmp_path / "one.db"), CLOCK)) as store:
        fill(store)
        manifest = exported(store, tmp_path / "out")
        tables = dict(manifest.tables)
        for table in BLOCKS.values():
            rows = store._engines.read(lambda connection, of=table: connection.execute(select(of)).fetchall())
            lines = "".join(f"{row[0]},{row[1]},{row[2]},\\x{row[3].hex()}\r\n" for row in rows)
            (tmp_path / "out" / f"{table.name}.csv.gz").write_bytes(gzip.compress(lines.encode()))
            days = tables[table.name.replace("blocks", "samples")].days
            tables[table.name] = Part(f"{table.name}.csv.gz", tuple(table.columns.keys()), len(rows), days)
        write_manifest(tmp_path / "out", replace(manifest, tables=tables))
        before = rows_of(store)
    assert imported(empty_url, tmp_path / "out") == before


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
