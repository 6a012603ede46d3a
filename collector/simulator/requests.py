"""One request inside the simulated engine: what it still needs, what it holds, and its own times."""

from __future__ import annotations

from typing import Any

from collector.simulator.traffic import Arrival


class LiveRequest:
    """The engine's mutable state of one request.

    It is prefilled up to `target` tokens (the prompt; after a preemption also what it had generated), of which
    `computed` are in the KV cache, held in `blocks` blocks. `stop` is the output count that ends it. While it decodes,
    `outputs`, `computed` and `blocks` stay as they were at `decode_start`; the decode batch knows the rest.
    """

    __slots__ = (
        "aborts",
        "arrival",
        "blocks",
        "cached",
        "computed",
        "decode_start",
        "finish_at",
        "first_token_s",
        "highest",
        "last_token_s",
        "length_limited",
        "outputs",
        "plan",
        "preemptions",
        "prefix_tokens",
        "queued_s",
        "scheduled_s",
        "stop",
        "target",
        "unreported_preemptions",
    )

    def __init__(self, arrival: Arrival, queued_s: float, prefix_tokens: int, room: int) -> None:
        limit = room if arrival.max_tokens is None else min(room, arrival.max_tokens)
        self.arrival = arrival
        self.queued_s = queued_s
        self.prefix_tokens = prefix_tokens
        """Whole blocks of the prompt that the prefix cache has."""
        self.stop = min(arrival.output_tokens, limit)
        self.length_limited = self.stop == limit
        self.aborts = False
        if arrival.abort_after_tokens is not None and arrival.abort_after_tokens < self.stop:
            self.stop = arrival.abort_after_tokens
            self.aborts = True
        self.target = arrival.prompt_tokens
        self.computed = 0
        self.cached = 0
        """Prompt tokens that were taken from the cache at first admission."""
        self.highest = 0
        """Tokens that were in the KV cache at some time: computing one of them again is waste."""
        self.blocks = 0
        self.outputs = 0
        self.preemptions = 0
        self.unreported_preemptions = 0
        self.scheduled_s: float | None = None
        self.first_token_s: float | None = None
        self.last_token_s = 0.0
        self.decode_start = 0
        self.finish_at = -1
        """The decode batch's step count at which it is finished; -1 while it does not decode."""
        self.plan: Any = None
        """What the speculative decode batch keeps with the request."""
