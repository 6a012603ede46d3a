"""The series of a vLLM engine as state: what moves at first output, at each step, at admission and at finish.

Semantics as read in vLLM 0.33 (v1/metrics/{loggers,stats}.py, v1/core/sched/scheduler.py) and seen on real pages of
0.32: see the docstring of each method for the moment at which its series move.
"""

from __future__ import annotations

from collector.simulator.histograms import Histogram
from collector.simulator.requests import LiveRequest

STEP_TOKENS = (1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)
FIRST_TOKEN_S = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0,
    160.0, 640.0, 2560.0,
)  # fmt: skip
TOKEN_GAP_S = (
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0,
)  # fmt: skip
REQUEST_S = (
    0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0, 960.0,
    1920.0, 7680.0,
)  # fmt: skip
PREEMPTIONS = (1, 2, 3, 4, 5, 10, 20)
SEQUENCES = (1, 2, 5, 10, 20)
FINISH_REASONS = ("stop", "length", "abort", "error", "repetition")


def length_bounds(max_model_len: int) -> tuple[int, ...]:
    """vLLM's bounds for token counts per request: 1, 2, 5, 10, 20, 50 ... up to the model's context length."""
    bounds = []
    decade = 1
    while decade <= max_model_len:
        bounds += [decade * digit for digit in (1, 2, 5) if decade * digit <= max_model_len]
        decade *= 10
    return tuple(bounds)


class EngineCounters:
    """All of one engine's counters, histograms and gauges."""

    def __init__(self, max_model_len: int, draft_tokens: int) -> None:
        lengths = length_bounds(max_model_len)
        self.running = 0
        self.waiting = 0
        self.kv_usage_ratio = 0.0
        self.prompt_tokens = 0
        self.computed_prompt_tokens = 0
        self.cached_prompt_tokens = 0
        self.generation_tokens = 0
        self.prefix_queries = 0
        self.prefix_hits = 0
        self.preemptions = 0
        self.drafts = 0
        self.draft_tokens_per_draft = draft_tokens
        self.accepted_by_position = [0] * draft_tokens
        self.success = dict.fromkeys(FINISH_REASONS, 0)
        self.step_tokens = Histogram(STEP_TOKENS)
        self.first_token_s = Histogram(FIRST_TOKEN_S)
        self.token_gap_s = Histogram(TOKEN_GAP_S)
        self.request_token_gap_s = Histogram(TOKEN_GAP_S)
        self.request_s = Histogram(REQUEST_S)
        self.queue_s = Histogram(REQUEST_S)
        self.prefill_s = Histogram(REQUEST_S)
        self.decode_s = Histogram(REQUEST_S)
        self.inference_s = Histogram(REQUEST_S)
        self.request_prompt_tokens = Histogram(lengths)
        self.request_computed_tokens = Histogram(lengths)
        self.request_generation_tokens = Histogram(lengths)
        self.request_max_tokens = Histogram(lengths)
        self.request_preemptions = Histogram(PREEMPTIONS)

    @property
    def request_sequences(self) -> Histogram:
        """Sequences per finished request: every simulated request asks for one, so its longest is its only one."""
        histogram = Histogram(SEQUENCES)
        histogram.observe(1, self.request_s.count)
        return histogram

    def admitted(self, prompt_tokens: int, cached_tokens: int) -> None:
        """Prefix-cache series: with the step in which a request is first scheduled, not again after a preemption."""
        self.prefix_queries += prompt_tokens
        self.prefix_hits += cached_tokens

    def first_output(self, live: LiveRequest, now_s: float) -> int:
        """At a request's first output: the whole prompt at once, and its time since arrival.

        Returns the computed prompt tokens, which also go into that step's sample of tokens per step.
        """
        prompt = live.arrival.prompt_tokens
        computed = prompt - live.cached
        self.prompt_tokens += prompt
        self.computed_prompt_tokens += computed
        self.cached_prompt_tokens += live.cached
        self.first_token_s.observe(now_s - live.arrival.at_s)
        return computed

    def any_output(self, live: LiveRequest) -> None:
        """With an output that follows preemptions: the engine reports those events only now."""
        self.preemptions += live.unreported_preemptions
        live.unreported_preemptions = 0

    def verified(self, sequence_steps: int, accepted_by_position: tuple[int, ...]) -> None:
        """Speculative decoding: with each decode step, one draft per sequence."""
        self.drafts += sequence_steps
        for position, accepted in enumerate(accepted_by_position):
            self.accepted_by_position[position] += accepted

    def finished(self, live: LiveRequest, now_s: float) -> None:
        """At a request's end. A request whose client went away is never seen here."""
        assert live.scheduled_s is not None
        assert live.first_token_s is not None
        decode_s = now_s - live.first_token_s
        self.success["length" if live.length_limited else "stop"] += 1
        self.request_s.observe(now_s - live.arrival.at_s)
        self.queue_s.observe(live.scheduled_s - live.queued_s)
        self.prefill_s.observe(live.first_token_s - live.scheduled_s)
        self.decode_s.observe(decode_s)
        self.inference_s.observe(now_s - live.scheduled_s)
        self.request_token_gap_s.observe(decode_s / (live.outputs - 1) if live.outputs > 1 else 0.0)
        self.request_prompt_tokens.observe(live.arrival.prompt_tokens)
        self.request_computed_tokens.observe(live.arrival.prompt_tokens - live.cached)
        self.request_generation_tokens.observe(live.outputs)
        if live.arrival.max_tokens is not None:
            self.request_max_tokens.observe(live.arrival.max_tokens)
        self.request_preemptions.observe(live.preemptions)

    def gauges(self, running: int, waiting: int, kv_usage_ratio: float) -> None:
        """After each step: prefilling and decoding requests, the queue, and the share of KV blocks in use."""
        self.running = running
        self.waiting = waiting
        self.kv_usage_ratio = kv_usage_ratio
