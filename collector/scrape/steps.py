"""Steps that an engine tells one by one -> counters: how many, how long with prompt tokens, how long without."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

STEP_INPUTS = (
    *("told_steps", "told_sequence_steps", "told_prompt_tokens"),
    *("told_prefill_s", "told_prefill_marginal_s", "told_decode_s"),
)
"""The inputs that `StepSums.values` gives to an engine's `derive`."""
READABLE = "told_readable"
"""An input too: 1 where the steps could be read, whether or not there were any."""
ANY_RANK = ""
"""What is told under this rank is told of every rank."""
_MEMORY_STEPS = 64
"""A batch's mean step follows the context's growth: an older step weighs e times less after so many."""
_KNOWN_STEPS = 8
"""A batch with fewer steps of its own is read off its neighbours, where these have so many."""
_MOST_BATCHES = 4096


@dataclass(frozen=True, slots=True)
class Step:
    """One forward pass: `sequences` decoded beside `prompt_tokens` computed, in `took_s` seconds.

    `index` counts the steps of one life of the engine, from whatever number.
    """

    rank: str
    index: int
    prompt_tokens: int
    sequences: int
    took_s: float


class StepSums:
    """One replica's running sums. Seconds are exact but for the marginal ones, which rest on what a decode costs.

    A step with prompt tokens is exclusive prefill. What its prompt tokens added to it (marginal prefill) is its length
    less the mean length of recent steps that decoded as many sequences and nothing else; of a batch that was not seen
    alone, less what its neighbours say. Single differences may be negative, since steps vary: they are summed first,
    and the counter is held where the sum falls, so that chance does not add up.
    """

    def __init__(self) -> None:
        self._steps = 0
        self._sequence_steps = 0
        self._prompt_tokens = 0
        self._prefill_s = 0.0
        self._decode_s = 0.0
        self._marginal_s = 0.0
        self._shown_marginal_s = 0.0
        self._alone: dict[int, tuple[int, float]] = {}
        self._waiting: dict[int, tuple[int, float]] = {}
        """Steps with prompt tokens, by batch, from before any step without: how many, and their seconds."""

    @property
    def values(self) -> Mapping[str, float]:
        """The sums by `STEP_INPUTS`."""
        return {
            "told_steps": self._steps,
            "told_sequence_steps": self._sequence_steps,
            "told_prompt_tokens": self._prompt_tokens,
            "told_prefill_s": self._prefill_s,
            "told_prefill_marginal_s": self._shown_marginal_s,
            "told_decode_s": self._decode_s,
        }

    def learn(self, steps: Iterable[Step]) -> None:
        """Only remember what decoding costs: of steps that were before our time."""
        for step in steps:
            if step.prompt_tokens == 0 and step.sequences > 0:
                self._remember(step.sequences, step.took_s)

    def add(self, steps: Iterable[Step]) -> None:
        """Count these steps. Those without a token, which only keep ranks in step, are left out."""
        told = [step for step in steps if step.prompt_tokens > 0 or step.sequences > 0]
        self.learn(told)
        for step in told:
            self._steps += 1
            self._sequence_steps += step.sequences
            self._prompt_tokens += step.prompt_tokens
            if step.prompt_tokens == 0:
                self._decode_s += step.took_s
                continue
            self._prefill_s += step.took_s
            count, seconds = self._waiting.get(step.sequences, (0, 0.0))
            self._waiting[step.sequences] = count + 1, seconds + step.took_s
        self._settle()

    def _settle(self) -> None:
        for batch, (count, seconds) in list(self._waiting.items()):
            alone_s = self._alone_s(batch)
            if alone_s is not None:
                self._marginal_s += seconds - count * alone_s
                del self._waiting[batch]
        self._shown_marginal_s = max(self._shown_marginal_s, self._marginal_s)

    def _remember(self, batch: int, took_s: float) -> None:
        count, mean_s = self._alone.get(batch, (0, 0.0))
        if count > 0 or len(self._alone) < _MOST_BATCHES:
            weight = 1 / min(count + 1, _MEMORY_STEPS)
            self._alone[batch] = count + 1, mean_s + (took_s - mean_s) * weight

    def _alone_s(self, batch: int) -> float | None:
        """What a step takes that decodes so many sequences and no prompt; None before any such step."""
        if batch == 0:
            return 0.0
        known = {size: mean_s for size, (count, mean_s) in self._alone.items() if count >= _KNOWN_STEPS}
        known = known or {size: mean_s for size, (_, mean_s) in self._alone.items()}
        if not known or batch in known:
            return known.get(batch)
        sizes = sorted(known)
        place = bisect_left(sizes, batch)
        if place in (0, len(sizes)):
            return known[sizes[min(place, len(sizes) - 1)]]
        below, above = sizes[place - 1], sizes[place]
        share = (batch - below) / (above - below)
        return known[below] + share * (known[above] - known[below])
