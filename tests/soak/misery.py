"""What befalls a fleet and its monitor in a soak, drawn by a seed: servers, database, GPU driver, wall clock."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tests.contract.postgres_cluster import Cluster
from tests.fakes.fake_time import FakeTime
from tests.fakes.misery_servers import CHANGES
from tests.fakes.nvml_driver import FakeDriver

GPUS = 8
SOUND = (f"count {GPUS}", *(f"gpu{number}.util {10 * number}" for number in range(GPUS)))
SERVER_EVENTS_PER_S = 1.5
"""Each of 200 servers is struck every two minutes or so."""
MOOD_WEIGHTS = {
    "dead": 3,
    "hung": 2,
    "trickling": 1,
    "cut": 1,
    "error": 1,
    "garbage": 1,
    "empty": 1,
    "freeze": 2,
    "restart": 4,
    "swap": 1,
    "rename": 1,
    "step_back": 1,
}
GPU_FAULTS: Mapping[str, tuple[str, ...]] = {
    "hangs": ("hang nvmlDeviceGetMemoryInfo", "hang nvmlDeviceGetMemoryInfo_v2"),
    "crashes": ("segv nvmlDeviceGetUtilizationRates",),
    "loses a GPU": ("gpu1.state 15",),
    "is of another version": ("segv nvmlDeviceGetUtilizationRates", "fn.nvmlInitWithFlags 18"),
    "leaks": ("leak 400000",),
}
CLOCK_OFFSETS = ("-20m", "-45s", "+0", "+30s", "+15m", "+0", "+6h", "+0")
"""True time comes again and again: what is stored under wrong times then lies on either side."""
SERVERS_LAST_S, DATABASE_LASTS_S, GPU_LASTS_S = (5.0, 40.0), (5.0, 25.0), (8.0, 20.0)
DATABASE_EVERY_S, CLOCK_EVERY_S, GPU_EVERY_S = 60.0, 45.0, 50.0


class DatabaseMisery(Protocol):
    """What can befall a database. Each blow returns how it is undone."""

    blows: Mapping[str, Callable[[], Callable[[], None]]]


class LockedFile:
    """Another process writes into the SQLite file, for longer than the daemon waits."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.blows = {"is locked by another": self._lock}

    def _lock(self) -> Callable[[], None]:
        connection = sqlite3.connect(self._path, timeout=30, isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")

        def undo() -> None:
            connection.execute("ROLLBACK")
            connection.close()

        return undo


class SufferingCluster:
    """Postgres is stopped, crashes, cuts its connections, or its backends stand still."""

    OURS = "SELECT pid FROM pg_stat_activity WHERE application_name = 'breakeven'"

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.blows = {"stops": self._stop, "crashes": self._crash, "cuts": self._cut, "stands still": self._stand}

    def _stop(self) -> Callable[[], None]:
        self._cluster.stop()
        return self._cluster.start

    def _crash(self) -> Callable[[], None]:
        self._cluster.stop(signal.SIGQUIT)
        return self._cluster.start

    def _cut(self) -> Callable[[], None]:
        self._cluster.run(self.OURS.replace("pid", "pg_terminate_backend(pid)", 1))
        return lambda: None

    def _stand(self) -> Callable[[], None]:
        pids = [pid for (pid,) in self._cluster.run(self.OURS)]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)

        def undo() -> None:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

        return undo


@dataclass
class Misery:
    """The blows that have fallen and those that are still to be undone. Times are seconds since the start."""

    order: Callable[[list[object]], None]
    servers: int
    database: DatabaseMisery
    driver: FakeDriver
    clock: FakeTime
    seed: int
    fallen: Counter[str] = field(default_factory=Counter)
    _begun_s: float = field(default_factory=time.monotonic)
    _undo: list[tuple[float, str, Callable[[], None]]] = field(default_factory=list)
    _struck: set[int] = field(default_factory=set)
    _offsets: int = 0
    _next_s: dict[str, float] = field(default_factory=dict)
    _server_due: float = 0.0
    _dice: dict[str, random.Random] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Each has dice of its own: what falls in which order does not depend on when.
        self._dice = {name: random.Random(f"{self.seed} {name}") for name in (*self._every_s, "servers")}
        for name, every_s in self._every_s.items():
            self._next_s[name] = self._dice[name].uniform(0.2, 0.7) * every_s

    @property
    def now_s(self) -> float:
        return time.monotonic() - self._begun_s

    @property
    def _every_s(self) -> dict[str, float]:
        return {"database": DATABASE_EVERY_S, "clock": CLOCK_EVERY_S, "gpus": GPU_EVERY_S}

    def turn(self, last_s: float) -> list[str]:
        """Undo what is due and let fall what the dice say, `last_s` after the turn before; what was done, in words."""
        now_s, said = self.now_s, []
        for one in [one for one in self._undo if one[0] <= now_s]:
            self._undo.remove(one)
            one[2]()
            said += [f"{one[1]}: over"] if one[1] else []
        self._server_due += SERVER_EVENTS_PER_S * last_s
        while self._server_due >= 1:
            self._server_due -= 1
            self._strike_server(now_s)
        for name, every_s in self._every_s.items():
            if now_s >= self._next_s[name]:
                self._next_s[name] = now_s + self._dice[name].uniform(0.5, 1.5) * every_s
                said += {"database": self._strike_database, "clock": self._step, "gpus": self._strike_gpus}[name](now_s)
        return said

    def spare_database(self) -> None:
        """Undo what befell the database: a daemon does not start on one that is away."""
        for one in [one for one in self._undo if one[1].startswith("database")]:
            self._undo.remove(one)
            one[2]()

    def heal(self) -> None:
        """Undo everything, and set the clock right."""
        while self._undo:
            self._undo.pop()[2]()
        for number in range(self.servers):
            self.order([number, "well"])
            self.order([number, "thaw"])
        self.clock.step("+0")

    def _strike_server(self, now_s: float) -> None:
        well = [number for number in range(self.servers) if number not in self._struck]
        if not well:
            return
        dice = self._dice["servers"]
        number = dice.choice(well)
        (what,) = dice.choices([*MOOD_WEIGHTS], [*MOOD_WEIGHTS.values()])
        self.fallen[f"server: {what}"] += 1
        self.order([number, what])
        if what in CHANGES and what != "freeze":
            return
        self._struck.add(number)

        def undo() -> None:
            self._struck.discard(number)
            self.order([number, "thaw" if what == "freeze" else "well"])

        # Not told one by one: there are too many of them.
        self._undo.append((now_s + dice.uniform(*SERVERS_LAST_S), "", undo))

    def _strike_database(self, now_s: float) -> list[str]:
        what = self._dice["database"].choice([*self.database.blows])
        return self._strike("database", "database", what, now_s, DATABASE_LASTS_S, self.database.blows[what]())

    def _strike_gpus(self, now_s: float) -> list[str]:
        what = self._dice["gpus"].choice([*GPU_FAULTS])
        self.driver.say(*SOUND, *GPU_FAULTS[what])
        return self._strike("gpus", "gpu driver", what, now_s, GPU_LASTS_S, lambda: self.driver.say(*SOUND))

    def _strike(
        self, dice: str, whom: str, what: str, now_s: float, lasts_s: tuple[float, float], undo: Callable[[], None]
    ) -> list[str]:
        self.fallen[f"{whom}: {what}"] += 1
        length_s = self._dice[dice].uniform(*lasts_s)
        self._undo.append((now_s + length_s, f"{whom} {what}", undo))
        return [f"{whom} {what} for {length_s:.0f} s"]

    def _step(self, _: float) -> list[str]:
        offset = CLOCK_OFFSETS[self._offsets % len(CLOCK_OFFSETS)]
        self._offsets += 1
        self.clock.step(offset)
        self.fallen["clock: steps"] += 1
        return [f"clock steps to {offset}"]
