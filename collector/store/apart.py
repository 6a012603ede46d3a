"""Runs a piece of work in a child process, with whose end goes what the work loaded."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import closing
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import TypeVar

from collector.errors import StoreError

T = TypeVar("T")


def in_a_child(work: Callable[[], T]) -> T:
    """What the work returns; a copy of this process does it, so no connection to a database may be open here.

    Raises what the work raises of `StoreError`, and StoreError when the child ended before it was done.
    """
    # A fresh interpreter would take a second to import what this one has.
    processes = get_context("fork")
    ours, theirs = processes.Pipe(duplex=False)
    child = processes.Process(target=_tell, args=(work, theirs), daemon=True)
    child.start()
    theirs.close()
    with closing(ours):
        try:
            done: T | StoreError = ours.recv()
        except EOFError:
            done = StoreError("the process that makes the schema ended before it was done: start again")
    child.join()
    if isinstance(done, StoreError):
        raise done
    return done


def _tell(work: Callable[[], object], answer: Connection) -> None:
    # What this process was told to do on a signal is the daemon's; a transaction that is cut off changes nothing.
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    try:
        answer.send(work())
    except StoreError as error:
        answer.send(error)
