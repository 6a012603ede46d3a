"""One step of the simulated engine that is taken by itself: what it computes, what it costs, what it reads."""

from __future__ import annotations

from dataclasses import dataclass

from collector.simulator.costs import StepCosts
from collector.simulator.scheduler import Chunk
from collector.simulator.stretch import Components
from collector.simulator.truth import Tally


@dataclass(slots=True)
class Step:
    """A step from `start_s` to `end_s` with the prompt chunks and the decode batch in it."""

    start_s: float
    end_s: float
    components: Components
    chunks: list[Chunk]
    batch: int
    marginal_prefill_s: float
    bytes_read: float
    flops: float

    def book(self, tally: Tally, share: float = 1.0) -> None:
        """Adds `share` of the step's seconds, bytes and arithmetic to the tally."""
        tally.spend(self.components, share)
        tally.bytes_read += share * self.bytes_read
        tally.flops += share * self.flops
        if self.chunks:
            tally.exclusive_prefill_s += share * self.components.total_s
            tally.marginal_prefill_s += share * self.marginal_prefill_s


def start(costs: StepCosts, at_s: float, chunks: list[Chunk], batch: int, kv_tokens: int) -> Step:
    """The step that starts at `at_s`, with these chunks and `batch` sequences that read `kv_tokens`."""
    tokens = pairs = 0
    for chunk in chunks:
        tokens += chunk.tokens
        pairs += chunk.tokens * chunk.start + chunk.tokens * (chunk.tokens + 1) // 2
    components = costs.split(batch, kv_tokens, tokens, pairs)
    seconds = components.total_s
    per_sequence = costs.decode_tokens_per_sequence
    return Step(
        start_s=at_s,
        end_s=at_s + seconds,
        components=components,
        chunks=chunks,
        batch=batch,
        marginal_prefill_s=seconds - costs.step_s(batch, kv_tokens) if chunks else 0.0,
        bytes_read=costs.bytes_read(1, kv_tokens),
        flops=costs.flops(batch * per_sequence + tokens, kv_tokens * per_sequence + pairs),
    )
