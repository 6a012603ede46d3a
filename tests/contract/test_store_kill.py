"""A writer killed with SIGKILL at any moment loses no acknowledged batch, doubles none and damages nothing."""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from analyzer.windows import add_up, pairwise_totals
from collector.store import Store
from tests.contract.standing_clock import StandingClock
from tests.contract.store_processes import BATCH, context, replica, write_until_killed
from tests.contract.store_samples import START_S

KILLS = 15


@pytest.mark.fault(
    "4",
    "a kill in the middle of a write",
    promise="on either database no acknowledged batch is lost, none is there twice or in part, sealed or not",
)
def test_fifteen_kills_lose_and_double_nothing(store_url: str, tmp_path: Path) -> None:
    kill_again_and_again(store_url, tmp_path / "breakeven.db", KILLS)


def kill_again_and_again(url: str, path: Path, kills: int) -> None:
    """Kill a writer so often; `path` is the database's file where it is one."""
    dice = random.Random(20261123)
    acknowledged: list[int] = []
    for _ in range(kills):
        acknowledged += killed_after(url, acknowledged, dice.randint(1, 120))
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    with closing(Store.open(url, StandingClock())) as store:
        assert store.set_aside is None
        samples = store.reader.samples(0, 2e9)
        kept = Counter(int(one.steps_total) for one in samples if one.steps_total is not None)
        assert set() == set(acknowledged) - set(kept), "acknowledged batches are missing"
        assert {BATCH} == set(kept.values()), "a batch is there in part or twice"
        assert len(set(kept) - set(acknowledged)) <= kills, "at most the batch in flight at a kill was not acknowledged"
        store.roll_up(START_S + 1e6)
        for number in range(BATCH):
            direct = add_up(pairwise_totals(one for one in samples if one.replica == replica(number)))
            rolled = add_up(totals for _, totals in store.reader.totals(0, 4e9, replica(number)))
            assert direct is not None
            assert rolled is not None
            assert (direct.windows, direct.deltas["steps_total"]) == (rolled.windows, rolled.deltas["steps_total"])
            assert rolled == add_up(totals for _, totals in store.reader.hours(0, 4e9, replica(number)))


def killed_after(url: str, before: list[int], batches: int) -> list[int]:
    """The batches that a fresh writer acknowledged until it was killed, which was after `batches` of them."""
    processes = context()
    ours, theirs = processes.Pipe(duplex=False)
    first = before[-1] + 1 if before else 0
    writer = processes.Process(target=write_until_killed, args=(url, first, theirs))
    writer.start()
    theirs.close()
    said = [ours.recv() for _ in range(batches)]
    writer.kill()
    writer.join()
    with closing(ours):
        try:
            while True:
                said.append(ours.recv())
        except EOFError:
            return said
