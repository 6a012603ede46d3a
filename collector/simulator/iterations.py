"""The steps of a simulated engine one by one, as far back as a bounded buffer reaches, given out once."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from collector.simulator.listening import PhaseCounters
from collector.simulator.steps import Step
from collector.simulator.stretch import Stretch


@dataclass(frozen=True, slots=True)
class Iteration:
    """One step: its length, the prompts and prompt tokens in it, and its decoding sequences."""

    seconds: float
    prompts: int
    prompt_tokens: int
    sequences: int


@dataclass(frozen=True, slots=True)
class _Steps:
    """A step by itself, or `count` steps of a stretch from its `first` on, which are counted out when they are read."""

    count: int
    batch: int
    step: Step | None = None
    stretch: Stretch | None = None
    first: int = 0

    def iterations(self) -> Iterator[Iteration]:
        if self.step is not None:
            tokens = sum(chunk.tokens for chunk in self.step.chunks)
            yield Iteration(self.step.end_s - self.step.start_s, len(self.step.chunks), tokens, self.batch)
        elif self.stretch is not None:
            before_s = self.stretch.seconds(self.first)
            for number in range(self.first + 1, self.first + self.count + 1):
                after_s = self.stretch.seconds(number)
                yield Iteration(after_s - before_s, 0, 0, self.batch)
                before_s = after_s


class IterationLog(PhaseCounters):
    """Keeps the last `kept` iterations; `read` gives them out and forgets them."""

    def __init__(self, kept: int) -> None:
        super().__init__()
        self._kept = kept
        self._steps: deque[_Steps] = deque()
        self._count = 0

    def stepped(self, step: Step, waiting: int) -> None:
        """A step ended."""
        super().stepped(step, waiting)
        self._add(_Steps(1, step.batch, step=step))

    def decoded(self, stretch: Stretch, steps: int, batch: int) -> None:
        """Several steps without prompt tokens ended."""
        super().decoded(stretch, steps, batch)
        self._add(_Steps(steps, batch, stretch=stretch))

    def _add(self, steps: _Steps) -> None:
        self._steps.append(steps)
        self._count += steps.count
        while self._count > self._kept:
            oldest = self._steps.popleft()
            spare = self._count - self._kept
            self._count -= min(spare, oldest.count)
            if oldest.count > spare:
                rest = _Steps(oldest.count - spare, oldest.batch, oldest.step, oldest.stretch, oldest.first + spare)
                self._steps.appendleft(rest)

    def read(self) -> list[Iteration]:
        """The iterations since the last read, oldest first; those that did not fit are lost."""
        found = [one for steps in self._steps for one in steps.iterations()]
        self._steps.clear()
        self._count = 0
        return found
