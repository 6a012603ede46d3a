"""The wall clock steps under a running daemon, by libfaketime: polls and reports go on, and no history is deleted."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from analyzer.samples import ReplicaSample
from analyzer.windows import pairwise_totals
from collector.store import Store
from tests.fakes.daemon_process import DaemonProcess, running
from tests.fakes.fake_time import FakeTime
from tests.fakes.played_server import FIRST_STEP, played

CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 2s}}
gpu: {{nvml: "off"}}
web: {{listen_address: "127.0.0.1:0"}}
storage: {{url: "sqlite:///run.db"}}
analysis: {{recent: 1m}}
scrape_configs:
  - job_name: played
    static_configs: [{{targets: ["{address}"]}}]
"""
READ_AGAIN = "the configuration was read again"


def value(daemon: DaemonProcess, name: str) -> float:
    (found,) = re.findall(rf"(?m)^breakeven_{name}(?:\{{[^}}]*\}})? (\S+)$", daemon.text("/metrics"))
    return float(found)


def samples(folder: Path) -> list[ReplicaSample]:
    store = Store.open_to_read(str(folder / "run.db"))
    try:
        return store.reader.samples(0, 4e9)
    finally:
        store.close()


@pytest.mark.fault(
    "3",
    "the wall clock steps back",
    promise="polls and reports go on, the step is counted, no work is made up",
)
@pytest.mark.fault(
    "3",
    "the wall clock steps far forward",
    promise="polls and reports go on, the step is counted, and what was stored before is there when it is set right",
)
def test_steps_of_the_clock_stop_nothing_and_delete_nothing(tmp_path: Path) -> None:
    """An hour back, then three forward, so that all is rolled up and may go when it is old, then ten years, then right.

    Each time the configuration is read anew, which plans all jobs anew, and there are two more reports and three more
    polls.
    """
    clock = FakeTime(tmp_path)
    with played(1) as (server,):
        (tmp_path / "config.yaml").write_text(CONFIG.format(address=server.address))
        with running(tmp_path, "run", "--config.file", "config.yaml", environment=clock.environment) as daemon:
            daemon.until(lambda: daemon.report() is not None and len(samples(tmp_path)) >= 3)
            before = samples(tmp_path)
            for number, text in enumerate(("-1h", "+2h", "+10y", "+0"), 1):
                clock.step(text)
                daemon.until(lambda number=number: value(daemon, "clock_steps_total") == number)
                daemon.process.send_signal(signal.SIGHUP)
                daemon.until(lambda number=number: daemon.log.read_text().count(READ_AGAIN) == number)
                reports, polls = value(daemon, "analysis_runs_total"), value(daemon, "target_polls_total")
                daemon.until(
                    lambda reports=reports, polls=polls: (
                        value(daemon, "analysis_runs_total") >= reports + 2
                        and value(daemon, "target_polls_total") >= polls + 3
                    )
                )
            daemon.until(lambda: [one for one in daemon.report()["replicas"] if one["fresh"]])
            assert "analysis_failures_total{" not in daemon.text("/metrics")
            assert daemon.stop() == 0
        after = samples(tmp_path)
        assert [one for one in before if one not in after] == []
        total = sum(part.deltas["steps_total"] or 0.0 for part in pairwise_totals(after))
        assert 0 < total <= server.steps() - FIRST_STEP
