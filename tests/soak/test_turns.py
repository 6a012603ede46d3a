"""Three daemons on one Postgres, killed, stopped and cut off at random: every report is the one's whose turn it is.

BREAKEVEN_SOAK_TURNS_S is the length in seconds (300), BREAKEVEN_SOAK_SEED the seed of all that befalls them.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from collector.clock import SystemClock
from collector.store import Store
from tests.contract.postgres_cluster import Cluster, running_cluster
from tests.fakes.daemon_files import write_files
from tests.fakes.daemon_process import DaemonProcess, running
from tests.fakes.played_server import played

pytestmark = pytest.mark.soak
LENGTH_S = float(os.environ.get("BREAKEVEN_SOAK_TURNS_S", "300"))
SEED = int(os.environ.get("BREAKEVEN_SOAK_SEED", "20261126"))
NAMES = ("a", "b", "c")
INTERVAL_S = 2
STOPPED_S = (0.5, 4 * INTERVAL_S)
PAUSE_S = (0.2, 3.0)
WATCH = """
CREATE TABLE kept_reports (number serial, made_at_us bigint, writer text, holder text, term int);
CREATE FUNCTION keep_report() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO kept_reports (made_at_us, writer, holder, term)
    SELECT NEW.made_at_us, current_setting('application_name'), holder, term FROM analyser;
  RETURN NEW;
END $$;
CREATE TRIGGER keep_report AFTER INSERT ON reports FOR EACH ROW EXECUTE FUNCTION keep_report();
"""
"""Every report, with the session that wrote it and whose turn it was within the same transaction."""


@dataclass
class Trio:
    """Three daemons by name, the folder of each, and the process numbers of all their lives."""

    cluster: Cluster
    database: str
    stack: ExitStack
    folders: dict[str, Path]
    daemons: dict[str, DaemonProcess] = field(default_factory=dict)
    lives: dict[str, set[int]] = field(default_factory=lambda: {name: set() for name in NAMES})
    blows: Counter[str] = field(default_factory=Counter)

    def start(self, name: str) -> None:
        """Another life of one of them."""
        daemon = self.stack.enter_context(running(self.folders[name], "run", "--config.file", "config.yaml"))
        self.daemons[name] = daemon
        self.lives[name].add(daemon.process.pid)

    def strike(self, dice: random.Random) -> None:
        """One blow to one of them, chosen by chance; the one that analyses is struck more often."""
        name = dice.choice(NAMES)
        holder = self.cluster.run("SELECT holder FROM analyser", self.database)[0][0]
        if holder is not None and dice.random() < 0.5:
            name = next((one for one in NAMES if int(holder.rpartition(":")[2]) in self.lives[one]), name)
        blow = dice.choices(["stop", "kill", "cut", "end"], [6, 3, 3, 1])[0]
        self.blows[blow] += 1
        daemon = self.daemons[name]
        if blow == "stop":
            daemon.process.send_signal(signal.SIGSTOP)
            time.sleep(dice.uniform(*STOPPED_S))
            daemon.process.send_signal(signal.SIGCONT)
        elif blow == "cut":
            cut = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{name}'"
            self.cluster.run(cut, self.database)
        else:
            daemon.stop(signal.SIGKILL if blow == "kill" else signal.SIGTERM)
            self.start(name)


def test_every_report_is_of_the_daemon_whose_turn_it_is(tmp_path: Path) -> None:
    dice = random.Random(SEED)
    with running_cluster() as cluster, played(1) as (server,), ExitStack() as stack:
        database = cluster.fresh()
        url = cluster.url(database)
        Store.open(url, SystemClock()).close()
        cluster.run(WATCH, database)
        trio = Trio(cluster, database, stack, {name: tmp_path / name for name in NAMES})
        for name, folder in trio.folders.items():
            folder.mkdir()
            write_files(folder, f"{url}&application_name={name}", server.address, evaluation_s=INTERVAL_S)
            trio.start(name)
        until_s = time.monotonic() + LENGTH_S
        while time.monotonic() < until_s:
            trio.strike(dice)
            time.sleep(dice.uniform(*PAUSE_S))
        one = trio.daemons["a"]
        one.until(lambda: sum(float(each.json("/api/v1/health")["analyses"]) for each in trio.daemons.values()) == 1)
        kept = cluster.run("SELECT made_at_us, writer, holder, term FROM kept_reports ORDER BY number", database)
        one.until(lambda: len(cluster.run("SELECT 1 FROM kept_reports", database)) > len(kept))
        with closing(Store.open_to_read(url)) as store:
            ticks = [int(sample.at_s) for sample in store.reader.samples(0, 4e9)]
    print(f"\n{len(kept)} reports in {kept[-1][3]} terms under {dict(trio.blows)}; {len(ticks)} samples")
    assert len({writer for _, writer, _, _ in kept}) > 1
    for made_at_us, writer, holder, term in kept:
        assert int(holder.rpartition(":")[2]) in trio.lives[writer], (made_at_us, writer, holder, term)
    assert [term for *_, term in kept] == sorted(term for *_, term in kept)
    assert [made_at_us for made_at_us, *_ in kept] == sorted(made_at_us for made_at_us, *_ in kept)
    assert ticks == sorted(set(ticks)), "a poll is stored twice"
    for name, folder in trio.folders.items():
        assert "Traceback" not in "".join(log.read_text() for log in folder.glob("*.log")), name
