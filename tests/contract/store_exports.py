"""A filled database for the tests of exports, and all that it holds as rows."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, select

from analyzer.samples import GpuSample, ReplicaKey
from analyzer.verdict import Verdict, VerdictState
from collector.store import Manifest, Store, checked
from collector.store.blocks import unpacked
from collector.store.exported import WRITTEN
from collector.store.schema import BLOCKS
from tests.contract.standing_clock import StandingClock
from tests.contract.store_samples import START_S, registered, sample, seal_all

CLOCK = StandingClock()
HOURS = 16
"""From 10:00 UTC on: two days."""
Rows = dict[str, list[tuple[Any, ...]]]


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
    """Export a database to a folder that is not there."""
    return store.export_to(folder, "0.1.0", CLOCK, quiet)


def imported(url: str, folder: Path) -> Rows:
    """Import a folder; all rows that are there then."""
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
    seal_all(store, START_S + (HOURS - 1) * 3600.0)
    store.writer.append_report(START_S, {"figures": [1.5, None, "infinite"]})
    store.writer.save_verdicts({("chat", "w4a16"): VerdictState(Verdict.NO, START_S, None)}, START_S)
    store.writer.save_told("operators", {("chat", "w4a16"): Verdict.NO})
