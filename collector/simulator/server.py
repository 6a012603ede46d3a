"""One simulated engine in virtual time: arrivals in, steps one after the other, counters and truth out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields, replace
from math import inf

import numpy as np

from collector.simulator import steps
from collector.simulator.costs import StepCosts
from collector.simulator.counters import EngineCounters
from collector.simulator.decoding import DecodeBatch, SteadyDecode
from collector.simulator.listening import Listener
from collector.simulator.requests import LiveRequest
from collector.simulator.scheduler import Chunk, Scheduler, SchedulerSettings
from collector.simulator.spans import BusySpans
from collector.simulator.speculation import SpeculativeDecode
from collector.simulator.steps import Step
from collector.simulator.traffic import Arrival
from collector.simulator.truth import Tally, Truth

BUSY_MEMORY_S = 60.0
"""How far back `busy_between` can look."""


class SimulatedServer:
    """A continuous-batching server that is fed with `arrivals` (in order of time) and advanced in virtual time.

    `rng` draws what speculative decoding accepts. With `macro_steps` all decode steps between two events are taken
    together; without, one by one: the result is the same, only slower.
    """

    def __init__(
        self,
        costs: StepCosts,
        settings: SchedulerSettings,
        arrivals: Iterable[Arrival],
        rng: np.random.Generator | None = None,
        *,
        macro_steps: bool = True,
    ) -> None:
        speculation = settings.speculation
        decoding: DecodeBatch
        if speculation is None:
            decoding = SteadyDecode(settings.block_size)
        elif rng is None:
            raise ValueError("speculative decoding needs a random generator")
        else:
            decoding = SpeculativeDecode(speculation, settings.block_size, rng)
            costs = replace(
                costs,
                decode_tokens_per_sequence=settings.decode_tokens_per_sequence,
                overhead_s=costs.overhead_s + speculation.draft_step_s,
            )
        self.costs = costs
        self.settings = settings
        self.counters = EngineCounters(settings.max_model_len, settings.decode_tokens_per_sequence - 1)
        self.listeners: list[Listener] = []
        """Told of everything that happens, for dialects that count it in another way."""
        self.at_s = 0.0
        """Virtual time that has been simulated; counters are those of the last step that ended until then."""
        self._arrivals: Iterator[Arrival] = iter(arrivals)
        self._next: Arrival | None = None
        self._next_s = 0.0
        """When the next request arrives; infinite when there is none."""
        self._look_ahead()
        self._inbox: list[Arrival] = []
        self._decoding = decoding
        self._scheduler = Scheduler(settings, decoding)
        self._macro_steps = macro_steps
        self._tally = Tally()
        self._now_s = 0.0
        """Start of the step in progress, or end of the last one while idle."""
        self._step: Step | None = None
        self._busy = BusySpans(BUSY_MEMORY_S)

    def advance(self, until_s: float, max_events: int | None = None) -> float:
        """Simulates until virtual time `until_s`, or for at most `max_events` events; returns the time reached.

        A step that ends later stays in progress. Raises ValueError for a time in the past and for arrivals that are
        not in order.
        """
        if until_s < self.at_s:
            raise ValueError(f"virtual time runs forward only: {until_s} is before {self.at_s}")
        events = 0
        while max_events is None or events < max_events:
            events += 1
            if self._step is not None:
                if self._step.end_s > until_s:
                    break
                self._finish_step(self._step)
            if self._inbox or self._next_s <= self._now_s:
                self._take_inbox()
            if not self._scheduler.has_work:
                self._idle(min(until_s, self._next_s))
                if self._next_s > until_s:
                    break
                continue
            chunks, preempted = self._scheduler.schedule(self._now_s)
            if chunks or preempted or not self._macro_steps or not self._decode(until_s):
                alone = bool(chunks) and not self.settings.mixed_steps
                size, kv_tokens = (0, 0) if alone else (self._decoding.size, self._decoding.kv_tokens)
                self._step = steps.start(self.costs, self._now_s, chunks, size, kv_tokens)
        else:
            self.at_s = max(self.at_s, self._now_s)
            return self.at_s
        self._receive(until_s)
        self.at_s = until_s
        return until_s

    def _receive(self, until_s: float) -> None:
        """Takes what arrives until then into the inbox, where the engine finds it at its next step."""
        while self._next_s <= until_s and (arrival := self._next) is not None:
            self._tally.arrivals += 1
            for listener in self.listeners:
                listener.arrived(arrival)
            if arrival.prompt_tokens >= self.settings.max_model_len:
                self._tally.rejections += 1
            else:
                self._inbox.append(arrival)
            self._look_ahead()

    def _look_ahead(self) -> None:
        before_s = self._next_s
        self._next = next(self._arrivals, None)
        self._next_s = inf if self._next is None else self._next.at_s
        if self._next_s < before_s:
            raise ValueError(f"arrivals must be in order of time: {self._next_s} follows {before_s}")

    def _take_inbox(self) -> None:
        """Queues all that has arrived: a request's queue time begins here, not at its arrival."""
        self._receive(self._now_s)
        for arrival in self._inbox:
            block = self.settings.block_size
            # The last prompt token is always computed: it gives the first output.
            reusable = min(arrival.cached_tokens, arrival.prompt_tokens - 1) if self.settings.prefix_caching else 0
            room = self.settings.max_model_len - arrival.prompt_tokens
            self._scheduler.waiting.append(LiveRequest(arrival, self._now_s, reusable // block * block, room))
        self._inbox.clear()

    def _idle(self, until_s: float) -> None:
        self._tally.idle_s += until_s - self._now_s
        self._now_s = until_s

    def _finish_step(self, step: Step) -> None:
        """Books a whole step: decode tokens, chunks, first outputs, ends."""
        tally = self._tally
        waiting = self._decoding.size - step.batch
        self._step = None
        step.book(tally)
        tally.steps += 1
        self._pass(step.end_s)
        outputs = computed_prompts = 0
        if step.batch:
            outputs = self._emit(1, step.batch)
            self.counters.token_gap_s.observe(step.end_s - step.start_s, step.batch)
        new_outputs = 0
        for chunk in step.chunks:
            computed = self._book_chunk(chunk)
            if computed is not None:
                new_outputs += 1
                computed_prompts += computed
        tally.generated_tokens += new_outputs
        self.counters.generation_tokens += new_outputs
        if outputs + new_outputs:
            tally.steps_with_output += 1
            self.counters.step_tokens.observe(computed_prompts + outputs + new_outputs)
        self._after_steps()
        for listener in self.listeners:
            listener.stepped(step, waiting)

    def _book_chunk(self, chunk: Chunk) -> int | None:
        """Books a computed chunk; if it gave an output, returns the prompt tokens that this output reports."""
        live, end = chunk.live, chunk.start + chunk.tokens
        prompt = live.arrival.prompt_tokens
        fresh = max(0, min(end, prompt) - max(chunk.start, live.highest))
        self._tally.computed_tokens += fresh
        self._tally.recomputed_tokens += chunk.tokens - fresh
        live.highest = max(live.highest, end)
        if chunk.admission:
            self._tally.cached_tokens += live.cached
            if self.settings.prefix_caching:
                self.counters.admitted(prompt, live.cached)
        if end < live.target:
            return None
        computed = 0
        live.outputs += 1
        self.counters.any_output(live)
        if live.first_token_s is None:
            live.first_token_s = self._now_s
            computed = self.counters.first_output(live, self._now_s)
        else:
            self._tally.resumed_prefills += 1
            self.counters.token_gap_s.observe(self._now_s - live.last_token_s)
        if live.outputs == live.stop:
            self._end(live)
        else:
            self._decoding.join(live)
        return computed

    def _decode(self, until_s: float) -> bool:
        """Takes as many pure-decode steps as end until then with nothing happening between; False if not even one."""
        decoding = self._decoding
        limit = decoding.steps_that_fit(self._scheduler.free_blocks, decoding.steps_to_finish())
        stretch = decoding.stretch(self.costs, limit)
        horizon_s = min(until_s, self._next_s)
        count, left_s = limit, horizon_s - self._now_s
        seconds = stretch.seconds(limit)
        if seconds > left_s:
            count = stretch.steps_within(left_s, limit)
            # The step during which a request arrives is still one of this batch.
            if horizon_s < until_s and stretch.seconds(count + 1) <= until_s - self._now_s:
                count += 1
            if count == 0:
                return False
            seconds = stretch.seconds(count)
        batch = decoding.size
        per_sequence = self.costs.decode_tokens_per_sequence
        kv_tokens = stretch.kv_tokens_read(count)
        tally = self._tally
        tally.spend(stretch.components(count))
        tally.bytes_read += self.costs.bytes_read(count, kv_tokens)
        tally.flops += self.costs.flops(count * batch * per_sequence, kv_tokens * per_sequence)
        tally.steps += count
        tally.steps_with_output += count
        stretch.observe(self.counters.token_gap_s, count, batch)
        decoding.observe_tokens(self.counters.step_tokens, count)
        self._emit(count, batch)
        self._pass(self._now_s + seconds)
        self._after_steps()
        for listener in self.listeners:
            listener.decoded(stretch, count, batch)
        return True

    def _pass(self, end_s: float) -> None:
        """Lets busy time pass until `end_s`."""
        self._busy.add(self._now_s, end_s)
        self._now_s = end_s

    def _emit(self, steps: int, batch: int) -> int:
        """Advances the decode batch; returns the tokens that it gave."""
        emitted = self._decoding.step(steps)
        self._scheduler.used_blocks += emitted.blocks
        self._tally.decode_steps += steps
        self._tally.decode_sequence_steps += steps * batch
        self._tally.generated_tokens += emitted.tokens
        self.counters.generation_tokens += emitted.tokens
        if emitted.accepted:
            self.counters.verified(steps * batch, emitted.accepted)
        return emitted.tokens

    def _after_steps(self) -> None:
        """Lets ended sequences go and sets the gauges."""
        for live in self._decoding.pop_finished():
            self._end(live)
        scheduler = self._scheduler
        self._tally.preemptions = scheduler.preemptions
        self.counters.gauges(len(scheduler.running), len(scheduler.waiting), scheduler.kv_usage_ratio)

    def _end(self, live: LiveRequest) -> None:
        self._scheduler.release(live)
        if live.aborts:
            self._tally.aborts += 1
        else:
            self._tally.completions += 1
            self.counters.finished(live, self._now_s)
        for listener in self.listeners:
            listener.ended(live, self._now_s)

    def outputs_under_way(self) -> list[int]:
        """Output tokens so far of each request that runs, in order of admission."""
        return [
            live.outputs + (self._decoding.emitted(live) if live.finish_at >= 0 else 0)
            for live in self._scheduler.running
        ]

    def truth(self, *, whole_steps: bool = False) -> Truth:
        """What really happened until `at_s`, the elapsed part of the step in progress included unless `whole_steps`."""
        now = replace(self._tally)
        if (step := self._step) is not None and not whole_steps:
            step.book(now, (self.at_s - step.start_s) / (step.end_s - step.start_s))
        return Truth(at_s=self.at_s, **{field.name: getattr(now, field.name) for field in fields(Tally)})

    def busy_between(self, start_s: float, end_s: float) -> float:
        """Busy seconds in a span that ends at `at_s` or before and lies within the last `BUSY_MEMORY_S`."""
        in_progress = 0.0
        if self._step is not None:
            in_progress = max(0.0, min(self.at_s, end_s) - max(self._step.start_s, start_s))
        return self._busy.between(start_s, end_s) + in_progress
