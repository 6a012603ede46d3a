"""Postgres goes away, or its processes stand still, under a running daemon: polls go on, and no sample is lost."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from collector.jobs.spool import Spool
from collector.store import Store
from collector.store.engine import open_engines
from collector.store.migrate import upgrade
from tests.contract.next_release import HEAD, with_another_migration
from tests.contract.postgres_cluster import Cluster
from tests.contract.standing_clock import StandingClock
from tests.fakes.daemon_files import write_files
from tests.fakes.daemon_process import DaemonProcess, running
from tests.fakes.played_server import PlayedServer, played

OURS = "SELECT pid FROM pg_stat_activity WHERE application_name = 'breakeven'"


@dataclass(frozen=True, slots=True)
class Beside:
    """A daemon with one server to poll and a cluster of its own."""

    daemon: DaemonProcess
    server: PlayedServer
    cluster: Cluster
    url: str
    folder: Path

    def polls(self, number: int) -> None:
        """Wait for so many more good polls, with which /metrics and /-/ready answer."""
        before = self.server.pages
        self.daemon.until(lambda: self.server.pages >= before + number)
        (target,) = self.daemon.json("/api/v1/health")["targets"]
        assert target["up"] is True
        assert "breakeven_target_up{" in self.daemon.text("/metrics")
        assert self.daemon.text("/-/ready").startswith("Breakeven is ready")

    def spool(self) -> Any:
        """What is known of the spool."""
        return self.daemon.json("/api/v1/health")["spool"]

    def times(self) -> list[float]:
        """When the stored samples were taken."""
        store = Store.open_to_read(self.url)
        try:
            return [one.at_s for one in store.reader.samples(0, 4e9)]
        finally:
            store.close()

    def until_no_gap(self, edge_s: float) -> None:
        """Wait until samples are stored that are later than an instant, and none are missing till then.

        They are written every five seconds: a batch that is lost leaves a hole that long, a skipped turn a shorter one.
        """
        self.daemon.until(lambda: self.times()[-1] > edge_s)
        seconds = [int(at_s) for at_s in self.times()]
        assert seconds == sorted(set(seconds))
        assert max(after - before for before, after in pairwise(seconds)) <= 3


@pytest.fixture(scope="module")
def beside(own_postgres: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Beside]:
    folder: Path = tmp_path_factory.mktemp("postgres-faults")
    url = own_postgres.url(own_postgres.fresh())
    with played(1) as (server,):
        write_files(folder, url, server.address)
        with running(folder, "run", "--config.file", "config.yaml") as daemon:
            one = Beside(daemon, server, own_postgres, url, folder)
            daemon.until(lambda: len(one.times()) >= 2)
            yield one


def now_of(beside: Beside) -> float:
    """When the server was last polled."""
    (target,) = beside.daemon.json("/api/v1/health")["targets"]
    return float(target["last_success_s"])


@pytest.mark.fault(
    "4",
    "the database is away",
    promise="polls, /metrics and /-/ready go on; what comes waits on a spool on disk, which /metrics shows",
)
def test_postgres_away_stops_no_poll_and_loses_no_sample(beside: Beside) -> None:
    beside.cluster.stop()
    beside.polls(8)
    beside.daemon.until(
        lambda: "breakeven_store_up{" in (page := beside.daemon.text("/metrics")) and 'reason="write_failed"' in page
    )
    beside.daemon.until(lambda: beside.spool()["waiting"] >= 5)
    assert "breakeven_spool_oldest_timestamp_seconds 1" in beside.daemon.text("/metrics")
    edge_s = now_of(beside)
    beside.cluster.start()
    beside.until_no_gap(edge_s)
    beside.daemon.until(lambda: beside.spool()["waiting"] == 0)
    assert beside.spool()["replayed"] == beside.spool()["spooled"] >= 5
    beside.daemon.until(lambda: 'breakeven_store_up{reason=""} 1.0' in beside.daemon.text("/metrics"))


@pytest.mark.fault("4", "Postgres restarts or cuts connections", promise="a killed backend ends all; no sample is lost")
def test_a_killed_backend_costs_no_sample(beside: Beside) -> None:
    ((pid,), *_) = beside.cluster.run(OURS)
    os.kill(pid, signal.SIGKILL)
    beside.polls(3)
    beside.until_no_gap(now_of(beside))


@pytest.mark.fault(
    "4",
    "a Postgres backend hangs",
    promise="by SIGSTOP, it stops no poll; after SIGTERM all is on the spool",
)
def test_backends_that_stand_still_stop_no_poll_and_no_end(beside: Beside) -> None:
    beside.until_no_gap(now_of(beside))
    pids = [pid for (pid,) in beside.cluster.run(OURS)]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        beside.polls(8)
        edge_s = now_of(beside)
        assert beside.daemon.stop() == 0
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    spool = Spool.open(beside.folder / "var" / "spool.db", 64 * 1024 * 1024, StandingClock())
    try:
        held = asyncio.run(spool.oldest()).replicas
    finally:
        assert spool.close(10.0)
    assert held[-1].sample.at_s >= edge_s - 1
    assert held[0].sample.at_s <= edge_s - 6


@pytest.mark.fault(
    "4", "the database is away", promise="a daemon killed then and started again goes on without it; nothing is lost"
)
def test_a_daemon_killed_and_started_again_while_postgres_is_away(own_postgres: Cluster, tmp_path: Path) -> None:
    """What was stored or on the spool when it was killed is in Postgres in the end, and so is what came after."""
    url = own_postgres.url(own_postgres.fresh())
    with played(1) as (server,):
        write_files(tmp_path, url, server.address)
        with running(tmp_path, "run", "--config.file", "config.yaml") as daemon:
            first = Beside(daemon, server, own_postgres, url, tmp_path)
            daemon.until(lambda: daemon.json("/api/v1/health")["samples_written"] >= 2)
            own_postgres.stop()
            daemon.until(lambda: first.spool()["waiting"] >= 3)
            known = daemon.json("/api/v1/health")
            daemon.process.kill()
        with running(tmp_path, "run", "--config.file", "config.yaml") as daemon:
            second = Beside(daemon, server, own_postgres, url, tmp_path)
            assert second.spool()["waiting"] >= known["spool"]["waiting"]
            second.polls(2)
            daemon.until(lambda: second.spool()["spooled"] >= 3)
            edge_s = now_of(second)
            own_postgres.start()
            daemon.until(lambda: second.spool()["waiting"] == 0)
            daemon.until(lambda: second.times()[-1] > edge_s)
            known["spool"]["spooled"] += second.spool()["spooled"]
            daemon.until(daemon.report)
            times = second.times()
            assert daemon.stop() == 0

    assert len(times) >= known["samples_written"] + known["spool"]["spooled"]
    assert len({int(at_s) for at_s in times}) == len(times)


@pytest.mark.fault(
    "4",
    "an older or a newer schema",
    promise="a running daemon says so, and keeps what comes on its spool until the release fits the schema again",
)
def test_a_daemon_keeps_off_a_database_that_a_newer_release_upgrades(own_postgres: Cluster, tmp_path: Path) -> None:
    """It gives up its turn to analyse; once the newer release is taken back, no sample is missing."""
    url = own_postgres.url(own_postgres.fresh())
    with played(1) as (server,), closing(open_engines(url)) as engines:
        write_files(tmp_path, url, server.address)
        with running(tmp_path, "run", "--config.file", "config.yaml") as daemon:
            one = Beside(daemon, server, own_postgres, url, tmp_path)
            daemon.until(daemon.report)
            upgrade(engines, StandingClock(), with_another_migration(tmp_path / "next", "pass"))
            daemon.until(lambda: 'breakeven_store_up{reason="schema_too_new"} 0' in daemon.text("/metrics"))
            one.polls(8)
            daemon.until(lambda: one.spool()["waiting"] >= 5)
            daemon.until(
                lambda: any("a newer release wrote it" in said for said in daemon.json("/api/v1/health")["notices"])
            )
            assert daemon.json("/api/v1/health")["analyser"] is None
            edge_s = now_of(one)
            with engines.migrating.begin() as connection:
                connection.execute(text("DROP TABLE events"))
                connection.execute(text("UPDATE alembic_version SET version_num = :head"), {"head": HEAD})
            one.until_no_gap(edge_s)
            daemon.until(lambda: one.spool()["waiting"] == 0)
            daemon.until(lambda: daemon.json("/api/v1/health")["analyser"] is not None)
