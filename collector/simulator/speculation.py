"""Decoding with drafts: each step verifies k draft tokens per sequence and emits the accepted ones plus one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from collector.simulator.costs import StepCosts
from collector.simulator.decoding import Emitted, FinishQueue
from collector.simulator.histograms import Histogram
from collector.simulator.requests import LiveRequest
from collector.simulator.stretch import ArrayStretch, Tokens


@dataclass(frozen=True, slots=True)
class Speculation:
    """Drafts of `draft_tokens` tokens; each is accepted with probability `acceptance` if all before it were."""

    draft_tokens: int
    acceptance: float
    draft_step_s: float = 0.0
    """What drafting adds to every step."""

    def __post_init__(self) -> None:
        if self.draft_tokens < 1 or not 0 <= self.acceptance <= 1 or self.draft_step_s < 0:
            raise ValueError("drafts need at least one token, an acceptance in [0, 1] and a time of at least 0")


_TOKENS, _BLOCKS, _ACCEPTED = 0, 1, 2
"""Rows of a plan: tokens emitted and blocks taken per step, then accepted drafts by position."""
_LOOKAHEAD = 128
"""More steps at once are not worth their arrays."""


class SpeculativeDecode:
    """A decode batch whose sequences' steps are drawn when they join and added up, step by step, over the batch."""

    def __init__(self, speculation: Speculation, block_size: int, rng: np.random.Generator) -> None:
        self.size = 0
        self.kv_tokens = 0
        self._speculation = speculation
        self._block_size = block_size
        self._rng = rng
        self._steps_done = 0
        self._offset = 0
        """The step number of the first column of `_sums`."""
        self._sums = np.zeros((_ACCEPTED + speculation.draft_tokens, 256), dtype=np.int64)
        self._finishes = FinishQueue()

    def _draw(self, live: LiveRequest) -> NDArray[np.int64]:
        """The plan of a sequence's steps to its end (shape: rows, steps)."""
        drafts = self._speculation.draft_tokens
        left = live.stop - live.outputs
        hits = self._rng.random((left, drafts)) < self._speculation.acceptance
        accepted = np.logical_and.accumulate(hits, axis=1)
        emitted = 1 + accepted.sum(axis=1)
        outputs = np.cumsum(emitted)
        steps = int(np.searchsorted(outputs, left)) + 1
        plan = np.zeros((_ACCEPTED + drafts, steps), dtype=np.int64)
        plan[_TOKENS] = emitted[:steps]
        plan[_TOKENS, -1] -= outputs[steps - 1] - left
        # Slots for the token itself and its drafts are taken before a step, and kept when drafts are rejected.
        in_cache = live.computed + 1 + drafts + np.concatenate(([0], np.cumsum(plan[_TOKENS])[:-1]))
        plan[_BLOCKS] = np.diff(-(-in_cache // self._block_size), prepend=live.blocks)
        plan[_ACCEPTED:] = accepted[:steps].T
        return plan

    def _columns(self, steps: int) -> NDArray[np.int64]:
        """A view of the next `steps` steps' sums."""
        start = self._steps_done - self._offset
        if start + steps > self._sums.shape[1]:
            kept = self._sums[:, start:]
            width = max(2 * (kept.shape[1] + steps), 256)
            self._sums = np.zeros((self._sums.shape[0], width), dtype=np.int64)
            self._sums[:, : kept.shape[1]] = kept
            self._offset, start = self._steps_done, 0
        return self._sums[:, start : start + steps]

    def join(self, live: LiveRequest) -> None:
        """Takes in a request whose prefill has ended and that has output left."""
        plan = self._draw(live)
        columns = self._columns(plan.shape[1])
        columns += plan
        live.plan = plan
        live.decode_start = self._steps_done
        live.finish_at = self._steps_done + plan.shape[1]
        self.size += 1
        self.kv_tokens += live.computed + 1
        self._finishes.push(live)

    def leave(self, live: LiveRequest) -> None:
        """Lets an unfinished request go, with its `outputs`, `computed` and `blocks` brought up to date."""
        steps = self._steps_done - live.decode_start
        plan: NDArray[np.int64] = live.plan
        undone = plan[:, steps:]
        columns = self._columns(undone.shape[1])
        columns -= undone
        tokens = int(plan[_TOKENS, :steps].sum())
        live.outputs += tokens
        live.computed += tokens
        live.blocks += int(plan[_BLOCKS, :steps].sum())
        live.finish_at = -1
        live.plan = None
        self.size -= 1
        self.kv_tokens -= live.computed + 1

    def emitted(self, live: LiveRequest) -> int:
        """Tokens that a sequence of the batch has given since it joined."""
        return int(live.plan[_TOKENS, : self._steps_done - live.decode_start].sum())

    def steps_to_finish(self) -> int:
        """Steps until the next sequence ends; 0 for an empty batch."""
        finish_at = self._finishes.next_at()
        return 0 if finish_at is None else finish_at - self._steps_done

    def blocks_needed(self, steps: int) -> int:
        """KV blocks that the next `steps` steps take."""
        return int(self._columns(steps)[_BLOCKS].sum())

    def steps_that_fit(self, free_blocks: int, limit: int) -> int:
        """The most steps, at most `limit`, whose new blocks fit into `free_blocks`."""
        limit = min(limit, _LOOKAHEAD)
        return int(np.searchsorted(np.cumsum(self._columns(limit)[_BLOCKS]), free_blocks, side="right"))

    def stretch(self, costs: StepCosts, limit: int) -> ArrayStretch:
        """The next `limit` steps with the batch as it is."""
        emitted: Tokens = self._columns(limit)[_TOKENS]
        return costs.array_stretch(self.size, self.kv_tokens + np.concatenate(([0], np.cumsum(emitted)[:-1])))

    def observe_tokens(self, histogram: Histogram, steps: int) -> None:
        """Observes the output tokens of each of the next `steps` steps."""
        histogram.observe_many(self._columns(steps)[_TOKENS].astype(np.float64), 1)

    def step(self, steps: int) -> Emitted:
        """Advances all sequences by `steps`, at most `steps_to_finish()`."""
        done = self._columns(steps).sum(axis=1).tolist()
        self._steps_done += steps
        self.kv_tokens += done[_TOKENS]
        return Emitted(done[_TOKENS], done[_BLOCKS], tuple(done[_ACCEPTED:]))

    def pop_finished(self) -> list[LiveRequest]:
        """Lets the sequences go that have ended, brought up to date as by `leave`."""
        finished = []
        while self._finishes.next_at() == self._steps_done:
            live = self._finishes.pop()
            self.leave(live)
            finished.append(live)
        return finished
