"""Targets that are down, slow, huge, hostile or no inference server: named, and they stop nothing else."""

from __future__ import annotations

import json
import re
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from collector.cli.doctor import SAFE_SQLITE
from tests.fakes.daemon_process import DaemonProcess, cli, helper, running

CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 2s}}
gpu: {{nvml: "off"}}
web: {{listen_address: "127.0.0.1:0"}}
storage: {{url: "sqlite:///run.db"}}
scrape_configs:
  - job_name: good
    static_configs: [{{targets: ["{good}"]}}]
  - job_name: down
    static_configs: [{{targets: ["127.0.0.1:{down}"]}}]
"""
JOB = """\
  - job_name: {name}
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""
LIMITS = {"huge": "    body_size_limit: 100KB\n", "million": "    body_size_limit: 100MB\n"}
REASONS = {
    "down": "refused",
    "slow": "timeout",
    "trickled_head": "timeout",
    "trickled_body": "timeout",
    "huge": "too_large",
    "bomb": "too_large",
    "endless": "too_large",
    "million": "too_many_samples",
    "redirect": "redirect",
    "duplicate": "bad_page",
    "guarded": "unauthorized",
    "elsewhere": "http_status",
    "web": "not_metrics",
    "node": "unknown_engine",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a configuration of one good target and bad ones of each kind, all of them served."""
    made: Path = tmp_path_factory.mktemp("bad-targets")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with (
            helper("-m", "tests.fakes.simulated_vllm", "0", "1") as (_, good),
            helper("-m", "tests.fakes.bad_servers") as (_, ports),
        ):
            text = CONFIG.format(good=good.removeprefix("http://"), down=closed.getsockname()[1])
            for name, port in (one.split("=") for one in ports.split()):
                text += JOB.format(name=name, port=port) + LIMITS.get(name, "")
            (made / "config.yaml").write_text(text)
            yield made


def _polled_often(daemon: DaemonProcess) -> int:
    """Targets that were asked three times; at the daemon's start it knows of none."""
    return sum(target["attempts"] >= 3 for target in daemon.json("/api/v1/health")["targets"])


@pytest.fixture(scope="module")
def daemon(folder: Path) -> Iterator[DaemonProcess]:
    with running(folder, "run", "--config.file", "config.yaml") as one:
        one.until(lambda: _polled_often(one) == len(REASONS) + 1)
        yield one
        assert one.stop() == 0


@pytest.mark.fault(
    "2", "a body or headers that trickle", promise="in the daemon: `timeout`; good targets do not notice"
)
@pytest.mark.fault("2", "a gzip bomb", promise="in the daemon: `too_large`; good targets do not notice")
@pytest.mark.fault("2", "an endless body", promise="in the daemon: `too_large`; good targets do not notice")
@pytest.mark.fault(
    "2", "too many samples, labels or too long ones", promise="in the daemon, a million series: `too_many_samples`"
)
@pytest.mark.fault("2", "a redirect to another address", promise="in the daemon: `redirect`, with the remedy")
@pytest.mark.fault("2", "duplicate series or broken text", promise="in the daemon: `bad_page`, with its remedy")
def test_each_bad_target_is_down_with_its_reason(daemon: DaemonProcess) -> None:
    page = daemon.text("/metrics")
    down = dict(re.findall(r'breakeven_target_up\{[^}]*job="(\w+)"[^}]*reason="(\w+)"[^}]*\} 0\.0', page))

    assert down == REASONS


def test_the_good_target_is_polled_all_the_same(daemon: DaemonProcess) -> None:
    report = daemon.until(lambda: _with_replicas(daemon))

    assert re.search(r'breakeven_target_up\{[^}]*job="good"[^}]*\} 1\.0', daemon.text("/metrics"))
    assert [one["job"] for one in report["replicas"]] == ["good"]


def _with_replicas(daemon: DaemonProcess) -> dict[str, Any] | None:
    report = daemon.report()
    return report if report is not None and report["replicas"] else None


def test_the_health_names_a_remedy_for_each(daemon: DaemonProcess) -> None:
    targets = {one["job"]: one for one in daemon.json("/api/v1/health")["targets"]}

    for job in REASONS:
        assert targets[job]["remedy"], job
        assert targets[job]["message"], job


@pytest.mark.fault(
    "2", "the server wants credentials", promise="`doctor` says what a job lacks that gets a 401, or to check for a 404"
)
@pytest.mark.fault("4", "SQLite's WAL-reset bug", promise="`doctor` names a SQLite that has it, and what to do")
def test_doctor_finds_the_same_and_fails(folder: Path) -> None:
    result = cli(folder, "doctor", "--config.file", "config.yaml", "--json")
    findings = json.loads(result.stdout)
    failed = {one["about"].split()[0]: one for one in findings if one["level"] == "fail"}

    assert result.returncode == 1
    assert {job: one["text"].split(":")[0] for job, one in failed.items()} == REASONS
    assert all(one["remedy"] for one in failed.values())
    assert "add basic_auth or authorization" in failed["guarded"]["remedy"]
    assert "check metrics_path" in failed["elsewhere"]["remedy"]
    assert any(one["about"].startswith("good") and one["level"] == "ok" for one in findings)
    (sqlite,) = (one for one in findings if one["about"] == "SQLite")
    assert (sqlite["level"] == "note") == (sqlite3.sqlite_version_info < SAFE_SQLITE)
    assert sqlite3.sqlite_version in sqlite["text"]


def test_doctor_in_words_is_one_line_a_finding_with_its_remedy(folder: Path) -> None:
    result = cli(folder, "doctor", "--config.file", "config.yaml")

    assert "FAIL  down http://127.0.0.1:" in result.stdout
    assert "-> start the server, or correct host and port" in result.stdout
    assert "Traceback" not in result.stdout + result.stderr
