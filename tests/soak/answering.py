"""A server's process from its start until it answers."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen


def wait(name: str, process: subprocess.Popen[bytes], port: int, log: Path, limit_s: float) -> None:
    """Until /health answers. Raises AssertionError, with the log's end, where it ends or takes too long."""
    end_s = time.monotonic() + limit_s
    while time.monotonic() < end_s:
        assert process.poll() is None, f"{name} ended:\n{log.read_text()[-3000:]}"
        try:
            with urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                return
        except (URLError, OSError):
            time.sleep(0.1)
    raise AssertionError(f"{name} did not start:\n{log.read_text()[-3000:]}")
