"""What SGLang 0.5.23 counts of its steps: its scheduler's moments, reports every so many decode steps, extra passes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from collector.simulator.listening import PhaseCounters
from collector.simulator.requests import LiveRequest
from collector.simulator.server import SimulatedServer
from collector.simulator.steps import Step
from collector.simulator.stretch import Stretch

REPORT_STEPS = 40
"""Decode steps between two updates of the gauges (`decode_log_interval`)."""
SNAPSHOT_STEPS = 15
"""Decode steps between two updates of what `/v1/loads` tells."""


@dataclass(frozen=True, slots=True)
class Moments:
    """Sums over the decode steps that were timed, as `/v1/loads` has them, and the prefill figures beside them."""

    steps: int = 0
    batch: int = 0
    microseconds: float = 0.0
    batch_squared: int = 0
    batch_microseconds: float = 0.0
    prefill_tokens: int = 0
    prefill_busy_s: float = 0.0

    def timed(self, steps: int, batch: int, seconds: float) -> Moments:
        """With `steps` more decode steps of one batch."""
        return Moments(
            self.steps + steps,
            self.batch + steps * batch,
            self.microseconds + 1e6 * seconds,
            self.batch_squared + steps * batch * batch,
            self.batch_microseconds + 1e6 * seconds * batch,
            self.prefill_tokens,
            self.prefill_busy_s,
        )


class SglangCounters(PhaseCounters):
    """Adds SGLang's own ways of counting to the sums by phase.

    The overlap scheduler computes a sequence that has just ended once more: one decode token too many per request, and
    one decode pass where it was the last one running.
    """

    def __init__(self, server: SimulatedServer) -> None:
        super().__init__()
        self._server = server
        self.extra_tokens = 0
        self.extra_passes = 0
        self.running = 0
        """The gauges, as of the last report."""
        self.waiting = 0
        self.kv_usage_ratio = 0.0
        self.moments = Moments()
        """As of the last snapshot."""
        self._latest = Moments()
        self._contiguous = False
        """Whether the step before was a decode step: the first of a row is not timed."""

    def stepped(self, step: Step, waiting: int) -> None:
        """A step ended."""
        super().stepped(step, waiting)
        if step.chunks:
            self._latest = replace(self._latest, prefill_tokens=self.prompt_tokens, prefill_busy_s=self.prefill_s)
            self.moments = self._latest
            self._report(waiting)
            self._contiguous = False
        else:
            length_s = step.end_s - step.start_s
            self._row(1, step.batch, lambda steps: steps * length_s)

    def decoded(self, stretch: Stretch, steps: int, batch: int) -> None:
        """Several steps without prompt tokens ended."""
        super().decoded(stretch, steps, batch)
        self._row(steps, batch, stretch.seconds)

    def ended(self, live: LiveRequest, now_s: float) -> None:
        """A request ended, or its client left."""
        super().ended(live, now_s)
        if live.outputs > 1:
            self.extra_tokens += 1

    def _row(self, steps: int, batch: int, seconds: Callable[[int], float]) -> None:
        """Books decode steps; `seconds` is the length of the first so many of them."""
        untimed = 0 if self._contiguous else 1
        untimed_s = seconds(untimed)
        latest = self._latest
        until_snapshot = steps - self.decode_steps % SNAPSHOT_STEPS
        if until_snapshot >= max(1, untimed):
            self.moments = latest.timed(until_snapshot - untimed, batch, seconds(until_snapshot) - untimed_s)
        self._latest = latest.timed(steps - untimed, batch, seconds(steps) - untimed_s)
        self._contiguous = True
        if self.decode_steps % REPORT_STEPS < steps:
            self._report(batch)
        if self._server.counters.running == 0:
            self.extra_passes += 1
            self._contiguous = False
            self._report(0)

    def _report(self, decoding: int) -> None:
        counters = self._server.counters
        self.running, self.waiting, self.kv_usage_ratio = decoding, counters.waiting, counters.kv_usage_ratio
