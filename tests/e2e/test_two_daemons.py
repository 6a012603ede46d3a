"""Two real daemons on one database, killed and stopped: one analyses, both store, and nothing is there twice."""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from collector.store import Store
from tests.contract.postgres_cluster import required_cluster
from tests.fakes.daemon_files import write_files
from tests.fakes.daemon_process import DaemonProcess, cli, running
from tests.fakes.played_server import PlayedServer, played
from tests.fakes.wire import Wire, wire


@dataclass(frozen=True, slots=True)
class Pair:
    """Two daemons that poll the same server; the second reaches the database over a wire that can be cut."""

    server: PlayedServer
    url: str
    first: DaemonProcess
    second: DaemonProcess
    wire: Wire

    def give_turn_to(self, one: DaemonProcess) -> DaemonProcess:
        """Stop the other until it is this one's turn; the other, which goes on again."""
        other = self.second if one is self.first else self.first
        other.process.send_signal(signal.SIGSTOP)
        one.until(lambda: analyses(one)[0])
        other.process.send_signal(signal.SIGCONT)
        other.until(lambda: analyses(other) == (False, analyses(one)[1]))
        return other


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with ExitStack() as stack:
        cluster = stack.enter_context(required_cluster())
        database = cluster.fresh()
        (server,) = stack.enter_context(played(1))
        cable = stack.enter_context(wire(cluster.socket()))
        daemons = []
        for url in (cluster.url(database), f"postgresql://postgres@127.0.0.1:{cable.port}/{database}"):
            folder = tmp_path_factory.mktemp("daemon")
            write_files(folder, url, server.address)
            daemons.append(stack.enter_context(running(folder, "run", "--config.file", "config.yaml")))
        yield Pair(server, cluster.url(database), *daemons, cable)


def analyses(daemon: DaemonProcess) -> tuple[bool, str]:
    """Whether the daemon says that it analyses, and whom it names."""
    found = re.search(r'^breakeven_analyser\{holder="(.*)"\} (\S+)$', daemon.text("/metrics"), re.MULTILINE)
    assert found is not None
    return float(found[2]) == 1.0, found[1]


def runs(daemon: DaemonProcess) -> float:
    """Reports that it made."""
    found = re.search(r"^breakeven_analysis_runs_total (\S+)$", daemon.text("/metrics"), re.MULTILINE)
    assert found is not None
    return float(found[1])


def shows(daemon: DaemonProcess) -> dict[str, Any]:
    """The report that it shows, once there is one of the server's replica."""
    return daemon.until(lambda: (found := daemon.report()) and found["replicas"] and found)


def verdicts_of(report: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one["scheme"], one["state"]["verdict"]) for each in report["deployments"] for one in each["schemes"]]


def stored_seconds(url: str) -> list[int]:
    with closing(Store.open_to_read(url)) as store:
        return [int(one.at_s) for one in store.reader.samples(0, 4e9)]


@pytest.mark.fault(
    "4", "two daemons on one database", promise="on Postgres both poll and store, and show the same verdicts"
)
def test_the_second_shows_the_report_of_the_one_that_analyses(pair: Pair) -> None:
    one = pair.second
    one.until(lambda: pair.first.json("/api/v1/health")["analyser"] == one.json("/api/v1/health")["analyser"])
    one, other = (pair.first, pair.second) if analyses(pair.first)[0] else (pair.second, pair.first)
    other.until(lambda: other.json("/api/v1/health")["store"]["up"])
    made, shown = shows(one), shows(other)
    assert analyses(one)[0]
    assert analyses(other) == (False, analyses(one)[1])
    assert f"{analyses(one)[1]} makes the reports shown here" in other.json("/api/v1/health")["notices"]
    assert (runs(other), runs(one) > 0) == (0, True)
    assert verdicts_of(shown) == verdicts_of(made)
    assert "breakeven_verdict{" in other.text("/metrics")
    assert other.json("/api/v1/overview")["deployments"][0]["report"]["name"] == "played"


@pytest.mark.fault(
    "4",
    "two daemons on one database",
    promise="on Postgres one that was stopped notices, when it goes on, that it no longer analyses",
)
def test_a_daemon_that_was_stopped_comes_back_as_the_second(pair: Pair) -> None:
    first, second = pair.first, pair.second
    pair.give_turn_to(first)
    shows(first)
    first.process.send_signal(signal.SIGSTOP)
    second.until(lambda: analyses(second)[0])
    made = second.until(lambda: runs(second))
    first.process.send_signal(signal.SIGCONT)
    before = runs(first)
    first.until(lambda: analyses(first) == (False, analyses(second)[1]))
    second.until(lambda: runs(second) >= made + 2)
    newest_s = shows(second)["made_at_s"]
    first.until(lambda: shows(first)["made_at_s"] >= newest_s)
    assert runs(first) == before
    assert analyses(second)[0]
    assert "another daemon analyses" in first.log.read_text()


@pytest.mark.fault(
    "4",
    "two daemons on one database",
    promise="on Postgres one that is cut off from the database knows that it no longer analyses, and names nobody",
)
@pytest.mark.fault(
    "4",
    "the network to Postgres is cut",
    promise="nothing comes through: polls go on, samples wait on the spool, and each is stored once",
)
def test_a_daemon_that_is_cut_off_counts_itself_out(pair: Pair) -> None:
    first, second = pair.first, pair.second
    pair.give_turn_to(second)
    pair.wire.cut()
    second.until(lambda: analyses(second) == (False, ""))
    assert [one for one in second.json("/api/v1/health")["notices"] if one.startswith("which daemon makes the reports")]
    first.until(lambda: analyses(first)[0])
    polled = second.json("/api/v1/health")["targets"][0]["attempts"]
    second.until(lambda: second.json("/api/v1/health")["targets"][0]["attempts"] > polled + 3)
    second.until(lambda: second.json("/api/v1/health")["spool"]["waiting"] >= 3)
    assert second.json("/api/v1/health")["targets"][0]["up"] is True
    pair.wire.mend()
    second.until(lambda: analyses(second) == (False, analyses(first)[1]))
    health = second.until(lambda: health_without_backlog(second))
    assert health["spool"]["replayed"] == health["spool"]["spooled"] >= 3
    assert health["samples_dropped"] == 0
    assert analyses(first)[0]
    check_that_each_poll_is_there_once(pair.url)


def health_without_backlog(daemon: DaemonProcess) -> dict[str, Any] | None:
    """Its health, once the database takes what it polls and nothing waits any more."""
    found: dict[str, Any] = daemon.json("/api/v1/health")
    return found if found["store"]["up"] and found["spool"]["waiting"] == 0 else None


def check_that_each_poll_is_there_once(url: str) -> None:
    """No poll is stored twice, and, but for the start, none is missing."""
    seconds = stored_seconds(url)
    assert seconds == sorted(set(seconds)), "a poll is stored twice"
    assert max(after - before for before, after in pairwise(seconds[3:])) <= 3, "a hole is left"


@pytest.mark.fault(
    "4",
    "two daemons on one database",
    promise="on Postgres a killed one is followed, no poll is missing then, and none is there twice",
)
def test_a_killed_daemon_is_followed_and_no_poll_is_lost_or_doubled(pair: Pair) -> None:
    second = pair.second
    first = pair.give_turn_to(second)
    second.stop(signal.SIGKILL)
    made = runs(first)
    first.until(lambda: analyses(first)[0])
    first.until(lambda: runs(first) > made)
    edge = stored_seconds(pair.url)[-1]
    first.until(lambda: stored_seconds(pair.url)[-1] > edge + 3)
    assert first.stop() == 0
    check_that_each_poll_is_there_once(pair.url)


@pytest.mark.fault(
    "4",
    "two daemons on one database",
    promise="a SQLite file is one daemon's, also a stopped one's; `--standby` waits, and follows when it is killed",
)
def test_the_second_on_a_sqlite_file_is_refused_or_waits_its_turn(tmp_path: Path) -> None:
    with played(1) as (server,):
        write_files(tmp_path, f"sqlite:///{tmp_path / 'run.db'}", server.address)
        with running(tmp_path, "run", "--config.file", "config.yaml") as first:
            first.until(lambda: analyses(first)[0])
            shows(first)
            first.process.send_signal(signal.SIGSTOP)
            refused = cli(tmp_path, "run", "--config.file", "config.yaml")
            assert refused.returncode == 1
            assert f"in use by process {first.process.pid}, which is stopped" in refused.stderr
            assert "Traceback" not in refused.stderr

            killer = threading.Thread(target=end_after_its_turn, args=(first, tmp_path))
            killer.start()
            with running(tmp_path, "run", "--config.file", "config.yaml", "--standby") as second:
                killer.join()
                second.until(lambda: analyses(second)[0])
                shows(second)
                assert "waiting for another daemon to end" in second.log.read_text()
                assert second.stop() == 0
    seconds = stored_seconds(str(tmp_path / "run.db"))
    assert seconds == sorted(set(seconds))


def end_after_its_turn(first: DaemonProcess, folder: Path) -> None:
    """While another one waits: let the stopped daemon go on, see that it does, and kill it."""
    waiting = folder / "daemon-1.log"
    first.until(lambda: waiting.exists() and "waiting for another daemon" in waiting.read_text())
    first.process.send_signal(signal.SIGCONT)
    made = runs(first)
    first.until(lambda: runs(first) > made + 1)
    assert "Open http" not in waiting.read_text()
    first.stop(signal.SIGKILL)
