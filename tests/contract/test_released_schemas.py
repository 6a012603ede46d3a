"""A database of every schema that was released is brought to today's, and its rows are read and gone on with."""

from __future__ import annotations

import gzip
import re
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from analyzer.samples import ReplicaSample
from collector.store import Store
from collector.store.migrate import head
from collector.store.schema import metadata
from tests.contract.postgres_cluster import Cluster
from tests.contract.released import (
    BEGIN_S,
    BODY,
    IDENTITY,
    INTERVAL_S,
    KEY,
    POLLS,
    PROCESS_START,
    STATE,
    STEPS_PER_POLL,
    at_s,
    kept_revisions,
    postgres_file,
    unpacked,
)
from tests.contract.standing_clock import StandingClock


@pytest.fixture(params=["sqlite", "postgres"])
def kept_url(request: pytest.FixtureRequest, tmp_path: Path, revision: str) -> str:
    """The URL of a database as a release left it, once in SQLite and once in Postgres."""
    if request.param == "sqlite":
        unpacked(revision, tmp_path / "kept.db")
        return str(tmp_path / "kept.db")
    cluster: Cluster = request.getfixturevalue("postgres")
    url = cluster.url(request.getfixturevalue("postgres_database"))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(gzip.decompress(postgres_file(revision).read_bytes()))
    return url


def differences(store: Store) -> list[Any]:
    """What alembic would still change, but for the partitions of days, which no schema names."""
    with store._engines.migrating.begin() as connection:
        found = compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata)
    return [
        one
        for one in found
        if not (one[0] == "remove_table" and re.fullmatch(r"\w+_(samples|blocks)_\d{8}", one[1].name))
    ]


def test_todays_schema_is_kept() -> None:
    """Where this fails, run `python -m tests.contract.released`, and commit what it wrote."""
    assert head() in kept_revisions()
    assert kept_revisions()[0] == "0001"


@pytest.mark.fault(
    "4",
    "an older or a newer schema",
    promise="a database of every released schema is upgraded; its rows are read, and its epochs go on",
)
@pytest.mark.parametrize("revision", kept_revisions())
def test_a_released_database_is_upgraded_read_and_gone_on_with(kept_url: str, revision: str) -> None:
    with closing(Store.open(kept_url, StandingClock())) as store:
        assert store.set_aside is None
        assert store.upgraded is not None
        assert (store.upgraded.before, store.upgraded.after) == (revision, head())
        assert differences(store) == []

        (epoch,) = store.reader.epochs()
        assert (epoch.replica, epoch.identity, epoch.process_start) == (KEY, IDENTITY, PROCESS_START)
        assert store.reader.samples(0, 4e9) == [
            ReplicaSample(KEY, epoch.id, at_s(n), INTERVAL_S, steps_total=STEPS_PER_POLL * n, kv_usage_ratio=0.125)
            for n in range(POLLS)
        ]
        gpus = store.reader.gpu_samples(0, 4e9)
        assert [(one.uuid, one.name, one.at_s, one.energy_j_total) for one in gpus] == [
            ("GPU-1", "NVIDIA L4", at_s(n), 0.5 * n) for n in range(POLLS)
        ]
        assert sum(totals.windows for _, totals in store.reader.totals(0, 4e9)) == POLLS - 1
        ((hour_s, hour),) = store.reader.hours(0, 4e9)
        # The hour from 10:00 has the 59 windows between its 60 polls.
        assert (hour_s, hour.deltas["steps_total"]) == (BEGIN_S, 59 * STEPS_PER_POLL)
        report = store.reader.latest_report()
        assert report is not None
        assert (report.made_at_s, report.body) == (BEGIN_S, BODY)
        assert store.reader.verdicts() == {("chat", "w4a16"): STATE}

        assert store.writer.register(KEY, IDENTITY, PROCESS_START, "vllm", BEGIN_S + 1e6) == epoch.id
        more = [ReplicaSample(KEY, epoch.id, at_s(n), INTERVAL_S, steps_total=1.0) for n in (POLLS - 1, POLLS)]
        assert store.writer.append(more).new == 1
        store.roll_up(at_s(POLLS) + 7200)
        assert len(store.reader.hours(0, 4e9)) == 2
        before = store.reader.samples(0, 4e9), store.reader.gpu_samples(0, 4e9)
        while store.seal(at_s(POLLS) + 1e6):
            pass
        assert (store.reader.samples(0, 4e9), store.reader.gpu_samples(0, 4e9)) == before
