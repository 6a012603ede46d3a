"""A slow, literal continuous-batching engine to check the simulator against: a loop over requests, step by step.

It follows the order of vLLM's V1 scheduler line by line (running list, allocation per request, preemption from the
tail, then the queue) and keeps every observation in a list. Draft tokens are accepted all or not at all.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from math import ceil

from collector.simulator.costs import StepCosts
from collector.simulator.scheduler import SchedulerSettings
from collector.simulator.traffic import Arrival


@dataclass(eq=False)
class Req:
    arrival: Arrival
    queued: float
    stop: int
    reason: str
    aborts: bool
    cached_first: int | None = None
    computed: int = 0
    outputs: int = 0
    blocks: int = 0
    scheduled: float | None = None
    first: float | None = None
    last: float = 0.0
    preemptions: int = 0
    untold: int = 0
    caught_up: bool = False
    """All but its newest token are in the KV cache: it decodes."""

    @property
    def tokens(self) -> int:
        return self.arrival.prompt_tokens + self.outputs


@dataclass
class ReferenceEngine:
    costs: StepCosts
    settings: SchedulerSettings
    arrivals: list[Arrival]
    now: float = 0.0
    busy: float = 0.0
    exclusive: float = 0.0
    marginal: float = 0.0
    sums: Counter = field(default_factory=Counter)
    seen: dict[str, list[float]] = field(default_factory=dict)
    waiting: list[Req] = field(default_factory=list)
    running: list[Req] = field(default_factory=list)
    gauges: tuple[int, int, int] = (0, 0, 0)

    def __post_init__(self) -> None:
        self.coming = list(self.arrivals)
        self.drafts = 0 if self.settings.speculation is None else self.settings.speculation.draft_tokens
        self.accepts = self.drafts and round(self.settings.speculation.acceptance)

    def observe(self, name: str, value: float) -> None:
        self.seen.setdefault(name, []).append(value)

    @property
    def free(self) -> int:
        return self.settings.kv_blocks - sum(req.blocks for req in self.running)

    def run(self, until: float) -> None:
        while True:
            while self.coming and self.coming[0].at_s <= self.now:
                self.enqueue(self.coming.pop(0))
            if not self.waiting and not self.running:
                if not self.coming or self.coming[0].at_s > until:
                    return
                self.now = self.coming[0].at_s
                continue
            state = self.snapshot()
            work = self.schedule()
            end = self.now + self.cost(work)
            if end > until:
                self.restore(state)
                return
            self.finish(work, end)

    def snapshot(self) -> tuple:
        reqs = self.waiting + self.running
        return list(self.waiting), list(self.running), {req: dict(vars(req)) for req in reqs}, self.sums.copy()

    def restore(self, state: tuple) -> None:
        """A step that is not over yet has not been seen by anyone."""
        self.waiting, self.running, values, self.sums = state
        for req, fields in values.items():
            vars(req).update(fields)

    def enqueue(self, arrival: Arrival) -> None:
        room = self.settings.max_model_len - arrival.prompt_tokens
        if room <= 0:
            return
        limit = room if arrival.max_tokens is None else min(room, arrival.max_tokens)
        stop = min(limit, arrival.output_tokens)
        leaves = arrival.abort_after_tokens is not None and arrival.abort_after_tokens < stop
        reason = "length" if stop == limit else "stop"
        self.waiting.append(Req(arrival, self.now, arrival.abort_after_tokens if leaves else stop, reason, leaves))

    def wanted(self, req: Req) -> int:
        """Tokens that a running request would compute next; drafts only once it decodes."""
        return 1 + self.drafts if req.caught_up else req.tokens - req.computed

    def allocate(self, req: Req, tokens: int) -> bool:
        need = ceil((req.computed + tokens) / self.settings.block_size) - req.blocks
        if need > self.free:
            return False
        req.blocks += max(need, 0)
        return True

    def schedule(self) -> list[tuple[Req, int]]:
        budget = self.settings.max_num_batched_tokens
        work: list[tuple[Req, int]] = []
        held = {req: req.blocks for req in self.running}
        preempted = False
        index = 0
        while index < len(self.running) and budget > 0:
            req = self.running[index]
            tokens = min(self.wanted(req), budget)
            fits = self.allocate(req, tokens)
            while not fits:
                victim = self.running.pop()
                self.preempt(victim)
                preempted = True
                if victim is req:
                    break
                fits = self.allocate(req, tokens)
            if not fits:
                break
            work.append((req, tokens))
            budget -= tokens if self.settings.mixed_steps or not req.caught_up else 0
            index += 1
        while self.waiting and budget > 0 and not preempted and len(self.running) < self.settings.max_num_seqs:
            req = self.waiting[0]
            block = self.settings.block_size
            if ceil(req.tokens / block) > self.free:
                break
            self.waiting.pop(0)
            if req.scheduled is None:
                cached = min(req.arrival.cached_tokens, req.arrival.prompt_tokens - 1) // block * block
                req.cached_first = req.computed = cached if self.settings.prefix_caching else 0
                req.scheduled = self.now
                if self.settings.prefix_caching:
                    self.sums["queries"] += req.arrival.prompt_tokens
                    self.sums["hits"] += req.cached_first
            self.running.append(req)
            tokens = min(req.tokens - req.computed, budget)
            assert self.allocate(req, tokens)
            work.append((req, tokens))
            budget -= tokens
        if self.settings.mixed_steps or all(req.caught_up for req, _ in work):
            return work
        for req, _ in work:
            if req.caught_up:
                req.blocks = held[req]
        return [(req, tokens) for req, tokens in work if not req.caught_up]

    def preempt(self, req: Req) -> None:
        req.blocks = req.computed = 0
        req.caught_up = False
        req.preemptions += 1
        req.untold += 1
        self.sums["preempted"] += 1
        self.waiting.insert(0, req)

    def cost(self, work: list[tuple[Req, int]]) -> float:
        batch = [req for req, _ in work if req.caught_up]
        chunks = [(req, tokens) for req, tokens in work if not req.caught_up]
        kv = sum(req.tokens for req in batch)
        pairs = sum(req.computed + i + 1 for req, tokens in chunks for i in range(tokens))
        self.length = self.costs.step_s(len(batch), kv, sum(tokens for _, tokens in chunks), pairs)
        self.alone = self.costs.step_s(len(batch), kv)
        return self.length

    def finish(self, work: list[tuple[Req, int]], end: float) -> None:
        self.now = end
        self.busy += self.length
        decoding = {req for req, _ in work if req.caught_up}
        if len(decoding) < len(work):
            self.exclusive += self.length
            self.marginal += self.length - self.alone
        emitted = reported = 0
        for req, tokens in work:
            if req not in decoding:
                req.computed += tokens
                if req.computed < req.tokens:
                    continue
                req.caught_up = True
            new = 1
            if req in decoding:
                self.sums["sequence_steps"] += 1
                self.sums["drafts"] += 1
                self.sums["accepted"] += self.accepts * self.drafts
                new = min(1 + self.accepts * self.drafts, req.stop - req.outputs)
                req.computed += new
            self.sums["preemptions"] += req.untold
            req.untold = 0
            if req.first is None:
                req.first = end
                self.sums["prompt"] += req.arrival.prompt_tokens
                self.sums["computed"] += req.arrival.prompt_tokens - req.cached_first
                reported += req.arrival.prompt_tokens - req.cached_first
                self.observe("first_token_s", end - req.arrival.at_s)
            else:
                self.observe("token_gap_s", end - req.last)
            req.outputs += new
            req.last = end
            emitted += new
        self.sums["generated"] += emitted
        self.sums["steps"] += 1
        if emitted:
            self.observe("step_tokens", emitted + reported)
        for req in [req for req in self.running if req.outputs == req.stop]:
            self.running.remove(req)
            self.close(req)
        self.gauges = (len(self.running), len(self.waiting), self.settings.kv_blocks - self.free)

    def close(self, req: Req) -> None:
        if req.aborts:
            self.sums["aborts"] += 1
            return
        self.sums[req.reason] += 1
        decode = self.now - req.first
        self.observe("request_s", self.now - req.arrival.at_s)
        self.observe("queue_s", req.scheduled - req.queued)
        self.observe("prefill_s", req.first - req.scheduled)
        self.observe("decode_s", decode)
        self.observe("inference_s", self.now - req.scheduled)
        self.observe("request_token_gap_s", decode / (req.outputs - 1) if req.outputs > 1 else 0.0)
        self.observe("request_prompt_tokens", req.arrival.prompt_tokens)
        self.observe("request_computed_tokens", req.arrival.prompt_tokens - req.cached_first)
        self.observe("request_generation_tokens", req.outputs)
        self.observe("request_preemptions", req.preemptions)
