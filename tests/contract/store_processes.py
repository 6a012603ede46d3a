"""What the store's tests run in processes of their own, forked from a server that has imported the store once."""

from __future__ import annotations

import multiprocessing
import threading
from contextlib import closing
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from multiprocessing.synchronize import Barrier
from pathlib import Path

from analyzer.samples import ReplicaKey
from collector.errors import BreakevenError
from collector.store import Store, checked
from collector.store.engine import open_engines
from collector.store.migrate import upgrade
from collector.store.sealing import SEALED_AFTER_S
from tests.contract.standing_clock import StandingClock
from tests.contract.store_samples import START_S, VLLM, sample

BATCH = 20
INTERVAL_S = 1.0


def context() -> ForkServerContext:
    """Starts processes in milliseconds, and without the locks and connections of this one."""
    chosen = multiprocessing.get_context("forkserver")
    chosen.set_forkserver_preload(["tests.contract.store_processes", "alembic.command"])
    return chosen


def upgrade_at_once(url: str, scripts: Path | None, barrier: Barrier, said: Connection) -> None:
    """Upgrade as soon as all are ready; sends the revision before and after, or what was raised."""
    engines = open_engines(url)
    barrier.wait()
    try:
        done = upgrade(engines, StandingClock(), scripts)
        said.send((done.before, done.after, done.copy is not None))
    except BreakevenError as error:
        said.send(repr(error))
    finally:
        engines.close()


def write_until_killed(url: str, first: int, said: Connection) -> None:
    """Append numbered batches for ever, one sample each of `BATCH` replicas, rolling up and sealing now and then.

    The bucket that is being filled is sealed as well, again and again.
    Every sample's `steps_total` is its batch's number. A number is sent once its batch is acknowledged.
    """
    with closing(Store.open(url, StandingClock())) as store:
        keys = [replica(number) for number in range(BATCH)]
        epochs = [store.writer.register(key, VLLM, "1", "vllm", START_S) for key in keys]
        number = first
        while True:
            at_s = START_S + number * INTERVAL_S
            pairs = zip(keys, epochs, strict=True)
            store.writer.append(
                [sample(key, epoch, at_s, INTERVAL_S, steps_total=float(number)) for key, epoch in pairs]
            )
            said.send(number)
            if number % 50 == 49:
                store.roll_up(at_s)
            if number % 50 == 24:
                store.seal(at_s + 2 * SEALED_AFTER_S)
            number += 1


def import_until_killed(url: str, folder: Path, tables: int, said: Connection) -> None:
    """Import an export; after so many tables say so, and stand still for ever."""
    names: list[str] = []

    def hold(table: str, _rows: int) -> None:
        names.append(table)
        if len(names) == tables:
            said.send(names)
            threading.Event().wait()

    with closing(Store.open(url, StandingClock())) as store:
        store.import_from(folder, checked(folder), hold)


def replica(number: int) -> ReplicaKey:
    """The key of a numbered replica."""
    return ReplicaKey(f"http://replica-{number}:8000/metrics", "llama", "0")
