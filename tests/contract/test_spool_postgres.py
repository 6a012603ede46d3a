"""A real Postgres is stopped for ten minutes of a fleet's samples: all are there then, once, in the order they came."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from analyzer.samples import GpuSample, Identity, ReplicaKey
from collector.health import DaemonHealth, Lost
from collector.jobs.polled import Polled, Roster
from collector.jobs.sink import Sink
from collector.jobs.spool import LOG_BYTES, Spool, polled_again
from collector.jobs.worker import Worker
from collector.store import Store
from tests.contract.postgres_cluster import Cluster
from tests.contract.store_samples import START_S
from tests.fakes.hand_clock import HandClock

REPLICAS = 50
EVERY_S = 15.0
AWAY = 40
"""Polls of each replica while Postgres is away: ten minutes."""
IN_ORDER = """
SELECT min(tick_ms), max(tick_ms) FROM replica_samples GROUP BY xmin::text::bigint ORDER BY xmin::text::bigint
"""
"""The ticks of each transaction, in the order of the transactions."""


class Fleet:
    """A sink that writes to Postgres, with a spool beside it, and what a fleet's polls put there."""

    def __init__(self, url: str, folder: Path, max_bytes: int) -> None:
        self.store = Store.open(url, HandClock())
        self.spool = Spool.open(folder / "spool.db", max_bytes, HandClock())
        self.health = DaemonHealth(started_s=START_S, spool=self.spool.health)
        self.worker = Worker("writer")
        self.sink = Sink(self.store, self.worker, Roster(), self.health, HandClock(), self.spool)

    async def poll(self, first: int, count: int) -> None:
        """So many rounds of polls, with a flush after each; every other replica restarts each 25 rounds."""
        for number in range(first, first + count):
            at_s = START_S + number * EVERY_S
            for replica in range(REPLICAS):
                key = ReplicaKey(f"http://replica-{replica}:8000/metrics", "llama")
                start = str(number // 25 * (replica % 2))
                fields = {"steps_total": float(number), "busy_s_total": number / 3}
                polled = Polled(key, "vllm", Identity("vllm"), start, at_s, at_s + replica / 100, EVERY_S, fields)
                self.sink.put(key.target, [polled])
            self.sink.put_gpus([GpuSample("GPU-a", at_s, EVERY_S, "NVIDIA L4", power_w=float(number))])
            await self.sink.flush()

    def close(self) -> None:
        assert self.worker.close(30.0)
        assert self.spool.close(30.0)
        self.store.close()


@contextmanager
def fleet(url: str, folder: Path, max_bytes: int = 512 * 1024 * 1024) -> Iterator[Fleet]:
    opened = Fleet(url, folder, max_bytes)
    try:
        yield opened
    finally:
        opened.close()


def kept(url: str) -> Counter[int]:
    """How many replicas' samples Postgres has of each round."""
    store = Store.open_to_read(url)
    try:
        samples, gpus = store.reader.samples(0, 4e9), store.reader.gpu_samples(0, 4e9)
    finally:
        store.close()
    rounds = Counter(round(one.steps_total) for one in samples if one.steps_total is not None)
    assert [one.power_w for one in gpus] == [float(number) for number in sorted(rounds)]
    for one in samples:
        assert one.steps_total is not None
        assert one.busy_s_total == pytest.approx(one.steps_total / 3, abs=1e-6)
    return rounds


@pytest.mark.fault(
    "4", "the database is away", promise="ten minutes of samples are in Postgres afterwards: each once, in order"
)
def test_ten_minutes_without_postgres_lose_double_and_reorder_nothing(own_postgres: Cluster, tmp_path: Path) -> None:
    name = own_postgres.fresh()
    url = own_postgres.url(name)
    with fleet(url, tmp_path) as one:
        asyncio.run(one.poll(0, 10))
        own_postgres.stop()
        asyncio.run(one.poll(10, AWAY))
        assert one.spool.health.waiting == AWAY * (REPLICAS + 1)
        assert len(one.sink._replicas) == len(one.sink._gpus) == 0
        own_postgres.start()
        asyncio.run(one.poll(10 + AWAY, 10))
        assert one.spool.empty
        assert one.health.samples_written == (AWAY + 20) * (REPLICAS + 1)
        assert one.health.samples_dropped == {}

    assert kept(url) == dict.fromkeys(range(AWAY + 20), REPLICAS)
    spans = own_postgres.run(IN_ORDER, name)
    assert all(before[1] <= after[0] for before, after in pairwise(spans))


@pytest.mark.fault(
    "4", "the database is away", promise="a daemon that ends meanwhile leaves its samples to the next, each once"
)
def test_a_restart_while_postgres_is_away_loses_nothing(own_postgres: Cluster, tmp_path: Path) -> None:
    """The second daemon is killed when Postgres has taken a batch that is still on the spool: the third repeats it."""
    url = own_postgres.url(own_postgres.fresh())
    with fleet(url, tmp_path) as first:
        asyncio.run(first.poll(0, 2))
        own_postgres.stop()
        asyncio.run(first.poll(2, 10))
        own_postgres.start()
    with fleet(url, tmp_path) as second:
        assert second.spool.health.waiting == 10 * (REPLICAS + 1)
        taken = asyncio.run(second.spool.oldest())
        asyncio.run(second.sink._to_database(list(map(polled_again, taken.replicas)), taken.gpus))
    with fleet(url, tmp_path) as third:
        assert third.spool.health.waiting == 10 * (REPLICAS + 1)
        asyncio.run(third.poll(12, 1))
        assert third.spool.empty
        assert third.health.samples_written == REPLICAS + 1

    assert kept(url) == dict.fromkeys(range(13), REPLICAS)


@pytest.mark.fault(
    "4", "the database is away", promise="a full spool drops its oldest samples, which are counted; the rest is whole"
)
def test_beyond_its_bound_the_spool_drops_the_oldest(own_postgres: Cluster, tmp_path: Path) -> None:
    url = own_postgres.url(own_postgres.fresh())
    with fleet(url, tmp_path, LOG_BYTES + 224 * 1024) as one:
        asyncio.run(one.poll(0, 2))
        own_postgres.stop()
        asyncio.run(one.poll(2, 60))
        own_postgres.start()
        asyncio.run(one.poll(62, 1))
        dropped = one.health.samples_dropped[Lost.SPOOL_FULL]
    rounds, left = divmod(dropped, REPLICAS + 1)

    assert 5 < rounds < 55
    assert left == 0
    assert kept(url) == dict.fromkeys([0, 1, *range(2 + rounds, 63)], REPLICAS)
