"""Reads NVML through a child process and keeps that child in order: deadlines, restarts, recycling, an end in time.

A request that outlasts its deadline fails the poll and gets the child a SIGTERM, which it follows with nvmlShutdown
as soon as the driver lets it. SIGKILL comes only a grace later: killing a GPU monitor outright has frozen GPUs
(https://github.com/NVIDIA/dcgm-exporter/issues/84). A child that survives SIGKILL is in the kernel; until it is gone
no other is started, since that one would hang as well.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from collector.clock import Clock
from collector.gpu import remedies
from collector.gpu.process import ChildEndedError, ChildProcess, Ending
from collector.gpu.readings import GpuPoll, GpuState, GpuStatus, gpu_reading
from collector.gpu.roster import Roster

# -P: the working directory is no place to import code from.
CHILD_COMMAND = (sys.executable, "-P", "-m", "collector.gpu.child")


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how much; the defaults suit a poll every few seconds."""

    answer_s: float = 1.0
    """For the answer of a child that answered before."""
    first_answer_s: float = 5.0
    """For the first answer: the start of the process and of NVML."""
    first_answer_last_s: float = 40.0
    """A first answer that did not come in time gets twice the time from then on, up to this: without persistence mode
    a driver starts each GPU anew, which takes seconds for each."""
    grace_s: float = 2.0
    """From one step of ending a child to the next: end of input, SIGTERM, SIGKILL."""
    reap_s: float = 0.5
    """How long a poll waits for a child to be gone."""
    close_s: float = 1.0
    """The same as `grace_s`, while the daemon ends: `close` takes at most three of these."""
    backoff_first_s: float = 1.0
    backoff_last_s: float = 300.0
    """The wait before a new child after a failure doubles from the first to the last."""
    reenumerate_s: float = 30.0
    """First wait before a new child looks for GPUs that are missing; doubles up to `backoff_last_s`."""
    recycle_after_s: float = 6 * 3600.0
    recycle_above_bytes: int = 128 * 1024 * 1024
    """A child older or larger than this is replaced: driver libraries leak."""


class NvmlReader:
    """The machine's GPUs, by way of one child process at a time."""

    def __init__(
        self,
        clock: Clock,
        limits: Limits | None = None,
        *,
        expected: Iterable[str] = (),
        gpm: bool = False,
        environment: Mapping[str, str] | None = None,
        command: Sequence[str] = CHILD_COMMAND,
    ) -> None:
        """`expected` are UUIDs seen by earlier runs; `gpm` turns on Hopper's profiling-class counters."""
        self._clock = clock
        self._limits = Limits() if limits is None else limits
        self._roster = Roster(expected)
        self._gpm = gpm
        self._environment = environment
        self._command = command
        self._one_at_a_time = asyncio.Lock()
        self._child: ChildProcess | None = None
        self._started_s = 0.0
        self._told_s = 0.0
        self._started = 0
        self._closed = False
        self._failure: GpuPoll | None = None
        self._first_answer_s = self._limits.first_answer_s
        self._restart = _Backoff(self._limits.backoff_first_s, self._limits.backoff_last_s)
        self._reenumerate = _Backoff(self._limits.reenumerate_s, self._limits.backoff_last_s)

    async def read(self) -> GpuPoll:
        """All GPUs now, within the deadline of an answer and the time to be rid of a former child."""
        async with self._one_at_a_time:
            return await self._read()

    def release(self, uuids: Iterable[str]) -> None:
        """These belong to another source: dcgm-exporters show GPUs of other machines."""
        self._roster.release(uuids)

    async def close(self) -> None:
        """Ends the child within three times `close_s`; one that hangs in the kernel is left behind."""
        self._closed = True
        child, self._child = self._child, None
        if child is None or (child.ending is not Ending.NOT_TOLD and await child.gone_within(self._limits.close_s)):
            return
        while child.ending < Ending.KILLED:
            child.end(Ending(child.ending + 1))
            if await child.gone_within(self._limits.close_s):
                return
        child.abandon()

    async def _read(self) -> GpuPoll:
        if self._child is not None and self._child.ending is not Ending.NOT_TOLD:
            poll = await self._not_gone_yet(self._child)
            if poll is not None:
                return self._timed(poll)
            self._child = None
        if self._child is not None:
            return await self._ask(self._child)
        if self._failure is not None and self._restart.wait_s(self._clock.monotonic_s()) > 0:
            return self._timed(self._failure)
        child = await self._start()
        return self._failed(child) if isinstance(child, GpuStatus) else await self._ask(child)

    async def _start(self) -> ChildProcess | GpuStatus:
        """Starts a child, or says why there is none."""
        if self._closed:
            return remedies.crashed("was closed with its reader")
        try:
            child = await ChildProcess.start(self._command, self._environment)
        except OSError as error:
            return remedies.crashed(f"could not be started: {error}")
        self._started += 1
        self._started_s = self._clock.monotonic_s()
        if self._closed:
            child.abandon()
            return remedies.crashed("was closed with its reader")
        self._child = child
        return child

    async def _ask(self, child: ChildProcess) -> GpuPoll:
        deadline_s = self._limits.answer_s if child.warm else self._first_answer_s
        try:
            answer = await child.ask({"gpm": self._gpm}, deadline_s)
            if "failed" in answer:
                self._end(child, Ending.INPUT_CLOSED)
                return self._failed(remedies.failed(**answer["failed"]))
            poll = self._completed(answer)
        except TimeoutError:
            self._end(child, Ending.TERMINATED)
            if not child.warm:
                self._first_answer_s = min(2 * deadline_s, self._limits.first_answer_last_s)
            return self._failed(remedies.no_answer(deadline_s))
        except ChildEndedError as error:
            self._end(child, Ending.TERMINATED)
            return self._failed(remedies.crashed(str(error)))
        except (KeyError, TypeError, ValueError) as error:
            self._end(child, Ending.TERMINATED)
            return self._failed(remedies.crashed(f"gave an answer of another form: {error}"))
        except asyncio.CancelledError:
            self._end(child, Ending.TERMINATED)
            raise
        if not poll.status.up:
            self._end(child, Ending.INPUT_CLOSED)
            return self._failed_poll(poll)
        self._failure = None
        self._restart.reset()
        if self._is_due_for_recycling(poll):
            self._end(child, Ending.INPUT_CLOSED)
        return poll

    def _completed(self, answer: Mapping[str, Any]) -> GpuPoll:
        """The answer as a poll. Raises KeyError, TypeError or ValueError when it is not one."""
        gpus = answer["gpus"]
        status = GpuStatus(
            GpuState.OK,
            driver_version=answer["driver_version"],
            cuda_version=answer["cuda_version"],
            child_rss_bytes=answer["rss_bytes"],
            children_started=self._started,
        )
        readings = [gpu_reading(facts) for facts in gpus if facts["uuid"] is not None]
        return self._roster.poll(readings, [facts["reason"] for facts in gpus if facts["uuid"] is None], status)

    def _is_due_for_recycling(self, poll: GpuPoll) -> bool:
        """Whether a new child should take the next poll: this one is old, large, or blind to a GPU."""
        now_s = self._clock.monotonic_s()
        rss_bytes = poll.status.child_rss_bytes
        if now_s - self._started_s >= self._limits.recycle_after_s:
            return True
        if rss_bytes is not None and rss_bytes > self._limits.recycle_above_bytes:
            return True
        if all(gpu.reason is None for gpu in poll.gpus):
            self._reenumerate.reset()
            return False
        # NVML lists the GPUs once, when it is initialised.
        overdue = self._reenumerate.running and self._reenumerate.wait_s(now_s) == 0
        if overdue or not self._reenumerate.running:
            self._reenumerate.fail(now_s)
        return overdue

    async def _not_gone_yet(self, child: ChildProcess) -> GpuPoll | None:
        """Sees to a child that was told to end; None when it is gone."""
        if await child.gone_within(self._limits.reap_s):
            return None
        grace_left_s = self._told_s + self._limits.grace_s - self._clock.monotonic_s()
        if grace_left_s <= 0 and child.ending < Ending.KILLED:
            self._end(child, Ending(child.ending + 1))
            if await child.gone_within(self._limits.reap_s):
                return None
        if child.ending is Ending.KILLED:
            return self._roster.down(remedies.stuck(child.process_id))
        if self._failure is None:
            return self._roster.down(remedies.still_ending(child.process_id))
        return self._failure

    def _end(self, child: ChildProcess, ending: Ending) -> None:
        child.end(ending)
        self._told_s = self._clock.monotonic_s()

    def _failed(self, status: GpuStatus) -> GpuPoll:
        return self._failed_poll(self._roster.down(status))

    def _failed_poll(self, poll: GpuPoll) -> GpuPoll:
        self._failure = poll
        self._restart.fail(self._clock.monotonic_s())
        return self._timed(poll)

    def _timed(self, poll: GpuPoll) -> GpuPoll:
        """A failed poll with the time that is left before the next child."""
        stuck = poll.status.state is GpuState.STUCK
        retry_in_s = None if stuck else self._restart.wait_s(self._clock.monotonic_s())
        return replace(poll, status=replace(poll.status, retry_in_s=retry_in_s, children_started=self._started))


class _Backoff:
    """A wait that doubles with each failure in a row."""

    def __init__(self, first_s: float, last_s: float) -> None:
        self._first_s = first_s
        self._last_s = last_s
        self._step_s = first_s
        self._due_s = 0.0
        self.running = False

    def fail(self, now_s: float) -> None:
        self.running = True
        self._due_s = now_s + self._step_s
        self._step_s = min(2 * self._step_s, self._last_s)

    def reset(self) -> None:
        self.running = False
        self._step_s = self._first_s
        self._due_s = 0.0

    def wait_s(self, now_s: float) -> float:
        """Seconds that are left; 0 when it is time."""
        return max(0.0, self._due_s - now_s) if self.running else 0.0
