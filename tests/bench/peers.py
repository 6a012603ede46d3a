"""The daemon, Prometheus and vmagent as processes that poll the same targets, each from a page server of its own."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from tests.bench.evolving import SNAPSHOTS
from tests.bench.proc import Usage, usage
from tests.fakes.daemon_process import COMMAND
from tests.fakes.nvml_driver import FakeDriver, compiled

SOURCE = Path(__file__).with_name("pageserver.c")
CONFIG = """
global: {{scrape_interval: {interval}, scrape_timeout: {timeout}, evaluation_interval: {evaluation}}}
gpu: {{interval: 15s}}
web: {{listen_address: "127.0.0.1:{port}"}}
storage: {{url: "{database}"}}
scrape_configs:
  - job_name: vllm
    name_filter: {name_filter}
    static_configs: [{{targets: {targets}}}]
"""
PROMETHEUS = """
global: {{scrape_interval: {interval}, scrape_timeout: {timeout}}}
scrape_configs:
  - job_name: vllm
    static_configs: [{{targets: {targets}}}]
"""
KEEP = """
    metric_relabel_configs: [{{source_labels: [__name__], regex: "{names}", action: keep}}]
"""
READY_S = 120.0


@dataclass(frozen=True)
class Peer:
    """A process that polls, and the page server that it polls from."""

    name: str
    process: subprocess.Popen[bytes]
    served_at: str

    def usage(self) -> Usage:
        """What it has used so far."""
        return usage(self.process.pid)

    def scrapes(self) -> tuple[int, int]:
        """How many pages were sent to it so far, and their bytes: counted where they are served."""
        with urlopen(f"http://{self.served_at}/stats", timeout=30) as answer:
            pages, size_bytes = answer.read().split()
        return int(pages), int(size_bytes)


@dataclass(frozen=True)
class Site:
    """What all peers share: the compiled server, its pages, a folder, and how many targets there are how often."""

    server: Path
    pages: Path
    folder: Path
    targets: int
    interval_s: int
    snapshots: int = SNAPSHOTS

    @contextmanager
    def pages_for(self, name: str) -> Iterator[tuple[str, list[str]]]:
        """A page server; the address of its statistics, and those of the targets."""
        port = free_port()
        numbers = (str(port), str(self.targets), str(self.snapshots))
        process = subprocess.Popen([str(self.server), *numbers, str(self.pages)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n", f"the page server of {name} did not start"
        targets = [f"127.1.{number // 250}.{number % 250 + 1}:{port}" for number in range(self.targets)]
        try:
            yield f"127.0.0.1:{port}", targets
        finally:
            ended(process)

    @contextmanager
    def ours(
        self, name: str, *, name_filter: bool, database: str | None = None, gpus: int = 8, evaluation: str = "60s"
    ) -> Iterator[Peer]:
        """The daemon as shipped, with its GPU child on a fake driver."""
        folder = self.folder / name
        folder.mkdir()
        driver = FakeDriver(compiled(folder / "driver"), folder / "control")
        driver.say(f"count {gpus}", *(f"gpu{number}.util {10 * number}" for number in range(gpus)))
        port = free_port()
        with self.pages_for(name) as (served_at, targets):
            text = CONFIG.format(
                **self._times(),
                port=port,
                database=database or f"sqlite:///{folder}/bench.db",
                evaluation=evaluation,
                name_filter="true" if name_filter else "false",
                targets=json.dumps(targets),
            )
            (folder / "config.yaml").write_text(text)
            command = [*COMMAND, "run", "--config.file", "config.yaml"]
            with self._process(name, command, folder, served_at, driver.environment) as peer:
                answers(f"http://127.0.0.1:{port}/metrics", peer)
                yield peer

    @contextmanager
    def prometheus(self, name: str, names: tuple[str, ...] = ()) -> Iterator[Peer]:
        """Debian's Prometheus; with `names` it keeps only those series."""
        folder = self.folder / name
        folder.mkdir()
        port = free_port()
        with self.pages_for(name) as (served_at, targets):
            kept = KEEP.format(names="|".join(names)) if names else ""
            (folder / "prometheus.yml").write_text(
                PROMETHEUS.format(**self._times(), targets=json.dumps(targets)) + kept
            )
            command = [
                str(shutil.which("prometheus")),
                f"--config.file={folder}/prometheus.yml",
                f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address=127.0.0.1:{port}",
            ]
            with self._process(name, command, folder, served_at) as peer:
                answers(f"http://127.0.0.1:{port}/-/ready", peer)
                yield peer

    @contextmanager
    def vmagent(self, name: str) -> Iterator[Peer]:
        """Debian's vmagent, writing to a sink that takes everything and keeps nothing."""
        folder = self.folder / name
        folder.mkdir()
        port = free_port()
        with self.pages_for(name) as (served_at, targets):
            (folder / "scrape.yml").write_text(PROMETHEUS.format(**self._times(), targets=json.dumps(targets)))
            command = [
                str(shutil.which("vmagent")),
                f"-promscrape.config={folder}/scrape.yml",
                f"-remoteWrite.url=http://{served_at}/api/v1/write",
                f"-remoteWrite.tmpDataPath={folder}/data",
                f"-httpListenAddr=127.0.0.1:{port}",
            ]
            with self._process(name, command, folder, served_at) as peer:
                answers(f"http://127.0.0.1:{port}/metrics", peer)
                yield peer

    def _times(self) -> dict[str, str]:
        return {"interval": f"{self.interval_s}s", "timeout": f"{min(10, self.interval_s)}s"}

    @contextmanager
    def _process(
        self, name: str, command: list[str], folder: Path, served_at: str, environment: dict[str, str] | None = None
    ) -> Iterator[Peer]:
        root = str(Path(__file__).parents[2])
        # Of the bench's own settings nothing is handed on: the daemon runs as users run it.
        passed = {key: value for key, value in (environment or os.environ).items() if not key.endswith("_NUM_THREADS")}
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, env={**passed, "PYTHONPATH": root})
        try:
            yield Peer(name, process, served_at)
        finally:
            ended(process)


def site(folder: Path, pages: Path, targets: int, interval_s: int, snapshots: int = SNAPSHOTS) -> Site:
    """A place where peers can run; the page server is compiled there."""
    server = folder / "pageserver"
    options = ["-O2", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([str(shutil.which("gcc")), *options, "-o", str(server), str(SOURCE)], check=True)
    return Site(server, pages, folder, targets, interval_s, snapshots)


def answers(url: str, peer: Peer) -> None:
    """Waits until a URL answers. Raises AssertionError with the end of the log of a peer that died or stays silent."""
    deadline = time.monotonic() + READY_S
    while True:
        assert peer.process.poll() is None, f"{peer.name} ended"
        assert time.monotonic() < deadline, f"{peer.name} does not answer"
        try:
            with urlopen(url, timeout=10):
                return
        except (URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)


def ended(process: subprocess.Popen[bytes]) -> None:
    """Asks a process to end, and sees that it does."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def free_port() -> int:
    """A port of loopback that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
