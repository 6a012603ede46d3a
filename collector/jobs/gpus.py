"""Reads the GPUs again and again: samples to the sink, health to the state, nothing at all from a GPU that failed."""

from __future__ import annotations

import logging

from collector.clock import Clock
from collector.export.snapshot import State
from collector.gpu.readings import GpuReader, GpuState
from collector.health import Health
from collector.jobs.sink import Sink
from collector.logs import event

_log = logging.getLogger("breakeven.gpu")


class PollGpus:
    """One poll of all GPUs."""

    def __init__(self, reader: GpuReader, sink: Sink, state: State, clock: Clock, interval_s: float) -> None:
        self._reader = reader
        self._sink = sink
        self._state = state
        self._clock = clock
        self._interval_s = interval_s

    async def run(self) -> None:
        """Read once. A failed reading leaves no GPU's figures standing."""
        at_s, started_s = self._clock.wall_s(), self._clock.monotonic_s()
        poll = await self._reader.read()
        health, duration_s = self._state.health, self._clock.monotonic_s() - started_s
        if poll.status.up:
            health.gpu.succeeded(at_s, duration_s)
        else:
            health.gpu.failed(at_s, poll.status.state.value, poll.status.message, duration_s)
            if poll.status.state is not GpuState.ABSENT:
                event(
                    _log,
                    logging.WARNING,
                    "GPUs could not be read",
                    about="gpus",
                    reason=poll.status.state.value,
                    error=poll.status.message,
                    remedy=poll.status.remedy,
                )
        samples = []
        for reading in poll.gpus:
            one = health.gpus.setdefault(reading.uuid, Health())
            sample = reading.sample(at_s, self._interval_s)
            if sample is None:
                one.failed(at_s, str(reading.reason), f"GPU {reading.uuid} gave nothing: {reading.reason}")
            else:
                one.succeeded(at_s, duration_s)
                samples.append(sample)
        self._state.gpus = {sample.uuid: sample for sample in samples}
        self._sink.put_gpus(samples)
