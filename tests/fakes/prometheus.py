"""A real Prometheus that scrapes our /metrics with our rules, in a folder of its own."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

from tests.fakes.tools import require

RULES = Path(__file__).parents[2] / "deploy" / "prometheus" / "alerts.yml"
CONFIG = """
global: {{scrape_interval: {interval}, evaluation_interval: {interval}}}
rule_files: ["{rules}"]
scrape_configs:
  - job_name: breakeven
    static_configs: [{{targets: {addresses}}}]
alerting:
  alertmanagers: [{{static_configs: [{{targets: {alertmanagers}}}]}}]
"""


class Prometheus:
    """A running server."""

    def __init__(self, url: str) -> None:
        self.url = url

    def json(self, path: str) -> Any:
        """A JSON answer of the API."""
        with urlopen(self.url + path, timeout=30) as answer:
            return json.loads(answer.read())

    def query(self, expression: str) -> list[Any]:
        """The result of an instant query."""
        answer = self.json("/api/v1/query?" + urlencode({"query": expression}))
        return list(answer["data"]["result"])

    def value(self, expression: str) -> float | None:
        """The first value of an instant query; None when it has no result, or the server is not up yet."""
        try:
            found = self.query(expression)
        except (URLError, ConnectionError):
            return None
        return float(found[0]["value"][1]) if found else None


@contextmanager
def prometheus(
    folder: Path, *addresses: str, rules: Path = RULES, interval: str = "2s", alertmanagers: tuple[str, ...] = ()
) -> Iterator[Prometheus]:
    """A Prometheus on a free port of loopback, terminated at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    text = CONFIG.format(
        rules=rules, addresses=json.dumps(addresses), alertmanagers=json.dumps(alertmanagers), interval=interval
    )
    (folder / "prometheus.yml").write_text(text)
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [
                require("prometheus", "prometheus"),
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        server = Prometheus(f"http://127.0.0.1:{port}")
        deadline = time.monotonic() + 60
        while server.value("vector(1)") is None:
            assert process.poll() is None, (folder / "log").read_text()[-2000:]
            assert time.monotonic() < deadline, (folder / "log").read_text()[-2000:]
            time.sleep(0.2)
        yield server
    finally:
        process.terminate()
        process.wait(30)
