"""What a simulated engine tells others of its steps and requests, and the sums that several dialects make of it."""

from __future__ import annotations

from typing import Protocol

from collector.simulator.requests import LiveRequest
from collector.simulator.steps import Step
from collector.simulator.stretch import Stretch
from collector.simulator.traffic import Arrival


class Listener(Protocol):
    """Told of everything in order of time, after the server's own counters have moved."""

    def arrived(self, arrival: Arrival) -> None:
        """A request reached the server, which may refuse it."""

    def stepped(self, step: Step, waiting: int) -> None:
        """A step ended; `waiting` sequences that decode sat it out."""

    def decoded(self, stretch: Stretch, steps: int, batch: int) -> None:
        """The first `steps` steps of `stretch`, all of them decoding the same `batch` sequences, ended."""

    def ended(self, live: LiveRequest, now_s: float) -> None:
        """A request ended, or its client left; told before the step in which it did."""


class PhaseCounters:
    """Sums by phase: a step with any prompt token is a prefill step. Also of requests that ended, aborted or not."""

    def __init__(self) -> None:
        self.prefill_steps = 0
        self.mixed_steps = 0
        """Prefill steps with decoding sequences in them."""
        self.decode_steps = 0
        """Steps without prompt tokens."""
        self.prefill_s = 0.0
        self.decode_s = 0.0
        self.prompt_tokens = 0
        """Computed, chunk by chunk; again after a preemption."""
        self.cached_tokens = 0
        self.admissions = 0
        self.sequence_steps = 0
        """Decoding sequences over all steps."""
        self.slot_steps = 0
        """The same, and one for every prompt with a chunk in a step."""
        self.gaps_s = 0.0
        """Seconds between tokens, summed over decoding sequences, those that sat a step out included."""
        self.arrivals = 0
        self.ended_requests = 0
        self.ended_tokens = 0
        self.ended_decode_s = 0.0
        """From the first token to the end, summed over requests."""
        self.first_token_s = 0.0
        """From arrival to first token, summed over requests that were not aborted."""
        self.last_batch = 0

    def arrived(self, arrival: Arrival) -> None:
        """A request reached the server, which may refuse it."""
        self.arrivals += 1

    def stepped(self, step: Step, waiting: int) -> None:
        """A step ended."""
        seconds = step.end_s - step.start_s
        self.sequence_steps += step.batch
        self.slot_steps += step.batch + len(step.chunks)
        self.gaps_s += seconds * (step.batch + waiting)
        self.last_batch = step.batch
        if not step.chunks:
            self.decode_steps += 1
            self.decode_s += seconds
            return
        self.prefill_steps += 1
        self.mixed_steps += step.batch > 0
        self.prefill_s += seconds
        for chunk in step.chunks:
            self.prompt_tokens += chunk.tokens
            if chunk.admission:
                self.admissions += 1
                self.cached_tokens += chunk.live.cached

    def decoded(self, stretch: Stretch, steps: int, batch: int) -> None:
        """Several steps without prompt tokens ended."""
        seconds = stretch.seconds(steps)
        self.decode_steps += steps
        self.decode_s += seconds
        self.sequence_steps += steps * batch
        self.slot_steps += steps * batch
        self.gaps_s += seconds * batch
        self.last_batch = batch

    def ended(self, live: LiveRequest, now_s: float) -> None:
        """A request ended, or its client left."""
        assert live.first_token_s is not None
        self.ended_requests += 1
        self.ended_tokens += live.outputs
        self.ended_decode_s += now_s - live.first_token_s
        if not live.aborts:
            self.first_token_s += live.first_token_s - live.arrival.at_s
