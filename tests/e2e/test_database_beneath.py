"""A database that is not the daemon's own: garbage in its place at the start, a newer schema under a running one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from collector.store.engine import open_engines
from tests.contract.postgres_cluster import required_cluster
from tests.fakes.daemon_files import write_files
from tests.fakes.daemon_process import DaemonProcess, cli, running
from tests.fakes.played_server import played

FLAGS = ("run", "--config.file", "config.yaml")
GARBAGE = b"targets:\n  - http://a:8000\n" * 100
NEWER = "9042"
ROWS = text("SELECT count(*) FROM replica_samples")


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database, once for SQLite and once for Postgres."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'run.db'}"
        return
    with required_cluster() as cluster:
        yield cluster.url(cluster.fresh())


def written(daemon: DaemonProcess) -> int:
    return int(daemon.json("/api/v1/health")["samples_written"])


@pytest.mark.fault(
    "4",
    "a corrupt, empty or foreign file",
    promise="the daemon goes on with a fresh one, and its log, its notices and /metrics say so",
)
def test_garbage_in_the_database_s_place_is_said_and_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "run.db").write_bytes(GARBAGE)
    with played(1) as (server,):
        write_files(tmp_path, f"sqlite:///{tmp_path / 'run.db'}", server.address)
        with running(tmp_path, *FLAGS) as daemon:
            (aside,) = tmp_path.glob("run.db.corrupt-*")
            assert aside.read_bytes() == GARBAGE
            assert f"moved_to={aside}" in daemon.log.read_text()
            notices = daemon.json("/api/v1/health")["notices"]
            assert f"the database was unusable and was moved to {aside}" in notices
            assert "breakeven_store_recovered_total 1.0" in daemon.text("/metrics").splitlines()
            daemon.until(lambda: written(daemon) >= 2)
            assert daemon.stop() == 0


@pytest.mark.fault(
    "4",
    "an older or a newer schema",
    promise="a daemon under which a newer release raises it polls on and writes no more; its next start is refused",
)
def test_a_running_daemon_does_not_write_under_a_newer_schema(url: str, tmp_path: Path) -> None:
    """Raised by another connection on either database, as an upgrade beside the daemon does."""
    with played(1) as (server,):
        write_files(tmp_path, url, server.address)
        with running(tmp_path, *FLAGS) as daemon:
            daemon.until(lambda: written(daemon) >= 2 and daemon.report())
            with closing(open_engines(url)) as engines:
                with engines.migrating.begin() as connection:
                    connection.execute(text(f"UPDATE alembic_version SET version_num = '{NEWER}'"))
                stored = engines.read(lambda connection: connection.execute(ROWS).scalar())
                polled = server.pages
                daemon.until(lambda: server.pages >= polled + 8)
                daemon.until(lambda: 'breakeven_store_up{reason="schema_too_new"} 0' in daemon.text("/metrics"))
                health = daemon.json("/api/v1/health")
                assert health["targets"][0]["up"] is True
                assert f"is at revision {NEWER}" in health["store"]["message"]
                assert daemon.text("/-/ready").startswith("Breakeven is ready")
                assert "breakeven_target_up{" in daemon.text("/metrics")
                assert engines.read(lambda connection: connection.execute(ROWS).scalar()) == stored
            assert daemon.stop() == 0
        refused = cli(tmp_path, *FLAGS)
    assert refused.returncode == 1
    assert f"is at revision {NEWER}" in refused.stderr
    assert "Traceback" not in refused.stderr + daemon.log.read_text()
