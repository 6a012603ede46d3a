"""What the next step computes: running requests first, then the queue, within a token budget and the KV cache.

First come, first served as vLLM's V1 scheduler: prompts are chunked into what the budget leaves, so that at most one
running request (the newest) has a part of its prompt left; a request is admitted only if its whole prompt fits into
free KV blocks; when decoding runs out of blocks the newest request is preempted and later computed again from scratch.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from collector.simulator.decoding import DecodeBatch
from collector.simulator.requests import LiveRequest
from collector.simulator.speculation import Speculation


@dataclass(frozen=True, slots=True)
class SchedulerSettings:
    """A server's limits, named as vLLM's options. `kv_capacity_tokens` is rounded down to whole blocks.

    Raises ValueError for limits under which a request could never run.
    """

    kv_capacity_tokens: int
    max_num_seqs: int = 256
    max_num_batched_tokens: int = 8192
    max_model_len: int = 8192
    block_size: int = 16
    prefix_caching: bool = True
    speculation: Speculation | None = None
    mixed_steps: bool = True
    """Whether prompt chunks and decoding sequences share steps; if not, prompts go first and decoding waits.

    The engine counters' gaps between tokens then leave out the steps that a sequence sat out.
    """

    def __post_init__(self) -> None:
        drafts = 0 if self.speculation is None else self.speculation.draft_tokens
        if min(self.max_num_seqs, self.block_size) < 1 or self.max_model_len < 2:
            raise ValueError("max_num_seqs and block_size must be at least 1, max_model_len at least 2")
        if self.max_num_batched_tokens < self.max_num_seqs * (1 + drafts):
            raise ValueError("max_num_batched_tokens must hold a decode step of max_num_seqs sequences")
        if self.kv_blocks * self.block_size < self.max_model_len + drafts:
            raise ValueError("kv_capacity_tokens must hold one request of max_model_len tokens")

    @property
    def kv_blocks(self) -> int:
        """Blocks of the KV cache."""
        return self.kv_capacity_tokens // self.block_size

    @property
    def decode_tokens_per_sequence(self) -> int:
        """Tokens that a decode step computes per sequence."""
        return 1 if self.speculation is None else 1 + self.speculation.draft_tokens


@dataclass(slots=True)
class Chunk:
    """Part of a prompt in one step: `tokens` tokens behind `start` that are in the KV cache already."""

    live: LiveRequest
    start: int
    tokens: int
    admission: bool
    """Whether this is the step in which the request was first scheduled."""


class Scheduler:
    """The queue, the running requests and the KV blocks of one engine."""

    def __init__(self, settings: SchedulerSettings, decoding: DecodeBatch) -> None:
        self.settings = settings
        self.decoding = decoding
        self.waiting: deque[LiveRequest] = deque()
        self.running: dict[LiveRequest, None] = {}
        """In order of admission: the last is the newest."""
        self.used_blocks = 0
        self.preemptions = 0
        self._kv_blocks = settings.kv_blocks
        self._block_size = settings.block_size
        self._tokens_per_sequence = settings.decode_tokens_per_sequence
        self._prefilling: LiveRequest | None = None

    @property
    def has_work(self) -> bool:
        """Whether anything runs or waits."""
        return bool(self.running or self.waiting)

    @property
    def kv_usage_ratio(self) -> float:
        """Share of the KV blocks in use."""
        return self.used_blocks / self._kv_blocks

    @property
    def free_blocks(self) -> int:
        """KV blocks that nobody holds."""
        return self._kv_blocks - self.used_blocks

    def schedule(self, now_s: float) -> tuple[list[Chunk], bool]:
        """Decides the step that starts now: the prompt chunks in it, and whether it cost preemptions.

        All decoding sequences are in the step too, unless phases are kept apart and it has chunks; the blocks they
        need are free afterwards, but not yet taken.
        """
        preempted = False
        chunk_tokens = chunk_blocks = 0
        while True:
            partial = self._prefilling
            budget = self.settings.max_num_batched_tokens
            if self.settings.mixed_steps:
                budget -= self.decoding.size * self._tokens_per_sequence
            needed = self.decoding.blocks_needed(1) if self.decoding.size else 0
            if partial is not None:
                chunk_tokens = min(partial.target - partial.computed, budget)
                chunk_blocks = self._blocks(partial.computed + chunk_tokens) - partial.blocks
                needed += chunk_blocks
            if needed <= self.free_blocks:
                break
            self._preempt_newest(now_s)
            preempted = True
        chunks = []
        if partial is not None and chunk_tokens > 0:
            chunks.append(self._take(partial, chunk_tokens, chunk_blocks, False))
            budget -= chunk_tokens
            needed -= chunk_blocks
        if self.waiting and not preempted:
            self._admit(now_s, budget, needed, chunks)
        return chunks, preempted

    def _admit(self, now_s: float, budget: int, reserved_blocks: int, chunks: list[Chunk]) -> None:
        """Moves requests from the queue into the step while budget, seats and KV blocks last."""
        while self.waiting and budget > 0 and len(self.running) < self.settings.max_num_seqs:
            live = self.waiting[0]
            if self._blocks(live.target) > self.free_blocks - reserved_blocks:
                return
            self.waiting.popleft()
            self.running[live] = None
            first = live.scheduled_s is None
            if first:
                live.scheduled_s = now_s
                live.cached = live.computed = live.highest = live.prefix_tokens
            tokens = min(live.target - live.computed, budget)
            chunks.append(self._take(live, tokens, self._blocks(live.computed + tokens), first))
            budget -= tokens

    def _take(self, live: LiveRequest, tokens: int, blocks: int, admission: bool) -> Chunk:
        chunk = Chunk(live, live.computed, tokens, admission)
        live.computed += tokens
        live.blocks += blocks
        self.used_blocks += blocks
        self._prefilling = live if live.computed < live.target else None
        return chunk

    def _blocks(self, tokens: int) -> int:
        return -(-tokens // self._block_size)

    def _preempt_newest(self, now_s: float) -> None:
        """Takes the newest running request off the GPU; it loses its KV cache, cached prefix included."""
        live, _ = self.running.popitem()
        if live.finish_at >= 0:
            self.decoding.leave(live)
            live.last_token_s = now_s
            live.highest = live.computed
        else:
            self._prefilling = None
        self.used_blocks -= live.blocks
        live.blocks = live.computed = 0
        live.target = live.arrival.prompt_tokens + live.outputs
        live.preemptions += 1
        live.unreported_preemptions += 1
        self.preemptions += 1
        self.waiting.appendleft(live)

    def release(self, live: LiveRequest) -> None:
        """Gives back what a request held that has ended."""
        del self.running[live]
        self.used_blocks -= live.blocks
