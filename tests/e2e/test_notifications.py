"""A real daemon on a real server tells a real receiver of its verdict: once, also after it was killed and restarted."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.fakes.daemon_process import DaemonProcess, cli, helper, running
from tests.fakes.tools import require
from tests.fakes.webhook_receiver import Receiver, webhook_receiver

CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}
analysis: {{recent: 5s, min_history: {min_history}, dwell: 1s}}
gpu: {{nvml: "off"}}
web: {{listen_address: "127.0.0.1:0"}}
storage: {{url: "sqlite:///run.db"}}
scrape_configs:
  - {{job_name: chat, static_configs: [{{targets: ["{server}"]}}]}}
deployments:
  - name: chat
    match: {{job: chat}}
    gpu: H100 SXM 80GB
    gpus_per_replica: 1
    model: meta-llama/Llama-3.1-8B-Instruct
    weight_bits: 16
    schemes: [w4a16]
    price: {{usd_per_gpu_hour: 2, source: contract, date: 2026-11-01}}
notifications:
  - {{name: team, kind: slack, url: "{hook}/services/canary"}}
  - {{name: script, kind: webhook, url: "{hook}/script"}}
"""


@pytest.fixture
def server() -> Iterator[str]:
    """The address of a process that serves vLLM's page with the traffic of a day."""
    with helper("-m", "tests.fakes.simulated_vllm", "0", "1") as (_, url):
        yield urlsplit(url).netloc


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with webhook_receiver() as one:
        yield one


def counted(daemon: DaemonProcess, name: str) -> float:
    """A counter's sum over its series."""
    return sum(float(one) for one in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", daemon.text("/metrics"), re.MULTILINE))


def reports_made(daemon: DaemonProcess, number: int) -> None:
    begin = counted(daemon, "breakeven_analysis_runs_total")
    daemon.until(lambda: counted(daemon, "breakeven_analysis_runs_total") >= begin + number)


def test_a_verdict_is_told_once_through_a_reload_a_kill_and_a_restart(
    server: str, hook: Receiver, tmp_path: Path
) -> None:
    """There is none at first, which is no news. Then a shorter history is asked for: the verdict is told to each.

    The reports that it made can be replayed.
    """
    config = tmp_path / "config.yaml"

    def write(min_history: str) -> None:
        config.write_text(CONFIG.format(server=server, hook=hook.url, min_history=min_history))

    write("1d")
    with running(tmp_path, "run", "--config.file", "config.yaml") as daemon:
        daemon.until(lambda: (daemon.report() or {"deployments": []})["deployments"])
        reports_made(daemon, 2)
        assert hook.received == []
        write("5s")
        daemon.process.send_signal(signal.SIGHUP)
        hook.until(lambda: len(hook.received) == 2, 60)
        daemon.until(lambda: counted(daemon, "breakeven_notifications_sent_total") == 2)
        reports_made(daemon, 2)
        health = daemon.json("/api/v1/health")["receivers"]
        assert {name: (one["up"], one["told"], one["waiting"]) for name, one in health.items()} == {
            "team": (True, 1, 0),
            "script": (True, 1, 0),
        }
        daemon.stop(signal.SIGKILL)
        first = daemon.log.read_text()
    with running(tmp_path, "run", "--config.file", "config.yaml") as daemon:
        reports_made(daemon, 3)
        assert daemon.stop() == 0
        second = daemon.log.read_text()

    by_path = {one.path: one.body for one in hook.received}
    assert len(hook.received) == 2
    (change,) = by_path["/script"]["changes"]
    assert (change["scheme"], change["former_verdict"]) == ("w4a16", "insufficient_data")
    assert change["verdict"] in ("no", "evaluate")
    assert change["reason"] is not None
    assert f"because: {change['reason'][:40]}" in by_path["/services/canary"]["text"]
    assert "canary" not in first + second
    require("promtool", "prometheus")
    replayed = json.loads(cli(tmp_path, "alerts", "replay", "--config.file", "config.yaml", "--json").stdout)
    assert (replayed["reports"] > 0, replayed["unread"]) == (True, 0)


def test_a_test_message_is_sent_to_each_receiver_and_each_failure_is_told(hook: Receiver, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG.format(server="h:1", hook=hook.url, min_history="1d"))
    hook.answers = [404]
    told = cli(tmp_path, "alerts", "test", "--config.file", "config.yaml")
    none = tmp_path / "none.yaml"
    none.write_text("{}")
    nobody = cli(tmp_path, "alerts", "test", "--config.file", "none.yaml")

    assert told.returncode == 1
    assert told.stdout.splitlines() == [
        "team: not sent: 127.0.0.1 answers HTTP 404: nothing at this address: correct it, or make a new one in Slack",
        "script: sent",
    ]
    assert [(one.path, one.body.get("kind")) for one in hook.received] == [
        ("/services/canary", None),
        ("/script", "test"),
    ]
    assert (nobody.returncode, nobody.stderr) == (1, "breakeven: none.yaml names no receiver under `notifications`\n")
