"""The whole daemon on a real PostgreSQL: samples, reports and verdicts arrive, and the password shows nowhere."""

from __future__ import annotations

from pathlib import Path

from collector.store import Store
from tests.contract.postgres_cluster import GUARDED_PASSWORD, GUARDED_ROLE, Cluster
from tests.fakes.daemon_files import write_files
from tests.fakes.daemon_process import DaemonProcess, cli, helper, running


def test_the_daemon_keeps_its_history_in_postgres(postgres: Cluster, postgres_database: str, tmp_path: Path) -> None:
    url = postgres.url(postgres_database, GUARDED_ROLE, GUARDED_PASSWORD)
    with helper("-m", "tests.fakes.simulated_vllm", "0", "1") as (_, target):
        write_files(tmp_path, url + "\n", target.removeprefix("http://"), job="vllm")
        with running(tmp_path, "run", "--config.file", "config.yaml") as daemon:
            daemon.until(lambda: _written(daemon) >= 8)
            report = daemon.until(daemon.report)
            asked = cli(tmp_path, "doctor", "--config.file", "config.yaml")
            assert f"the daemon {daemon.json('/api/v1/health')['analyser']} analyses" in asked.stdout
            assert daemon.stop() == 0
            shown = daemon.log.read_text()
        told = cli(tmp_path, "report", "--config.file", "config.yaml")
    store = Store.open_to_read(url)
    try:
        samples = store.reader.samples(0, 4e9)
        verdicts = store.reader.verdicts()
    finally:
        store.close()

    assert len(samples) >= 8
    assert len({sample.epoch for sample in samples}) == 1
    assert {name for name, _ in verdicts} == {one["name"] for one in report["deployments"]}
    assert told.returncode == 0, told.stderr
    assert "meta-llama/Llama-3.1-8B-Instruct" in told.stdout
    assert GUARDED_PASSWORD not in shown + told.stdout + told.stderr + asked.stdout + asked.stderr


def _written(daemon: DaemonProcess) -> int:
    return int(daemon.json("/api/v1/health")["samples_written"])
