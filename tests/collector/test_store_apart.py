"""Work in a child process: its result and its errors come back, and its end is noticed."""

from __future__ import annotations

import os
import signal

import pytest

from collector.errors import SchemaTooNewError, StoreError
from collector.store.apart import in_a_child


def test_the_result_is_another_process_s() -> None:
    assert in_a_child(os.getpid) != os.getpid()


def test_an_error_comes_back_as_what_it_was() -> None:
    def fails() -> None:
        raise SchemaTooNewError("a newer release wrote it")

    with pytest.raises(SchemaTooNewError, match="a newer release wrote it"):
        in_a_child(fails)


def test_a_child_that_is_killed_is_one_clear_line() -> None:
    with pytest.raises(StoreError, match="ended before it was done: start again"):
        in_a_child(lambda: os.kill(os.getpid(), signal.SIGKILL))


def test_the_daemon_s_own_answer_to_a_signal_is_not_the_child_s() -> None:
    """A daemon that ends sends its children SIGTERM: one that went on would hold it up."""
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        with pytest.raises(StoreError, match="ended before"):
            in_a_child(lambda: os.kill(os.getpid(), signal.SIGTERM))
    finally:
        signal.signal(signal.SIGTERM, before)
