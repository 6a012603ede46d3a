"""Sealed samples go out as the rows that they were, and blocks of earlier exports come in."""

from __future__ import annotations

import csv
import gzip
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from sqlalchemy import func, select

from analyzer.samples import ReplicaKey
from collector.store import Store, checked
from collector.store.codec import replica_row
from collector.store.exported import Part, write_manifest
from collector.store.schema import BLOCKS
from collector.store.schema import replica_blocks as blocks_table
from collector.store.schema import replica_samples as samples_table
from collector.store.statements import add
from tests.contract.store_exports import CLOCK, exported, fill, imported, quiet, rows_of
from tests.contract.store_samples import seal_all


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
        seal_all(other)
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
