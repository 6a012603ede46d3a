"""The decoding sequences as one batch: who ends when, KV tokens read and blocks needed, without a loop over them."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import NamedTuple, Protocol

from collector.simulator.costs import StepCosts
from collector.simulator.histograms import Histogram
from collector.simulator.requests import LiveRequest
from collector.simulator.stretch import Stretch


class Emitted(NamedTuple):
    """What some decode steps gave: output tokens, KV blocks taken, accepted draft tokens by position."""

    tokens: int
    blocks: int
    accepted: tuple[int, ...] = ()


class DecodeBatch(Protocol):
    """What scheduler and server ask of the decoding sequences. All of them take part in every decode step."""

    size: int
    kv_tokens: int
    """KV tokens that the next step reads."""

    def join(self, live: LiveRequest) -> None:
        """Takes in a request whose prefill has ended and that has output left."""

    def leave(self, live: LiveRequest) -> None:
        """Lets an unfinished request go, with its `outputs`, `computed` and `blocks` brought up to date."""

    def emitted(self, live: LiveRequest) -> int:
        """Tokens that a sequence of the batch has given since it joined."""

    def steps_to_finish(self) -> int:
        """Steps until the next sequence ends; 0 for an empty batch."""

    def blocks_needed(self, steps: int) -> int:
        """KV blocks that the next `steps` steps take."""

    def steps_that_fit(self, free_blocks: int, limit: int) -> int:
        """The most steps, at most `limit`, whose new blocks fit into `free_blocks`."""

    def stretch(self, costs: StepCosts, limit: int) -> Stretch:
        """The next steps, for at least `limit` of them, with the batch as it is."""

    def observe_tokens(self, histogram: Histogram, steps: int) -> None:
        """Observes the output tokens of each of the next `steps` steps."""

    def step(self, steps: int) -> Emitted:
        """Advances all sequences by `steps`, at most `steps_to_finish()`."""

    def pop_finished(self) -> list[LiveRequest]:
        """Lets the sequences go that have ended, brought up to date as by `leave`."""


class FinishQueue:
    """Which sequence ends after how many of the batch's steps; requests that left early are skipped."""

    __slots__ = ("_heap", "_order")

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, LiveRequest]] = []
        self._order = 0

    def push(self, live: LiveRequest) -> None:
        """Notes that `live` ends at step `live.finish_at`."""
        self._order += 1
        heappush(self._heap, (live.finish_at, self._order, live))

    def next_at(self) -> int | None:
        """The step at which the next sequence ends; None when there is none."""
        while self._heap:
            finish_at, _, live = self._heap[0]
            if live.finish_at == finish_at:
                return finish_at
            heappop(self._heap)
        return None

    def pop(self) -> LiveRequest:
        """The sequence that ends next. Raises IndexError when `next_at` is None."""
        return heappop(self._heap)[2]


class SteadyDecode:
    """Decoding with one token per sequence and step: KV tokens grow by the batch size, blocks in a fixed rhythm."""

    def __init__(self, block_size: int) -> None:
        self.size = 0
        self.kv_tokens = 0
        self._block_size = block_size
        self._steps_done = 0
        # A sequence takes a block in every block_size-th step: counted by step number modulo block size.
        self._takers = [0] * block_size
        self._finishes = FinishQueue()

    def _rhythm(self, live: LiveRequest) -> int:
        return (live.decode_start - live.computed) % self._block_size

    def join(self, live: LiveRequest) -> None:
        """Takes in a request whose prefill has ended and that has output left."""
        live.decode_start = self._steps_done
        live.finish_at = self._steps_done + live.stop - live.outputs
        self.size += 1
        self.kv_tokens += live.computed + 1
        self._takers[self._rhythm(live)] += 1
        self._finishes.push(live)

    def leave(self, live: LiveRequest) -> None:
        """Lets an unfinished request go, with its `outputs`, `computed` and `blocks` brought up to date."""
        steps = self._steps_done - live.decode_start
        self._takers[self._rhythm(live)] -= 1
        live.outputs += steps
        live.computed += steps
        live.blocks = -(-live.computed // self._block_size)
        live.finish_at = -1
        self.size -= 1
        self.kv_tokens -= live.computed + 1

    def emitted(self, live: LiveRequest) -> int:
        """Tokens that a sequence of the batch has given since it joined."""
        return self._steps_done - live.decode_start

    def steps_to_finish(self) -> int:
        """Steps until the next sequence ends; 0 for an empty batch."""
        finish_at = self._finishes.next_at()
        return 0 if finish_at is None else finish_at - self._steps_done

    def blocks_needed(self, steps: int) -> int:
        """KV blocks that the next `steps` steps take."""
        if steps == 1:
            return self._takers[self._steps_done % self._block_size]
        rounds, rest = divmod(steps, self._block_size)
        start = self._steps_done % self._block_size
        taken = sum(self._takers[start : start + rest])
        if start + rest > self._block_size:
            taken += sum(self._takers[: start + rest - self._block_size])
        return rounds * self.size + taken

    def steps_that_fit(self, free_blocks: int, limit: int) -> int:
        """The most steps, at most `limit`, whose new blocks fit into `free_blocks`."""
        if self.size * (limit // self._block_size + 1) <= free_blocks:
            return limit
        steps = free_blocks // self.size * self._block_size
        while steps < limit and self.blocks_needed(steps + 1) <= free_blocks:
            steps += 1
        return min(steps, limit)

    def stretch(self, costs: StepCosts, limit: int) -> Stretch:
        """The next steps, with the batch as it is."""
        return costs.stretch(self.size, self.kv_tokens)

    def observe_tokens(self, histogram: Histogram, steps: int) -> None:
        """Observes the output tokens of each of the next `steps` steps."""
        histogram.observe(self.size, steps)

    def step(self, steps: int) -> Emitted:
        """Advances all sequences by `steps`, at most `steps_to_finish()`."""
        blocks = self.blocks_needed(steps)
        tokens = self.size * steps
        self._steps_done += steps
        self.kv_tokens += tokens
        return Emitted(tokens, blocks)

    def pop_finished(self) -> list[LiveRequest]:
        """Lets the sequences go that have ended, brought up to date as by `leave`."""
        finished = []
        while self._finishes.next_at() == self._steps_done:
            live = self._finishes.pop()
            self.leave(live)
            finished.append(live)
        return finished
