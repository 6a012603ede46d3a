"""The whole daemon and `doctor` beside a GPU driver, a dcgm-exporter and an engine that runs on one of its GPUs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.daemon_process import DaemonProcess, cli, helper, running
from tests.fakes.nvml_driver import FakeDriver, compiled

PAGES = Path(__file__).parents[1] / "pages" / "gpus"
PAGE = PAGES / "dcgm__4.8.2__profiling-stopped.prom"
STOPPED = "GPU-aaaaaaaa-0000-0000-0000-000000000001"
WELL = "GPU-bbbbbbbb-0000-0000-0000-000000000002"
LOCAL = "GPU-00000000-0000-0000-0000-000000000000"
CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 2s}}
gpu: {{interval: 1s, timeout: 900ms, gpm: true}}
web: {{listen_address: "127.0.0.1:0"}}
storage: {{url: "sqlite:///run.db"}}
gpu_joins:
  - {{target: "{engine}", uuids: ["{uuid}"]}}
scrape_configs:
  - job_name: vllm
    static_configs: [{{targets: ["{engine}"]}}]
  - job_name: gpus
    static_configs: [{{targets: ["{exporter}"]}}]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    made = tmp_path_factory.mktemp("gpu-pages")
    with (
        helper("-m", "tests.fakes.simulated_vllm", "0", "1") as (_, engine),
        helper("-m", "tests.fakes.served_page", str(PAGE)) as (_, exporter),
    ):
        text = CONFIG.format(engine=engine.split("/")[2], exporter=exporter.split("/")[2], uuid=WELL)
        (made / "config.yaml").write_text(text)
        yield made


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> FakeDriver:
    made = FakeDriver(compiled(tmp_path_factory.mktemp("driver")), tmp_path_factory.mktemp("control"))
    made.say("gpu0.util 50", "gpu0.gpm.2 40", "gpu0.gpm.5 10", "gpu0.gpm.10 64")
    return made


@pytest.fixture(scope="module")
def daemon(folder: Path, driver: FakeDriver) -> Iterator[DaemonProcess]:
    arguments = ("run", "--config.file", "config.yaml")
    with running(folder, *arguments, environment=driver.environment) as one:
        one.until(lambda: len(_values(one, "dram_active_ratio")) == 2)
        yield one
        assert one.stop() == 0


def _values(daemon: DaemonProcess, figure: str) -> dict[str, float]:
    found = re.findall(rf'^breakeven_gpu_{figure}{{gpu_uuid="([^"]+)"}} (\S+)$', daemon.text("/metrics"), re.MULTILINE)
    return {uuid: float(value) for uuid, value in found}


def test_gpus_of_both_sources_are_shown_and_stopped_profiling_is_absent(daemon: DaemonProcess) -> None:
    assert _values(daemon, "utilization_ratio") == {LOCAL: 0.5, STOPPED: 1.0, WELL: 0.993}
    assert _values(daemon, "dram_active_ratio") == {LOCAL: 0.64, WELL: 0.664}


def test_an_absent_figure_is_shown_with_its_reason(daemon: DaemonProcess) -> None:
    labels = f'gpu_uuid="{STOPPED}",reason="inconsistent",series="dram_active_ratio"'
    wanted = set(labels.split(","))
    lines = re.findall(r"^breakeven_gpu_unreported_info\{(.*)\} 1\.0$", daemon.text("/metrics"), re.MULTILINE)

    assert any(set(line.split(",")) == wanted for line in lines)


def test_the_exporter_is_a_target_like_others(daemon: DaemonProcess) -> None:
    targets = {one["job"]: one for one in daemon.json("/api/v1/health")["targets"]}

    assert (targets["gpus"]["up"], targets["gpus"]["engine"]) == (True, "dcgm")
    assert (targets["vllm"]["gpu_uuids"], targets["vllm"]["gpu_join"]) == ([WELL], "config")


def test_the_joined_gpu_is_the_replicas(daemon: DaemonProcess) -> None:
    """The page's model name reaches the replica by the join alone."""

    def replica() -> dict[str, Any] | None:
        report = daemon.report()
        replicas = [] if report is None else report["replicas"]
        return next((one for one in replicas if one["identity"]["gpu"] is not None), None)

    assert daemon.until(replica)["identity"]["gpu"] == "NVIDIA H100 80GB HBM3"


def test_doctor_shows_the_exporter_the_join_and_what_cannot_be_believed(folder: Path, driver: FakeDriver) -> None:
    result = cli(folder, "doctor", "--config.file", "config.yaml", "--json", environment=driver.environment)
    findings = json.loads(result.stdout)
    said = {job: [one for one in findings if one["about"].startswith(f"{job} http")] for job in ("vllm", "gpus")}

    assert said["gpus"][0]["level"] == "ok"
    assert said["gpus"][0]["text"].startswith(f"dcgm-exporter: 2 GPUs of node-1: {STOPPED}, {WELL}")
    (stopped,) = [one for one in said["gpus"] if STOPPED in one["text"] and one["level"] == "note"]
    assert "all zero while the GPU works" in stopped["text"]
    assert stopped["remedy"]
    assert any(one["text"] == f"GPUs {WELL}, stated in gpu_joins" for one in said["vllm"])
    assert any(one["about"] == "GPU" and one["text"].startswith(f"{LOCAL} ") for one in findings)
    assert not any("dram_active_ratio" in one["text"] for one in findings if one["about"] == "GPU")


def test_doctor_says_which_stated_gpu_no_source_shows(folder: Path, driver: FakeDriver) -> None:
    text = (folder / "config.yaml").read_text().replace(f'uuids: ["{WELL}"]', 'uuids: ["GPU-typo"]')
    (folder / "typo.yaml").write_text(text)
    result = cli(folder, "doctor", "--config.file", "typo.yaml", "--json", environment=driver.environment)
    findings = [one for one in json.loads(result.stdout) if "GPU-typo" in one["text"]]

    assert [(one["level"], "no source shows GPU-typo" in one["text"]) for one in findings] == [("note", True)]


def test_servers_lists_the_exporter_with_its_series(tmp_path: Path) -> None:
    listed = json.loads(cli(tmp_path, "servers", "--json").stdout)
    shown = cli(tmp_path, "servers", "dcgm").stdout

    assert listed["dcgm"]["reads"]["dram_active_ratio"] == ["DCGM_FI_PROF_DRAM_ACTIVE"]
    assert "DCGM_FI_PROF_DRAM_ACTIVE" in shown
    assert "dcgm" in cli(tmp_path, "servers").stdout
