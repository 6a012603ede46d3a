"""The benchmark runs and tells every figure; it says nothing of how quick anything must be."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.bench.__main__ import ONE_THREAD, main
from tests.bench.measure import Timing, ratio
from tests.bench.pages import snapshots


def test_a_small_run_tells_every_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ONE_THREAD:
        monkeypatch.setenv(name, "1")
    out = tmp_path / "BENCHMARKS.md"
    main(["--replicas", "3", "--runs", "1", "--out", str(out)])
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
        "one answer",
        "the page whole",
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
