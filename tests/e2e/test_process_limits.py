"""The process as a whole: its signals, few file descriptors, another time zone."""

from __future__ import annotations

import re
import resource
import signal
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from collector.store import Store
from tests.fakes.daemon_process import DaemonProcess, running
from tests.fakes.played_server import PlayedServer, played
from tests.fakes.tools import require

CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 2s}}
gpu: {{nvml: "off"}}
web: {{listen_address: "127.0.0.1:0"}}
storage: {{url: "sqlite:///run.db"}}
scrape_configs:
  - job_name: played
    static_configs: [{{targets: {addresses}}}]
"""
FLAGS = ("run", "--config.file", "config.yaml")


def write(folder: Path, *servers: PlayedServer) -> None:
    (folder / "config.yaml").write_text(CONFIG.format(addresses=[one.address for one in servers]))


def written(daemon: DaemonProcess) -> int:
    return int(daemon.json("/api/v1/health")["samples_written"])


def polls(daemon: DaemonProcess) -> int:
    """Good polls of all targets."""
    found = daemon.json("/api/v1/health")["targets"]
    return sum(one["attempts"] - sum(one["failures"].values()) for one in found)


@pytest.mark.fault("5", "SIGTERM", promise="what was polled is written, status 0; ten seconds at most")
@pytest.mark.fault("3", "time zones and daylight saving", promise="whatever TZ says, times are kept and logged in UTC")
def test_sigterm_writes_what_was_polled_whatever_the_time_zone(tmp_path: Path) -> None:
    """Samples are written every five seconds; fourteen hours east of UTC a local time would be off by as much.

    The poll at the start may share its tick with the next, and a tick holds one sample.
    """
    with played(1) as (server,):
        write(tmp_path, server)
        with running(tmp_path, *FLAGS, environment={"TZ": "Pacific/Kiritimati"}) as daemon:
            daemon.until(lambda: polls(daemon) >= 3)
            told = polls(daemon)
            assert daemon.stop(signal.SIGTERM) == 0
    store = Store.open_to_read(str(tmp_path / "run.db"))
    try:
        times = [one.at_s for one in store.reader.samples(0, 4e9)]
    finally:
        store.close()
    assert len(times) >= told - 1
    assert abs(times[0] - (tmp_path / "config.yaml").stat().st_mtime) < 3600
    stamps = re.findall(r"(?m)^ts=(\S+)", daemon.log.read_text())
    assert stamps
    assert all(stamp.endswith("Z") for stamp in stamps)


@pytest.mark.fault("5", "SIGTERM", promise="a second signal ends it at once, with status 1, whatever still waits")
def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    """Another program holds the database, so that the orderly end of status 0 would wait for it, for seconds.

    The second signal is another one: two of a kind may reach a process as one.
    """
    with played(1) as (server,):
        write(tmp_path, server)
        with (
            running(tmp_path, *FLAGS) as daemon,
            closing(sqlite3.connect(tmp_path / "run.db", timeout=30, isolation_level=None)) as other,
        ):
            daemon.until(lambda: polls(daemon) >= 1)
            other.execute("BEGIN IMMEDIATE")
            before = polls(daemon)
            daemon.until(lambda: polls(daemon) >= before + 2)
            daemon.process.send_signal(signal.SIGTERM)
            daemon.process.send_signal(signal.SIGINT)
            assert daemon.process.wait(30) == 1
    assert "msg=ended" not in daemon.log.read_text()


@pytest.mark.fault(
    "5",
    "a memory limit",
    promise="a page that there is no memory for is said to be one (`memory`); other polls and writes go on, nothing is "
    "lost, and the target is back when memory is",
)
def test_a_page_that_there_is_no_memory_for_costs_nothing_else(tmp_path: Path) -> None:
    """The daemon at work may take 2 MiB more address space than it has; then one of two pages grows by 9 MB."""
    with played(2) as servers:
        large, small = servers
        write(tmp_path, *servers)
        with running(tmp_path, *FLAGS) as daemon:
            daemon.until(lambda: polls(daemon) >= 8)
            pid = daemon.process.pid
            size_bytes = int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize() + 2**21
            unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
            resource.prlimit(pid, resource.RLIMIT_AS, (size_bytes, resource.RLIM_INFINITY))
            large.grow_by(9_000_000)
            daemon.until(lambda: _failures(daemon)[0].get("memory", 0) >= 2)
            before, answered = written(daemon), small.pages
            daemon.until(lambda: written(daemon) > before and small.pages > answered)
            failed, unharmed = _failures(daemon)
            assert set(failed) <= {"memory", "refused"}
            assert set(unharmed) <= {"refused"}
            large.grow_by(0)
            resource.prlimit(pid, resource.RLIMIT_AS, unlimited)
            daemon.until(lambda: daemon.json("/api/v1/health")["targets"][0]["up"])
            assert daemon.json("/api/v1/health")["samples_dropped"] == 0
            assert daemon.stop() == 0
            told = re.search(r"samples_written=(\d+)", daemon.log.read_text())
    store = Store.open_to_read(str(tmp_path / "run.db"))
    try:
        kept = store.reader.samples(0, 4e9)
    finally:
        store.close()
    assert told is not None
    assert len(kept) == int(told[1])
    assert "reason=memory" in daemon.log.read_text()


def _failures(daemon: DaemonProcess) -> list[dict[str, int]]:
    """Failed polls by reason, target by target."""
    return [one["failures"] for one in daemon.json("/api/v1/health")["targets"]]


@pytest.mark.fault("5", "file descriptors run out", promise="clients take none from the polls, which do not notice")
def test_clients_that_take_every_descriptor_do_not_stop_the_polls(tmp_path: Path) -> None:
    """Of sixty-four descriptors clients have eight, and two hundred of them come and stay silent."""
    prlimit = require("prlimit", "util-linux")
    with played(3) as servers:
        write(tmp_path, *servers)
        with running(tmp_path, *FLAGS, under=(prlimit, "--nofile=64")) as daemon:
            daemon.until(lambda: polls(daemon) >= 3)
            host, port = daemon.url.removeprefix("http://").split(":")
            clients = [socket.create_connection((host, int(port)), timeout=10) for _ in range(200)]
            before = sum(server.pages for server in servers)
            daemon.until(lambda: sum(server.pages for server in servers) >= before + 9)
            failures = _failures(daemon)
            for client in clients:
                client.close()
            assert failures == [{}, {}, {}]
            assert daemon.stop() == 0
