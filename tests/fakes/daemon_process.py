"""The real daemon as a process: started, asked over HTTP, stopped by signals."""

from __future__ import annotations

import json
import os
import re
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.error import HTTPError
from urllib.request import urlopen

T = TypeVar("T")
COMMAND = (sys.executable, "-c", "from collector.cli import main; main()")
START_LIMIT_S = 180.0


class DaemonProcess:
    """A running `breakeven`; its standard error goes to a file beside its data."""

    def __init__(self, process: subprocess.Popen[str], url: str, log: Path, answer_limit_s: float = 10.0) -> None:
        self.answer_limit_s = answer_limit_s
        self.process = process
        self.url = url
        self.log = log

    def text(self, path: str) -> str:
        """The body of a page."""
        with urlopen(self.url + path, timeout=self.answer_limit_s) as answer:
            return str(answer.read().decode())

    def json(self, path: str) -> Any:
        """A JSON answer; an error's body counts as one."""
        try:
            return json.loads(self.text(path))
        except HTTPError as error:
            return json.loads(error.read())

    def until(self, what: Callable[[], T | None], limit_s: float = 60.0) -> T:
        """The first result of `what` that is neither None nor False. Raises AssertionError with the log's end."""
        deadline = time.monotonic() + limit_s
        while True:
            result = what()
            if result is not None and result is not False:
                return result
            assert self.process.poll() is None, f"the daemon ended:\n{self.log.read_text()[-3000:]}"
            assert time.monotonic() < deadline, f"not within {limit_s} s:\n{self.log.read_text()[-3000:]}"
            time.sleep(0.2)

    def report(self) -> dict[str, Any] | None:
        """The last report; None before the first."""
        found = self.json("/api/v1/report")
        return None if "error" in found else found

    def stop(self, number: int = signal.SIGTERM, limit_s: float = 10.0) -> int:
        """Send a signal; the exit code. Raises TimeoutExpired when the daemon takes longer than it may."""
        self.process.send_signal(number)
        return self.process.wait(timeout=limit_s)


@contextmanager
def running(
    folder: Path, *arguments: str, environment: dict[str, str] | None = None, under: tuple[str, ...] = ()
) -> Iterator[DaemonProcess]:
    """A daemon in `folder`, killed at the end if it still runs; `under` is a command that becomes it, as `prlimit`."""
    log = folder / f"daemon-{len(list(folder.glob('daemon-*.log')))}.log"
    with log.open("w") as stream:
        process = subprocess.Popen(
            [*under, *COMMAND, *arguments],
            cwd=folder,
            stderr=stream,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **(environment or {})},
        )
    try:
        yield DaemonProcess(process, _address(process, log), log)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def _address(process: subprocess.Popen[str], log: Path) -> str:
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline:
        found = re.search(r"Open (http://\S+?)/ ", log.read_text())
        if found:
            return found.group(1)
        assert process.poll() is None, f"the daemon ended with {process.returncode}:\n{log.read_text()}"
        time.sleep(0.1)
    raise AssertionError(f"the daemon did not start:\n{log.read_text()}")


@contextmanager
def helper(*command: str, under: tuple[str, ...] = ()) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Another process of the test's, once its first line beginning with `ready` came: (process, that line's rest)."""
    process = subprocess.Popen(
        [*under, sys.executable, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    try:
        yield process, _ready(process)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


def _ready(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            assert selector.select(timeout=60), "the helper said nothing"
            line = process.stdout.readline()
            assert line, "the helper ended"
            if line.startswith("ready"):
                return line.removeprefix("ready").strip()
    raise AssertionError("the helper was not ready in time")


def cli(folder: Path, *arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """A command run to its end."""
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "COLUMNS": "160", **(environment or {})},
    )
