"""The daemon's own HTTP side as a whole: reloading, a warning where everyone is let in, and an end at SIGTERM."""

from __future__ import annotations

import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.fakes.daemon_process import DaemonProcess, cli, running

CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 2s}}
gpu: {{nvml: "off"}}
web: {{listen_address: "{address}"}}
storage: {{url: "sqlite:///run.db"}}
scrape_configs:
  - job_name: {job}
    static_configs: [{{targets: ["127.0.0.1:9"]}}]
"""
FLAGS = ("run", "--config.file", "config.yaml")
SUCCESSFUL = re.compile(r"^breakeven_config_last_reload_successful (\S+)$", re.MULTILINE)


def write(folder: Path, job: str = "one", address: str = "127.0.0.1:0", more: str = "") -> None:
    fresh = folder / "config.yaml.new"
    fresh.write_text(CONFIG.format(job=job, address=address) + more)
    fresh.replace(folder / "config.yaml")


def jobs(daemon: DaemonProcess) -> list[str]:
    return [one["job"] for one in daemon.json("/api/v1/health")["targets"]]


def reload_over_http(daemon: DaemonProcess, method: str = "POST") -> int:
    try:
        with urlopen(Request(daemon.url + "/-/reload", method=method), timeout=10) as answer:
            return int(answer.status)
    except HTTPError as error:
        error.close()
        return error.code


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made: Path = tmp_path_factory.mktemp("own-port")
    write(made)
    return made


@pytest.fixture(scope="module")
def daemon(folder: Path) -> Iterator[DaemonProcess]:
    with running(folder, *FLAGS, "--web.listen-address", "0.0.0.0:0", "--web.enable-lifecycle") as one:
        one.url = one.url.replace("0.0.0.0", "127.0.0.1")
        one.until(lambda: jobs(one) == ["one"])
        yield one
        assert one.stop() == 0


def test_sighup_takes_a_changed_configuration(daemon: DaemonProcess, folder: Path) -> None:
    write(folder, "two")
    daemon.process.send_signal(signal.SIGHUP)

    daemon.until(lambda: jobs(daemon) == ["two"])
    assert SUCCESSFUL.findall(daemon.text("/metrics")) == ["1.0"]


def test_a_bad_configuration_changes_nothing_and_is_said(daemon: DaemonProcess, folder: Path) -> None:
    before = jobs(daemon)
    write(folder, "three", more="unknown_key: 1\n")
    daemon.process.send_signal(signal.SIGHUP)
    daemon.until(lambda: SUCCESSFUL.findall(daemon.text("/metrics")) == ["0.0"])

    assert jobs(daemon) == before
    assert "unknown key 'unknown_key'" in daemon.log.read_text()
    assert reload_over_http(daemon) == 500
    write(folder, "four", more="log: {format: json}\n")
    assert reload_over_http(daemon) == 200
    daemon.until(lambda: jobs(daemon) == ["four"])
    assert SUCCESSFUL.findall(daemon.text("/metrics")) == ["1.0"]
    assert "change at a restart only" in daemon.log.read_text()


def test_reload_takes_a_post(daemon: DaemonProcess) -> None:
    assert reload_over_http(daemon, "GET") == 405


@pytest.mark.fault("5", "listening beyond loopback", promise="loopback by default; a warning where anyone may ask")
def test_listening_on_all_addresses_without_a_password_is_warned_of(daemon: DaemonProcess) -> None:
    (line,) = [line for line in daemon.log.read_text().splitlines() if "anyone who reaches this address" in line]

    assert "level=warning" in line
    assert "web.config_file" in line


@pytest.mark.fault("5", "an endpoint that changes something", promise="POST /-/reload only with --web.enable-lifecycle")
@pytest.mark.fault("5", "listening beyond loopback", promise="loopback alone is listened on, unless told otherwise")
def test_by_default_only_loopback_is_listened_on_and_nothing_changes_over_http(tmp_path: Path) -> None:
    write(tmp_path)
    with running(tmp_path, *FLAGS) as daemon:
        port = int(daemon.url.rpartition(":")[2])
        with socket.create_server(("127.0.0.2", port)):
            pass  # another address of this machine, which the daemon does not hold
        assert reload_over_http(daemon) == 403
        for path in ("/metrics", "/api/v1/report", "/api/v1/health", "/"):
            with pytest.raises(HTTPError) as refused:
                urlopen(Request(daemon.url + path, method="POST"), timeout=10)
            refused.value.close()
            assert refused.value.code == 405
        assert "anyone who reaches" not in daemon.log.read_text()
        assert daemon.stop() == 0


def test_a_web_config_that_cannot_be_used_is_refused_with_all_other_problems(tmp_path: Path) -> None:
    (tmp_path / "web.yml").write_text("basic_auth_users: {anna: canary}\nrate_limit: {}\n")
    write(tmp_path, more="unknown_key: 1\n")
    text = (tmp_path / "config.yaml").read_text().replace("127.0.0.1:0", '127.0.0.1:0", config_file: "web.yml')
    (tmp_path / "config.yaml").write_text(text)
    result = cli(tmp_path, "check-config", "config.yaml")

    assert result.returncode == 2
    assert [line.split(";")[0] for line in result.stderr.splitlines()] == [
        "config.yaml:4 web.config_file: web.yml:1 basic_auth_users.anna: no bcrypt hash of a cost up to 19",
        "config.yaml:4 web.config_file: web.yml:2 rate_limit: unknown key 'rate_limit'",
        "config.yaml:9 unknown_key: unknown key 'unknown_key'",
    ]
    assert cli(tmp_path, *FLAGS, "--web.config.file", "web.yml").returncode == 2
