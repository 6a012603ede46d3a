"""Alerts all the way: a real daemon, a real Prometheus with the shipped rules, a real Alertmanager, a webhook.

Only the durations `for` and `keep_firing_for` of the rules are shortened, to two seconds: promtool's unit tests of the
rules keep to the shipped ones.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from analyzer.report import Report
from analyzer.verdict import Verdict
from collector.clock import SystemClock
from collector.export.alert_rules import shipped_rules
from collector.export.snapshot import State
from collector.health import DaemonHealth
from tests.fakes.alertmanager import Alertmanager, alertmanager
from tests.fakes.daemon_process import running
from tests.fakes.modelled import modelled, modelled_report
from tests.fakes.played_server import PlayedServer, played
from tests.fakes.prometheus import prometheus
from tests.fakes.served_state import served
from tests.fakes.webhook_receiver import Receiver, webhook_receiver

CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 5s}}
gpu: {{nvml: "off"}}
web: {{listen_address: "127.0.0.1:0"}}
storage: {{url: "sqlite:///run.db"}}
scrape_configs:
  - {{job_name: chat, static_configs: [{{targets: ["{chat}"]}}]}}
  - {{job_name: code, static_configs: [{{targets: ["{code}"]}}]}}
"""


def shortened(folder: Path) -> Path:
    """The shipped rules with other durations."""
    text, number = re.subn(
        r"^( +(?:for|keep_firing_for)): \w+$", r"\1: 2s", shipped_rules().read_text(), flags=re.MULTILINE
    )
    assert number > 20
    made = folder / "alerts.yml"
    made.write_text(text)
    return made


def worth_it(report: Report) -> Report:
    """The report of now, with w4a16 worth it."""
    (one,) = report.deployments
    schemes = tuple(
        replace(scheme, state=replace(scheme.state, verdict=Verdict.WORTH_IT)) if scheme.scheme == "w4a16" else scheme
        for scheme in one.schemes
    )
    deployment = replace(one, schemes=schemes, price_as_of_s=time.time())
    return replace(report, made_at_s=time.time(), deployments=(deployment,))


@dataclass
class Chain:
    """All that alerts go through, and the servers that two jobs poll; `page` is a second daemon's /metrics."""

    chat: PlayedServer
    page: State
    alertmanager: Alertmanager
    webhook: Receiver

    def told(self, status: str, **labels: str) -> list[dict[str, Any]]:
        """The alerts with these labels that the webhook was sent with a status."""
        return [
            alert
            for one in self.webhook.received
            for alert in one.body["alerts"]
            if alert["status"] == status and labels.items() <= alert["labels"].items()
        ]

    def held(self, **labels: str) -> list[dict[str, Any]]:
        """The alerts with these labels that Alertmanager holds."""
        return [one for one in self.alertmanager.alerts() if labels.items() <= one["labels"].items()]


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    folder: Path = tmp_path_factory.mktemp("alertmanager")
    now_s = time.time()
    state = State(version="1", health=DaemonHealth(started_s=now_s), ready=True)
    state.health.analysis.succeeded(now_s, 0.1)
    with ExitStack() as stack:
        webhook = stack.enter_context(webhook_receiver())
        manager = stack.enter_context(alertmanager(folder, webhook.url))
        chat, code = stack.enter_context(played(2))
        (folder / "config.yaml").write_text(CONFIG.format(chat=chat.address, code=code.address))
        daemon = stack.enter_context(running(folder, "run", "--config.file", "config.yaml"))
        page = stack.enter_context(served(state, SystemClock()))
        addresses = [url.removeprefix("http://") for url in (daemon.url, page)]
        rules = shortened(folder)
        server = stack.enter_context(
            prometheus(folder, *addresses, rules=rules, interval="1s", alertmanagers=(manager.address,))
        )
        daemon.until(lambda: server.value("sum(breakeven_target_up)") == 2)
        yield Chain(chat, state, manager, webhook)


def test_a_job_that_is_down_arrives_with_its_reason_and_clears_when_it_is_back(chain: Chain) -> None:
    blind = {"alertname": "BreakevenBlind", "reason": "job_down", "exported_job": "chat"}
    chain.chat.go()
    chain.webhook.until(lambda: bool(chain.told("firing", **blind)))
    (held,) = chain.held(**blind)
    chain.chat.come()
    chain.webhook.until(lambda: bool(chain.told("resolved", **blind)))

    assert held["labels"]["severity"] == "warning"
    assert held["annotations"]["summary"] == "Every target of the job chat is down"
    assert "reasons: refused (1)" in held["annotations"]["description"]
    assert held["annotations"]["action"].startswith("Run `breakeven doctor`")
    assert not chain.told("firing", exported_job="code")


def test_a_verdict_arrives_with_its_figures_and_clears_when_it_falls(chain: Chain) -> None:
    worth = {"alertname": "QuantizationWorthIt", "deployment": "chat", "scheme": "w4a16"}
    plain = modelled_report(modelled(), modelled(1))
    chain.page.report = worth_it(plain)
    chain.webhook.until(lambda: bool(chain.told("firing", **worth)))
    (held,) = chain.held(**worth)
    chain.page.report = replace(plain, made_at_s=time.time())
    chain.webhook.until(lambda: bool(chain.told("resolved", **worth)))
    no_longer = {**worth, "alertname": "QuantizationNoLongerWorthIt"}
    chain.webhook.until(lambda: bool(chain.told("firing", **no_longer)))

    assert held["labels"]["severity"] == "info"
    assert re.search(r"Step speed-up \d\.\d\dx, pessimistically \d\.\d\dx", held["annotations"]["description"])
    assert {one["labels"]["scheme"] for one in chain.told("firing", alertname="QuantizationWorthIt")} == {"w4a16"}
