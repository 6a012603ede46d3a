"""The log of an engine that writes a line per step, followed beside its page."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from collector.scrape.steps import ANY_RANK, READABLE, Step, StepSums
from collector.scrape.tail import Tail

ReadStep = Callable[[bytes], Step | None]
"""From a line of the log to the step it tells, None for any other line. Raises ValueError for a spoilt one."""
READ_LIMIT_S = 1.0
_MOST_RANKS = 256
Values = Mapping[str, Mapping[str, float]]


class StepLog:
    """One log file and the sums of its steps, by rank. Not for concurrent use.

    Steps from before the first read only teach what a decode step costs. A rank is known from its first line on.
    `bad_lines` counts lines that should have told a step and did not, `lost_steps` the steps that no line told
    although later ones did.
    """

    def __init__(self, path: Path, read_step: ReadStep, limit_s: float = READ_LIMIT_S) -> None:
        self._path = path
        self._limit_s = limit_s
        self._read_step = read_step
        self._tail = Tail(path)
        self._begun = False
        self._sums: dict[str, StepSums] = {}
        self._next: dict[str, int] = {}
        self._reading: asyncio.Future[str | None] | None = None
        self.bad_lines = 0
        self.lost_steps = 0

    async def read(self) -> tuple[Values, tuple[str, ...]]:
        """The sums up to now by rank, none where the file could not be read; and what is wrong with it.

        A file system that hangs costs `limit_s` of the poll and never more than one thread.
        """
        if self._reading is None:
            self._reading = _in_thread(self._follow)
        await asyncio.wait({self._reading}, timeout=self._limit_s)
        if not self._reading.done():
            return {}, (f"{self._path}: reading the step log hangs",)
        failure = self._reading.result()
        self._reading = None
        if failure is not None:
            return {}, (failure,)
        told = {rank: sums.values for rank, sums in self._sums.items()}
        return {ANY_RANK: {READABLE: 1.0}, **told}, tuple(self._notes())

    def _notes(self) -> list[str]:
        notes = []
        if not self._sums:
            notes.append("no line tells a step; start vLLM with --enable-logging-iteration-details")
        if self.bad_lines:
            notes.append(f"{self.bad_lines} lines of steps could not be read")
        if self.lost_steps:
            notes.append(f"{self.lost_steps} steps are missing from the log")
        if self._tail.behind_bytes:
            notes.append(f"{self._tail.behind_bytes} bytes behind; poll more often")
        return [f"{self._path}: {note}" for note in notes]

    def _follow(self) -> str | None:
        """Runs on a thread; returns why the file could not be read."""
        try:
            lines = self._tail.read()
        except OSError as error:
            return f"{self._path}: the step log cannot be read: {error.strerror or error}"
        told: dict[str, list[Step]] = {}
        last: dict[str, int] = {rank: following - 1 for rank, following in self._next.items()}
        for line in lines:
            try:
                step = self._read_step(line)
            except ValueError:
                self.bad_lines += 1
                continue
            if step is not None and last.get(step.rank) != step.index:  # each of several API servers may log it
                last[step.rank] = step.index
                told.setdefault(step.rank, []).append(step)
        for rank, steps in told.items():
            self._take(rank, steps)
        self._begun = True
        return None

    def _take(self, rank: str, steps: list[Step]) -> None:
        if rank not in self._sums and len(self._sums) >= _MOST_RANKS:
            self.bad_lines += len(steps)
            return
        sums = self._sums.setdefault(rank, StepSums())
        if not self._begun:
            sums.learn(steps)
        else:
            sums.add(steps)
        for step in steps:
            expected = self._next.get(rank)
            if self._begun and expected is not None and step.index > expected:
                self.lost_steps += step.index - expected
            self._next[rank] = step.index + 1


def step_log(path: Path | None, read_step: ReadStep | None) -> StepLog | None:
    """The log, where a file is named and the engine writes steps."""
    return None if path is None or read_step is None else StepLog(path, read_step)


def _in_thread(work: Callable[[], str | None]) -> asyncio.Future[str | None]:
    """The work's result, from a thread that nobody waits for at the end of the process."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[str | None] = loop.create_future()

    def told(result: str | None) -> None:
        if not future.done():
            future.set_result(result)

    def run() -> None:
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - a bug must not leave the poll waiting for ever
            result = f"reading the step log failed: {error!r}"
        with contextlib.suppress(RuntimeError):  # the loop may be closed by now
            loop.call_soon_threadsafe(told, result)

    threading.Thread(target=run, name="step-log", daemon=True).start()
    return future
