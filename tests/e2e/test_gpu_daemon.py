"""The whole daemon beside a GPU driver: readings, a driver that hangs, an end in time while it does, a next start."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path

import pytest

from collector.store import Store
from tests.fakes.daemon_process import DaemonProcess, helper, running
from tests.fakes.nvml_driver import FakeDriver, compiled
from tests.fakes.played_server import played

CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 2s}}
gpu: {{interval: 1s, timeout: 500ms}}
web: {{listen_address: "127.0.0.1:0"}}
storage: {{url: "sqlite:///run.db"}}
scrape_configs:
  - job_name: vllm
    static_configs: [{{targets: ["{address}"]}}]
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("driver"))


def polls(daemon: DaemonProcess) -> int:
    return int(daemon.json("/api/v1/health")["targets"][0]["attempts"])


@pytest.mark.fault(
    "1",
    "an NVML call hangs",
    promise="GPU series vanish with their reason; polls of servers go on; SIGTERM still ends all of it",
)
def test_a_hanging_driver_costs_gpu_series_and_nothing_else(library: Path, tmp_path: Path) -> None:
    """GPU figures go, the source is down with its reason, polls go on, SIGTERM ends all of it within 10 s, exit 0."""
    driver = FakeDriver(library, tmp_path / "control")
    driver.say("count 2", "gpu0.util 50", "gpu1.util 0")
    with helper("-m", "tests.fakes.simulated_vllm", "0", "1") as (_, url):
        (tmp_path / "config.yaml").write_text(CONFIG.format(address=url.removeprefix("http://")))
        arguments = ("run", "--config.file", "config.yaml")
        with running(tmp_path, *arguments, environment=driver.environment) as daemon:
            page = daemon.until(lambda: _with(daemon, "breakeven_gpu_utilization_ratio{"))
            values = re.findall(r"^breakeven_gpu_utilization_ratio\{[^}]*\} (\S+)$", page, re.MULTILINE)
            assert sorted(values) == ["0.0", "0.5"]
            driver.say("count 2", "hang nvmlDeviceGetUtilizationRates")
            page = daemon.until(lambda: _with(daemon, 'breakeven_gpu_source_up{reason="timeout"} 0.0'))
            assert "breakeven_gpu_utilization_ratio{" not in page
            before = polls(daemon)
            daemon.until(lambda: polls(daemon) >= before + 3)
            assert daemon.json("/api/v1/health")["targets"][0]["up"] is True
            assert daemon.stop(limit_s=10) == 0


def _with(daemon: DaemonProcess, text: str) -> str | None:
    page = daemon.text("/metrics")
    return page if text in page else None


@pytest.mark.fault(
    "1",
    "fewer GPUs than before, or none",
    promise="across a restart of the daemon: one that the former run stored readings of is missing in the next",
)
def test_a_gpu_that_is_gone_after_a_restart_is_missing(library: Path, tmp_path: Path) -> None:
    driver = FakeDriver(library, tmp_path / "control")
    driver.say("count 2")
    stays, goes = (f"GPU-00000000-0000-0000-0000-{number:012}" for number in range(2))
    with played(1) as (server,):
        (tmp_path / "config.yaml").write_text(CONFIG.format(address=server.address))
        arguments = ("run", "--config.file", "config.yaml")
        with running(tmp_path, *arguments, environment=driver.environment) as daemon:
            daemon.until(lambda: _stored(tmp_path) == {stays, goes})
            assert daemon.stop() == 0
        driver.say("count 1")
        with running(tmp_path, *arguments, environment=driver.environment) as daemon:
            page = daemon.until(lambda: _with(daemon, 'reason="missing"'))
            series = r'^breakeven_gpu_up\{[^}]*gpu_uuid="([^"]*)"[^}]*reason="(\w*)"[^}]*\} (\S+)$'
            up = re.findall(series, page, re.MULTILINE)
            assert sorted(up) == [(stays, "", "1.0"), (goes, "missing", "0.0")]
            assert daemon.stop() == 0


def _stored(folder: Path) -> set[str]:
    """The GPUs that the database has readings of."""
    with closing(Store.open_to_read(str(folder / "run.db"))) as store:
        return {one.uuid for one in store.reader.gpu_samples(0, 4e9)}


@pytest.mark.fault("1", "no driver library", promise="the daemon starts, says `absent`, and watches the servers")
def test_without_a_driver_the_engines_are_watched_all_the_same(tmp_path: Path) -> None:
    with helper("-m", "tests.fakes.simulated_vllm", "0", "1") as (_, url):
        (tmp_path / "config.yaml").write_text(CONFIG.format(address=url.removeprefix("http://")))
        empty = tmp_path / "empty"
        empty.mkdir()
        hidden = {"LD_LIBRARY_PATH": str(empty)}
        with running(tmp_path, "run", "--config.file", "config.yaml", environment=hidden) as daemon:
            page = daemon.until(lambda: _with(daemon, "breakeven_gpu_source_up{"))
            if 'reason="absent"' not in page:
                pytest.skip("NOT CHECKED: this machine has a GPU driver")
            daemon.until(lambda: _with(daemon, "breakeven_decode_batch_size{"))
            assert daemon.stop() == 0
