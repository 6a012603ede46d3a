"""The tutorial's commands, in its order, in one shell, against a real process that serves vLLM's page.

Changed are the server's address, our port, and the pace: five seconds of history for five minutes, a poll a second.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
from click import Context

from collector.cli import commands
from tests.fakes.daemon_process import COMMAND, helper

ROOT = Path(__file__).parents[2]
TUTORIAL = (ROOT / "deploy" / "TUTORIAL.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", TUTORIAL, re.DOTALL | re.MULTILINE)
PACE = {
    "127.0.0.1:9877": "127.0.0.1:0",
    "min_history: 5m": "min_history: 5s",
    "\nscrape_configs:\n": "\nglobal: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 2s}\n"
    "scrape_configs:\n",
}
LIMIT_S = 120.0


class Shell:
    """One bash in a folder, which keeps its background jobs; `breakeven` is this checkout's."""

    def __init__(self, folder: Path) -> None:
        (folder / "bin").mkdir()
        command = folder / "bin" / "breakeven"
        command.write_text(f'#!/bin/sh\nexec {shlex.join(COMMAND)} "$@"\n')
        command.chmod(0o755)
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}
        self._stderr = folder / "stderr"
        with self._stderr.open("w") as stderr:
            self._process = subprocess.Popen(
                ["bash"],
                cwd=folder,
                env=environment | {"COLUMNS": "200"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                start_new_session=True,
            )

    def run(self, block: str) -> str:
        """What a block prints. Raises AssertionError where a command of it fails."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        script = "".join(f"{line}\n" for line in block.splitlines())
        self._process.stdin.write(f"{script}echo ended $?\n")
        self._process.stdin.flush()
        told = []
        for line in self._process.stdout:
            if line.startswith("ended "):
                assert line == "ended 0\n", f"{block}\n{''.join(told)}\n{self._stderr.read_text()[-2000:]}"
                return "".join(told)
            told.append(line)
        raise AssertionError(self._stderr.read_text()[-2000:])

    def wait(self, what: Callable[[dict[str, Any]], bool]) -> None:
        """Until the daemon's report is such a one."""
        deadline = time.monotonic() + LIMIT_S
        while True:
            found = re.search(r"Open (http://\S+?)/ ", self._stderr.read_text())
            with contextlib.suppress(URLError, ConnectionError, KeyError):
                if found is not None:
                    with urlopen(f"{found.group(1)}/api/v1/report", timeout=10) as answer:
                        if what(json.loads(answer.read())):
                            return
            assert time.monotonic() < deadline, self._stderr.read_text()[-2000:]
            time.sleep(0.5)

    def end(self) -> None:
        """Nothing of it runs on."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    made = Shell(tmp_path)
    try:
        yield made
    finally:
        made.end()


def test_every_command_of_the_tutorial_works_and_shows_what_it_says(shell: Shell, tmp_path: Path) -> None:
    with helper("-m", "tests.fakes.simulated_vllm", "0", "1") as (_, url):
        address = urlsplit(url).netloc
        texts = [block.replace("127.0.0.1:8000", address) for block in BLOCKS]
        for slow, fast in PACE.items():
            assert sum(slow in text for text in texts) == 1
            texts = [text.replace(slow, fast) for text in texts]
        before, server, config, start, first, verdict, change, end = texts

        assert "Simulated: no server of yours was measured" in shell.run(before)
        assert "vllm:prompt_tokens" in shell.run(server)
        assert (tmp_path / "page.prom").read_text().count("vllm:") > 10
        assert "FAIL" not in shell.run(config)
        shell.run(start)
        shell.wait(lambda report: bool(report["deployments"]))
        assert re.search("^chat: ", shell.run(first), re.MULTILINE)
        shell.wait(lambda report: "no" in {one["state"]["verdict"] for one in report["deployments"][0]["schemes"]})
        told = shell.run(verdict)
        assert "no GPU can be given back: 1 replica(s) with a floor of 1" in told
        assert "decode batch" in told
        assert "Verdicts, as it is -> as it would be" in shell.run(change)
        shell.run(end)
        told = (tmp_path / "stderr").read_text()
    assert "Traceback" not in told


def test_every_command_that_the_tutorial_names_is_run_or_explained() -> None:
    """No block of another kind hides a command."""
    assert TUTORIAL.count("```") == 2 * len(BLOCKS)
    assert len(BLOCKS) == 8


HOW = (ROOT / "analyzer" / "HOW_IT_KNOWS.md").read_text(encoding="utf-8")


def test_how_it_knows_states_no_figure_of_its_own() -> None:
    """Figures are the generated pages' alone: no number, no percentage, nothing to grow old."""
    assert re.findall(r"(?<![\w`])\d+(?:\.\d+)?(?: ?%|x\b|\b)", HOW) == []
    links = set(re.findall(r"\]\(([^)#]+)\)", HOW))
    assert links >= {"PHASES.md", "ACCURACY.md", "CAPACITY.md"}
    assert all((ROOT / "analyzer" / link).exists() for link in links)


def test_how_it_knows_names_only_commands_that_exist() -> None:
    for name in re.findall(r"`breakeven ([a-z-]+)", HOW + TUTORIAL):
        assert commands.get_command(Context(commands), name) is not None, name
