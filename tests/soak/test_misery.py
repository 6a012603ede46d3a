"""An hour of 200 servers in random misery: the daemon stays within its bounds, and keeps what it acknowledged once.

BREAKEVEN_SOAK_S is the length in seconds (3600), BREAKEVEN_SOAK_SEED the seed of all that befalls them.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from analyzer.windows import pairwise_totals
from collector.errors import StoreError
from collector.store import Store
from tests.contract.postgres_cluster import running_cluster
from tests.fakes.daemon_process import DaemonProcess, helper, running
from tests.fakes.fake_time import FakeTime
from tests.fakes.misery_servers import address_of
from tests.fakes.nvml_driver import FakeDriver, compiled
from tests.fakes.played_server import STEPS_PER_S
from tests.soak.misery import SOUND, DatabaseMisery, LockedFile, Misery, SufferingCluster
from tests.soak.watched import Kept, Seen, integrity, kept, look, quarter

pytestmark = pytest.mark.soak
LENGTH_S = float(os.environ.get("BREAKEVEN_SOAK_S", "3600"))
SEED = int(os.environ.get("BREAKEVEN_SOAK_SEED", "20261126"))
SERVERS = 200
KILLED_AFTER = 0.7
"""Of the time, the daemon is killed and started again; what is bounded is bounded until then."""
LOOK_EVERY_S, READ_EVERY_S, TELL_EVERY_S = 2.0, 15.0, 60.0
ANSWER_LIMIT_S = 120.0
"""On a machine that others keep busy an answer takes as long as it takes; it must come."""
RECOVERY_LIMIT_S = 600.0
MOST_RESIDENT_BYTES, MOST_GROWTH_BYTES = 250e6, 25e6
MOST_OF_CHILDREN_BYTES = 250e6
"""A leaking driver's process is replaced above 128 MiB; two readings may lie between."""
MOST_DESCRIPTORS, MOST_THREADS = SERVERS + 80, 24
LATE_S = 6.0
"""A page is of up to `scrape_timeout` after it was asked for, and a clock may be off by 2 s without having been set."""
CONFIG = """
global: {{scrape_interval: 5s, scrape_timeout: 4s, evaluation_interval: 15s}}
gpu: {{interval: 2s}}
web: {{listen_address: "127.0.0.1:0"}}
storage: {{url: "{url}"}}
analysis: {{recent: 1m}}
scrape_configs:
  - job_name: misery
    frozen_after: 10s
    static_configs: [{{targets: {targets}}}]
deployments:
  - name: fleet
    match: {{job: misery}}
    gpu: H100 SXM 80GB
    price: {{usd_per_gpu_hour: 3.0, source: contract, date: 2026-11-01}}
"""


@dataclass
class Soak:
    """What was done and seen so far."""

    url: str
    misery: Misery
    seen: list[Seen] = field(default_factory=list)
    """Until the daemon was killed."""
    acknowledged: set[Any] = field(default_factory=set)
    """Every row that was ever read from the database."""
    written: list[int] = field(default_factory=list)
    """By life of the daemon: samples that it said were written, and those that it said were there already."""
    duplicates: list[int] = field(default_factory=list)
    missed: Counter[str] = field(default_factory=Counter)

    def say(self, text: str) -> None:
        print(f"{self.misery.now_s:7.1f} s  {text}", flush=True)

    def through(self, daemon: DaemonProcess, until_s: float, *, watch: bool) -> None:
        """Misery until a time, with looks at the daemon, at what it says it wrote, and at what is there."""
        daemon.answer_limit_s = ANSWER_LIMIT_S
        self.written.append(0)
        self.duplicates.append(0)
        due = {"look": 0.0, "read": 0.0, "tell": 0.0}
        every_s = {"look": LOOK_EVERY_S, "read": READ_EVERY_S, "tell": TELL_EVERY_S}
        works: dict[str, Callable[[], None]] = {
            "look": lambda: self._look(daemon, keep=watch),
            "read": lambda: self.read(daemon),
            "tell": lambda: self._tell(daemon),
        }
        before_s = self.misery.now_s
        while (now_s := self.misery.now_s) < until_s:
            assert daemon.process.poll() is None, f"the daemon ended:\n{daemon.log.read_text()[-3000:]}"
            for line in self.misery.turn(now_s - before_s):
                self.say(line)
            before_s = now_s
            for name in [name for name, at_s in due.items() if now_s >= at_s]:
                works[name]()
                due[name] = now_s + every_s[name]
            time.sleep(0.5)

    def read(self, daemon: DaemonProcess) -> Kept | None:
        """Note what the daemon says and what its database holds; None while that does not answer."""
        told = daemon.json("/api/v1/health")
        self.written[-1], self.duplicates[-1] = told["samples_written"], told["samples_duplicate"]
        assert told["samples_dropped"] == 0
        try:
            found = kept(self.url)
        except StoreError:
            self.missed["database did not answer"] += 1
            return None
        assert found.count == len(found.rows)
        gone = self.acknowledged - found.rows
        assert not gone, f"{len(gone)} samples that were there are gone: {sorted(gone, key=str)[:5]}"
        assert found.count + found.gpu_readings >= sum(self.written), "fewer samples are there than were acknowledged"
        self.acknowledged |= found.rows
        return found

    def _look(self, daemon: DaemonProcess, *, keep: bool) -> None:
        if keep:
            self.seen.append(look(daemon.process.pid, self.misery.now_s))

    def _tell(self, daemon: DaemonProcess) -> None:
        now = look(daemon.process.pid, self.misery.now_s)
        page = daemon.text("/metrics")
        up = len(re.findall(r"(?m)^breakeven_target_up\{[^}]*\} 1\.0$", page))
        self.say(
            f"{up} of {SERVERS} up, {now.resident_bytes / 1e6:.0f} + {now.children_bytes / 1e6:.0f} MB,"
            f" {now.descriptors} descriptors, {now.threads} threads, {now.cpu_s:.0f} CPU s,"
            f" {sum(self.written)} samples written, {sum(self.duplicates)} there already"
        )


def test_misery_on_sqlite(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    soaked(tmp_path, f"sqlite:///{path}", LockedFile(path))
    assert integrity(path) == "ok"


def test_misery_on_postgres(tmp_path: Path) -> None:
    with running_cluster() as cluster:
        soaked(tmp_path, cluster.url(cluster.fresh()), SufferingCluster(cluster))


def soaked(folder: Path, url: str, database: DatabaseMisery) -> None:
    """Misery for `LENGTH_S`, then health, then a reckoning."""
    driver, clock = FakeDriver(compiled(folder / "driver"), folder / "control"), FakeTime(folder)
    driver.say(*SOUND)
    with helper("-m", "tests.fakes.misery_servers", str(SERVERS)) as (process, port):
        config = CONFIG.format(url=url, targets=json.dumps([f"{address_of(n)}:{port}" for n in range(SERVERS)]))
        (folder / "config.yaml").write_text(config)
        environment = {**driver.environment, **clock.environment}
        run = ("run", "--config.file", "config.yaml")
        with running(folder, *run, environment=environment) as daemon:
            misery = Misery(lambda what: order(process, what), SERVERS, database, driver, clock, SEED)
            soak = Soak(url, misery)
            soak.say(f"seed {SEED}, {LENGTH_S:.0f} s, {url.partition(':')[0]}")
            soak.through(daemon, KILLED_AFTER * LENGTH_S, watch=True)
            soak.say("the daemon is killed")
            daemon.stop(signal.SIGKILL)
            misery.spare_database()
        with running(folder, *run, environment=environment) as daemon:
            soak.through(daemon, LENGTH_S, watch=False)
            misery.heal()
            soak.say("all is well again")
            well: set[str] = set()
            daemon.until(lambda: well.update(fresh(daemon)) or len(well) == SERVERS, RECOVERY_LIMIT_S)
            daemon.until(lambda: daemon.json("/api/v1/health")["gpu_source"]["reason"] is None, RECOVERY_LIMIT_S)
            soak.read(daemon)
            assert daemon.stop() == 0
        (ended,) = re.findall(r"samples_written=(\d+)", daemon.log.read_text().splitlines()[-1])
        soak.written[-1] = int(ended)
        order(process, ["ledger"])
        assert process.stdout is not None
        ledger = json.loads(process.stdout.readline())
    reckon(soak, ledger, port, [*folder.glob("daemon-*.log")])


def order(process: subprocess.Popen[str], what: list[object]) -> None:
    """Tell the servers."""
    assert process.stdin is not None
    process.stdin.write(json.dumps(what) + "\n")
    process.stdin.flush()


def fresh(daemon: DaemonProcess) -> set[str]:
    """The servers with live figures in the last report."""
    report = daemon.report()
    return {one["replica"]["target"] for one in report["replicas"] if one["fresh"]} if report else set()


def reckon(soak: Soak, ledger: list[tuple[int, int, float]], port: str, logs: list[Path]) -> None:
    """What is there at the end, beside what the servers answered and what the daemon acknowledged."""
    found = kept(soak.url)
    early, late = quarter(soak.seen, 1), quarter(soak.seen, 3)
    grown = median(one.resident_bytes for one in late) - median(one.resident_bytes for one in early)
    print(
        f"fell: {dict(sorted(soak.misery.fallen.items()))}\nmissed: {dict(soak.missed)}\n"
        f"pages answered in full {sum(one[0] for one in ledger)}, samples kept {found.count},"
        f" GPU readings kept {found.gpu_readings}, acknowledged {sum(soak.written)},"
        f" there already {sum(soak.duplicates)}\n"
        f"memory {median(one.resident_bytes for one in early) / 1e6:.0f} MB in the second quarter,"
        f" {median(one.resident_bytes for one in late) / 1e6:.0f} MB in the last,"
        f" most {max(one.resident_bytes for one in soak.seen) / 1e6:.0f} MB,"
        f" its children's {max(one.children_bytes for one in soak.seen) / 1e6:.0f} MB;"
        f" most {max(one.descriptors for one in soak.seen)} descriptors,"
        f" {max(one.threads for one in soak.seen)} threads",
        flush=True,
    )
    assert soak.acknowledged <= found.rows, "a sample that was there is gone"
    assert found.count + found.gpu_readings >= sum(soak.written), "fewer samples are there than were acknowledged"
    pages = Counter((row.target, row.page) for row in found.rows)
    assert found.count == len(pages), "a page is there twice"
    last = {f"http://{address_of(number)}:{port}/metrics": one[1] for number, one in enumerate(ledger)}
    assert all(1 <= page <= last[target] for target, page in pages), "a sample is there that no server told"
    assert max(one.resident_bytes for one in soak.seen) <= MOST_RESIDENT_BYTES
    assert grown <= MOST_GROWTH_BYTES
    assert max(one.children_bytes for one in soak.seen) <= MOST_OF_CHILDREN_BYTES
    assert max(one.descriptors for one in soak.seen) <= MOST_DESCRIPTORS
    assert max(one.threads for one in soak.seen) <= MOST_THREADS
    assert [log.name for log in logs if "Traceback" in log.read_text()] == []
    counted_at_most_what_was_done(soak.url, {target: ledger[n][2] for n, target in enumerate(last)})


def counted_at_most_what_was_done(url: str, made: dict[str, float]) -> None:
    """No server has more steps in its windows than it made, nor has any window, raw or rolled up, more than it could.

    And not by counting little: of what all servers made, half is in windows.
    """
    store = Store.open_to_read(url)
    try:
        counted: Counter[str] = Counter()
        too_many: list[tuple[str, float, float]] = []
        for replica in store.reader.replicas():
            raw = pairwise_totals(store.reader.samples(0, 4e9, replica.key))
            rolled_up = [totals for _, totals in store.reader.totals(0, 4e9, replica.key)]
            for parts in (raw, rolled_up):
                done = [(part, part.deltas["steps_total"] or 0.0) for part in parts if part.windows > 0]
                too_many += [
                    (replica.key.target, part.start_s, steps)
                    for part, steps in done
                    if steps > STEPS_PER_S * (part.covered_s + LATE_S)
                ]
            counted[replica.key.target] += sum(part.deltas["steps_total"] or 0.0 for part in raw)
    finally:
        store.close()
    print(f"steps made {sum(made.values()):.0f}, counted {sum(counted.values()):.0f}", flush=True)
    assert too_many == []
    assert {target: steps for target, steps in counted.items() if steps > made[target]} == {}
    assert sum(counted.values()) >= 0.5 * sum(made.values())
