"""The benchmark runs and tells every figure; it says nothing of how quick anything must be."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.bench.__main__ import ONE_THREAD, main
from tests.bench.measure import Timing, ratio
from tests.bench.pages import snapshots
from tests.bench.table import Row, document


def test_a_small_run_tells_every_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ONE_THREAD:
        monkeypatch.setenv(name, "1")
    out = tmp_path / "BENCHMARKS.md"
    parts = ["--part", "pages", "--part", "analysis", "--part", "store"]
    main([*parts, "--replicas", "3", "--runs", "1", "--out", str(out)])
    rows = re.findall(r"^\| ([^|]+) \| ([\d.e-]+) \|", out.read_text(), re.MULTILINE)
    told = " ".join(name for name, _ in rows)
    wanted = (
        "steady state",
        "prometheus_client",
        "windows",
        "fit",
        "account",
        "capacity",
        "one bucket",
        "one gzipped answer",
        "the page whole",
        "raw samples of a target and day, every 15 s, all but the last 3 hours sealed, SQLite",
        "latest state of 3 replicas",
        "30 days of one replica from hourly totals, Postgres",
    )
    for figure in wanted:
        assert figure in told
    assert all(float(value) > 0 for _, value in rows)


def test_the_snapshots_are_one_page_whose_counters_grow() -> None:
    first, second = snapshots()[:2]
    assert first != second
    assert [line.rpartition(b" ")[0] for line in first.splitlines()] == [
        line.rpartition(b" ")[0] for line in second.splitlines()
    ]


def test_a_ratio_is_taken_pair_by_pair() -> None:
    """6 over 2 and 8 over 4 are 3 and 2: their median is 2.5, whatever the two medians' ratio is (7 / 3)."""
    assert ratio(Timing((6.0, 8.0)), Timing((2.0, 4.0))).middle_s == 2.5


def test_a_part_measured_anew_leaves_the_others(tmp_path: Path) -> None:
    """A bound that is kept is shown, one that is missed is marked; what was not measured says why."""
    order = ("One", "Two", "Three")
    first = document({"Two": [Row("two", 2.0, "s")], "One": [Row("one", 1.0, "s", 3.0)]}, "then", "", order)
    rows = [Row("other", Timing((5.0, 4.0, 9.0)), "ms", 4.0), Row("peer", "cannot be had", "s", 4.0)]
    again = document({"Two": rows}, "now", first, order)
    assert again.index("## One\n\nthen\n") < again.index("## Two\n\nnow\n")
    assert "| one | 1 |  |  | s | 3 |" in again
    assert "| two |" not in again
    assert "| other | 5 | 4 | 9 | ms | **4: missed** |" in again
    assert "| peer | cannot be had |  |  | s |  |" in again
    assert document({}, "later", again, order) == again
