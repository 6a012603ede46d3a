"""Which epoch a replica is in, as the writer remembers it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from analyzer.samples import Identity, ReplicaKey
from collector.jobs.epochs import EpochBook
from collector.store import Store
from tests.fakes.hand_clock import HandClock


@pytest.mark.fault("4", "unbounded growth", promise="a server that renames its model with every poll fills no memory")
def test_of_models_without_end_only_so_many_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten names, of which three are remembered; the first is still the same replica, in the same epoch."""
    monkeypatch.setattr("collector.jobs.epochs.MOST", 3)
    with closing(Store.open(str(tmp_path / "x.db"), HandClock())) as store:
        book = EpochBook(store)

        def epoch(number: int) -> int:
            return book.epoch(ReplicaKey("t", f"m-{number}"), Identity("vllm"), "1", "job", 0.0)

        numbers = [epoch(number) for number in range(10)]
        assert len(book._known) == 3
        assert epoch(0) == numbers[0]
    assert len(set(numbers)) == 10
