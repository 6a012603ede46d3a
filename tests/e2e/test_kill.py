"""kill -9 of the daemon in mid-run: the history is there, nothing is counted twice, nothing is invented."""

from __future__ import annotations

import signal
import sqlite3
import time
from itertools import pairwise
from pathlib import Path

import pytest

from analyzer.samples import ReplicaSample
from analyzer.windows import Refusal, Window, add_up, pairwise_totals, window
from collector.store import Store
from tests.fakes.daemon_process import DaemonProcess, helper, running

CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 2s}}
gpu: {{nvml: "off"}}
web: {{listen_address: "127.0.0.1:0"}}
storage: {{url: "sqlite:///run.db"}}
scrape_configs:
  - job_name: vllm
    static_configs: [{{targets: ["{address}"]}}]
"""


def written(daemon: DaemonProcess) -> int:
    return int(daemon.json("/api/v1/health")["samples_written"])


def samples(folder: Path) -> list[ReplicaSample]:
    store = Store.open_to_read(str(folder / "run.db"))
    try:
        return store.reader.samples(0, 4e9)
    finally:
        store.close()


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[ReplicaSample], list[ReplicaSample]]:
    """Samples stored when the daemon was killed, and those after a second run that was ended in order."""
    folder: Path = tmp_path_factory.mktemp("kill")
    with helper("-m", "tests.fakes.simulated_vllm", "0", "1") as (_, url):
        (folder / "config.yaml").write_text(CONFIG.format(address=url.removeprefix("http://")))
        with running(folder, "run", "--config.file", "config.yaml") as daemon:
            daemon.until(lambda: written(daemon) >= 8)
            assert daemon.stop(signal.SIGKILL) == -signal.SIGKILL
        before = samples(folder)
        time.sleep(3)  # the outage itself: three polls long
        with running(folder, "run", "--config.file", "config.yaml") as daemon:
            daemon.until(lambda: written(daemon) >= 8)
            assert daemon.stop() == 0
    return before, samples(folder)


def test_what_was_stored_before_the_kill_is_still_there(
    history: tuple[list[ReplicaSample], list[ReplicaSample]],
) -> None:
    before, after = history

    assert len(before) >= 7
    assert after[: len(before)] == before
    assert len(after) >= len(before) + 8


def test_the_epoch_goes_on_since_the_server_did(history: tuple[list[ReplicaSample], list[ReplicaSample]]) -> None:
    _, after = history

    assert len({sample.epoch for sample in after}) == 1


def test_no_interval_is_counted_twice(history: tuple[list[ReplicaSample], list[ReplicaSample]]) -> None:
    """Windows follow one another without overlap, and their sum never exceeds what the counter itself rose by."""
    _, after = history
    made = [one for one in (window(first, second) for first, second in pairwise(after)) if isinstance(one, Window)]
    total = add_up(pairwise_totals(after))

    assert all(first.end_s <= second.start_s for first, second in pairwise(made))
    assert total is not None
    counted = total.deltas["generation_tokens_total"]
    first, last = after[0].generation_tokens_total, after[-1].generation_tokens_total
    assert counted is not None
    assert first is not None
    assert last is not None
    assert 0 < counted <= last - first


@pytest.mark.fault(
    "4",
    "a kill in the middle of a write",
    promise="the time that the daemon was away is a gap, never an invented window",
)
def test_the_restart_is_a_gap_not_an_invented_window(
    history: tuple[list[ReplicaSample], list[ReplicaSample]],
) -> None:
    """The daemon was away for more than three of its polls."""
    before, after = history
    across = window(before[-1], after[len(before)])

    assert across is Refusal.GAP


def test_the_database_is_whole(history: tuple[list[ReplicaSample], list[ReplicaSample]], tmp_path: Path) -> None:
    """A killed writer leaves a file that SQLite itself calls sound."""
    with helper("-m", "tests.fakes.simulated_vllm", "0", "1") as (_, url):
        (tmp_path / "config.yaml").write_text(CONFIG.format(address=url.removeprefix("http://")))
        with running(tmp_path, "run", "--config.file", "config.yaml") as daemon:
            daemon.until(lambda: written(daemon) >= 2)
            daemon.stop(signal.SIGKILL)
    connection = sqlite3.connect(tmp_path / "run.db")
    try:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    finally:
        connection.close()
