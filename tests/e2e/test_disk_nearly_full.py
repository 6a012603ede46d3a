"""A real daemon on a small disk that another program fills: it says so, goes on without storing, and recovers."""

from __future__ import annotations

import signal
import time
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from collector.clock import SystemClock
from collector.store import Store
from tests.contract.store_samples import VLLM, fresh_key, sample
from tests.fakes.daemon_process import DaemonProcess, cli, running
from tests.fakes.played_server import played
from tests.fakes.small_disk import fill, small_disk

MB = 1024 * 1024
CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 2s}}
gpu: {{nvml: "off"}}
web: {{listen_address: "127.0.0.1:0"}}
storage:
  url: sqlite:///disk/run.db
  min_free_bytes: 20MB
{retention}
scrape_configs:
  - job_name: played
    static_configs: [{{targets: ["{address}"]}}]
"""
STOPPED = 'breakeven_disk_nearly_full{file="database"} 1.0'


def filled(database: Path) -> int:
    """A day of samples, polled each second, that end two hours ago and were never rolled up; the bytes they take."""
    with closing(Store.open(str(database), SystemClock())) as store:
        key, begin_s = fresh_key(), time.time() - 26 * 3600
        epoch = store.writer.register(key, VLLM, "1", "played", begin_s)
        instants = [begin_s + n for n in range(86400)]
        store.writer.append(sample(key, epoch, at_s, 1.0, steps_total=at_s, busy_s_total=at_s / 3) for at_s in instants)
        return store.used_bytes()


def stored(database: Path, target: str) -> tuple[list[float], int]:
    """When a target's stored samples were taken, and how many five-minute totals there are."""
    with closing(Store.open_to_read(str(database))) as store:
        since_s = time.time() - 3600
        times = [one.at_s for one in store.reader.samples(since_s, 4e9) if one.replica.target == target]
        return times, len(store.reader.totals(0, 4e9))


def shows(daemon: DaemonProcess, *lines: str) -> bool:
    page = daemon.text("/metrics")
    return all(line in page for line in lines)


@pytest.mark.fault(
    "4",
    "SQLite's disk is full",
    promise="a daemon whose disk fills says so on every page, rolls up, and stores what waited once there is room",
)
def test_a_daemon_on_a_nearly_full_disk(tmp_path: Path) -> None:
    with small_disk(tmp_path, 60) as disk, played(1) as (server,):
        database = disk / "run.db"
        used = filled(database)
        fill(disk, 19 * MB)
        config = tmp_path / "config.yaml"
        config.write_text(CONFIG.format(address=server.address, retention=""))
        with running(tmp_path, "run", "--config.file", "config.yaml") as daemon:
            daemon.until(lambda: shows(daemon, 'breakeven_store_up{reason="disk_nearly_full"} 0.0', STOPPED))
            daemon.until(lambda: stored(database, server.url)[1] >= 280)
            daemon.until(daemon.report)
            health = daemon.json("/api/v1/health")
            assert "its disk has 1" in health["store"]["message"]
            assert health["disk"]["min_free_bytes"] == 20 * MB
            assert health["targets"][0]["up"] is True
            assert (health["samples_written"], health["samples_dropped"]) == (0, 0)
            assert stored(database, server.url)[0] == []
            looked = cli(tmp_path, "doctor", "--config.file", "config.yaml")
            assert looked.returncode == 1
            assert "where the database is; samples stop below 0.02 GiB" in looked.stdout
            begun_s = time.time()
            retention = f"  retention: {{max_bytes: {used // 4}}}"
            config.write_text(CONFIG.format(address=server.address, retention=retention))
            daemon.process.send_signal(signal.SIGHUP)
            daemon.until(lambda: shows(daemon, 'breakeven_store_up{reason=""} 1.0', "breakeven_store_max_bytes "))
            assert not shows(daemon, STOPPED)
            assert daemon.json("/api/v1/health")["used_bytes"] <= used // 4
            times, _ = stored(database, server.url)
            assert daemon.stop() == 0

    assert times[0] < begun_s - 3
    assert max(after - before for before, after in pairwise(times)) <= 3
