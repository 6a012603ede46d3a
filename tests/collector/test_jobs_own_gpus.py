"""Which GPUs the driver showed, over a restart of the daemon."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.jobs.own_gpus import AGAIN_S, MISSED_S, OwnGpus

NOW_S = 1_800_000_000.0


def test_what_was_shown_within_the_hour_is_expected_by_the_next_run(tmp_path: Path) -> None:
    """GPU-b is shown no more after the first time; it is missed until an hour is over."""
    beside = tmp_path / "x.db"
    first = OwnGpus(beside)
    first.write(["GPU-a", "GPU-b"], NOW_S)
    assert not first.due(["GPU-a"], NOW_S + AGAIN_S - 1)
    assert first.due(["GPU-a"], NOW_S + AGAIN_S)
    first.write(["GPU-a"], NOW_S + AGAIN_S)

    assert OwnGpus(beside).expected(NOW_S + MISSED_S - 1) == {"GPU-a", "GPU-b"}
    assert OwnGpus(beside).expected(NOW_S + MISSED_S) == {"GPU-a"}


def test_a_gpu_that_is_new_or_whose_time_lies_ahead_is_written_down_at_once(tmp_path: Path) -> None:
    own = OwnGpus(tmp_path / "x.db")
    own.write(["GPU-a"], NOW_S)

    assert own.due(["GPU-a", "GPU-b"], NOW_S)
    assert own.due(["GPU-a"], NOW_S - 1)
    assert not own.due([], NOW_S)


@pytest.mark.parametrize("text", ["", "[", "[1]", '{"GPU-a": "x"}', '{"GPU-a": null}'])
def test_a_broken_file_is_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.db.gpus.json").write_text(text)

    assert OwnGpus(tmp_path / "x.db").expected(NOW_S) == set()


def test_without_a_place_nothing_is_kept() -> None:
    own = OwnGpus(None)
    own.write(["GPU-a"], NOW_S)

    assert OwnGpus(None).expected(NOW_S) == set()
