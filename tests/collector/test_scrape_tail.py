"""A log file that grows, is rotated, truncated, deleted or replaced: each whole line is given once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.scrape.tail import BACKLOG_BYTES, MOST_BYTES, Tail


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "vllm.log"
    path.write_bytes(b"old\n")
    return path


def follow(log: Path) -> Tail:
    """A tail that has looked back already."""
    tail = Tail(log)
    tail.read()
    return tail


def write(log: Path, data: bytes, mode: str = "ab") -> None:
    with log.open(mode) as file:
        file.write(data)


def test_the_first_read_looks_back_and_the_next_gives_what_is_new(log: Path) -> None:
    tail = Tail(log)
    assert tail.read() == [b"old"]
    assert tail.read() == []
    write(log, b"a\nb\n")
    assert tail.read() == [b"a", b"b"]


def test_a_long_file_is_looked_back_at_for_256_kib_from_a_whole_line_on(log: Path) -> None:
    line = b"x" * 999
    log.write_bytes((line + b"\n") * 1000)
    assert Tail(log).read() == [line] * (BACKLOG_BYTES // 1000)


def test_a_line_is_given_once_it_is_whole(log: Path) -> None:
    tail = follow(log)
    write(log, b"begun")
    assert tail.read() == []
    write(log, b" and ended\nnext")
    assert tail.read() == [b"begun and ended"]


def test_a_renamed_file_is_read_to_its_end_before_the_new_one(log: Path) -> None:
    tail = follow(log)
    write(log, b"before\n")
    log.rename(log.with_name("vllm.log.1"))
    log.write_bytes(b"after\n")
    assert tail.read() == [b"before", b"after"]


def test_a_file_that_is_away_for_a_while_loses_nothing(log: Path) -> None:
    tail = follow(log)
    write(log, b"before\n")
    log.rename(log.with_name("vllm.log-20261124"))
    with pytest.raises(FileNotFoundError):
        tail.read()
    log.write_bytes(b"after\n")
    assert tail.read() == [b"before", b"after"]


def test_a_file_that_was_copied_and_truncated_is_read_from_its_start(log: Path) -> None:
    tail = follow(log)
    write(log, b"new\n", "wb")
    assert tail.read() == [b"new"]


def test_a_file_that_was_truncated_and_has_outgrown_our_place_is_known_by_its_bytes(log: Path) -> None:
    tail = follow(log)
    write(log, b"a new beginning, longer than before\n", "wb")
    assert tail.read() == [b"a new beginning, longer than before"]


def test_a_line_without_end_is_passed_over_and_costs_no_memory(log: Path) -> None:
    tail = follow(log)
    write(log, b"x" * (3 * MOST_BYTES))
    assert [tail.read() for _ in range(4)] == [[]] * 4
    write(log, b"its end\nnext\n")
    assert tail.read() == [b"next"]


def test_one_read_takes_4_mib_and_says_how_far_it_is_behind(log: Path) -> None:
    line = b"y" * 1023
    tail = follow(log)
    write(log, (line + b"\n") * 5000)
    assert tail.read() == [line] * 4096
    assert tail.behind_bytes == 904 * 1024
    assert tail.read() == [line] * 904
    assert tail.behind_bytes == 0


def test_a_pipe_or_a_folder_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a regular file"):
        Tail(tmp_path / "pipe").read()
    with pytest.raises(OSError, match=r"directory|regular"):
        Tail(tmp_path).read()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["line", "half", "read", "rename", "truncate"]), max_size=40))
def test_whatever_happens_to_the_file_each_whole_line_is_given_once_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, events: list[str]
) -> None:
    """Renaming and truncating come right after a read or a rename here, so that nothing can be lost in between."""
    log = tmp_path_factory.mktemp("log") / "a.log"
    log.write_bytes(b"")
    tail = follow(log)
    written, got, pending, number, renamed = [], [], b"", 0, 0
    for event in events:
        if event in ("line", "half"):
            number += 1
            text = b"%06d" % number
            write(log, text + (b"\n" if event == "line" else b""))
            pending += text
            if event == "line":
                written.append(pending)
                pending = b""
        elif event == "read":
            got += tail.read()
        elif event == "rename" and not pending:
            got += tail.read()
            renamed += 1
            log.rename(log.with_name(f"a.log.{renamed}"))
            log.write_bytes(b"")
        elif event == "truncate" and not pending:
            got += tail.read()
            write(log, b"", "wb")
    assert got + tail.read() == written
