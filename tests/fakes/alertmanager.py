"""A real Alertmanager on a free port of loopback, in a folder of its own, alone: it looks for no peers."""

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
from urllib.request import urlopen

from tests.fakes.tools import require, require_file

PACKAGE = "prometheus-alertmanager"

CONFIG = """
route: {{receiver: test, group_by: [...], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}}
receivers:
  - name: test
    webhook_configs: [{{url: "{url}", send_resolved: true}}]
"""


class Alertmanager:
    """A running server."""

    def __init__(self, address: str) -> None:
        self.address = address

    def alerts(self) -> list[dict[str, Any]]:
        """The alerts it holds, by its API."""
        with urlopen(f"http://{self.address}/api/v2/alerts", timeout=30) as answer:
            found: list[dict[str, Any]] = json.loads(answer.read())
        return found


@contextmanager
def alertmanager(folder: Path, webhook_url: str) -> Iterator[Alertmanager]:
    """An Alertmanager that passes every alert on to a webhook at once; terminated at the end."""
    tool = require(PACKAGE, PACKAGE)
    require_file("/usr/share/prometheus/alertmanager/default.tmpl", PACKAGE)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    (folder / "alertmanager.yml").write_text(CONFIG.format(url=webhook_url))
    with (folder / "alertmanager.log").open("w") as log:
        process = subprocess.Popen(
            [
                tool,
                f"--config.file={folder / 'alertmanager.yml'}",
                f"--storage.path={folder / 'alertmanager'}",
                f"--web.listen-address={address}",
                "--cluster.listen-address=",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        server = Alertmanager(address)
        deadline = time.monotonic() + 60
        while not _answers(server):
            text = (folder / "alertmanager.log").read_text()[-2000:]
            assert process.poll() is None, text
            assert time.monotonic() < deadline, text
            time.sleep(0.1)
        yield server
    finally:
        process.terminate()
        process.wait(30)


def _answers(server: Alertmanager) -> bool:
    try:
        server.alerts()
    except (URLError, ConnectionError):
        return False
    return True
