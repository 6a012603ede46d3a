"""The metrics of vLLM 0.33 (Python front end) and where each finds its value in a simulated engine.

Names, kinds, labels and order are vLLM's; help texts are shortened.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from collector.simulator.counters import FINISH_REASONS
from collector.simulator.histograms import Histogram
from collector.simulator.server import SimulatedServer

Values = Callable[[SimulatedServer], Sequence[float]]


@dataclass(frozen=True, slots=True)
class Family:
    """One metric of the page; `label` and `choices` name a label of its own and that label's values."""

    name: str
    kind: str
    help: str
    values: Values | None = None
    histogram: Callable[[SimulatedServer], Histogram] | None = None
    label: str | None = None
    choices: tuple[str, ...] = ()


def _gauge(name: str, help_: str, values: Values, label: str | None = None, choices: tuple[str, ...] = ()) -> Family:
    return Family(f"vllm:{name}", "gauge", help_, values, None, label, choices)


def _counter(name: str, help_: str, values: Values, label: str | None = None, choices: tuple[str, ...] = ()) -> Family:
    return Family(f"vllm:{name}", "counter", help_, values, None, label, choices)


def _histogram(name: str, help_: str, histogram: Callable[[SimulatedServer], Histogram]) -> Family:
    return Family(f"vllm:{name}", "histogram", help_, None, histogram)


def _zeros(count: int) -> Values:
    return lambda _: (0.0,) * count


def _written_bytes(server: SimulatedServer) -> float:
    """KV cache written: one entry per token computed."""
    truth = server.truth(whole_steps=True)
    tokens = truth.computed_tokens + truth.recomputed_tokens + truth.decode_sequence_steps
    return tokens * server.costs.kv_bytes_per_token


def _per_gpu(total: Callable[[SimulatedServer], float], enabled: bool) -> Values:
    return lambda server: (total(server) / server.costs.tensor_parallel if enabled else 0.0,)


def families(draft_tokens: int, mfu_metrics: bool) -> list[Family]:
    """The page's metrics in vLLM's order.

    With `draft_tokens` the engine speculates; `mfu_metrics` is `--enable-mfu-metrics`: without it the `estimated_*`
    series exist and stay 0.
    """
    listed = [
        _counter(
            "estimated_flops_per_gpu_total",
            "Estimated floating point operations per GPU.",
            _per_gpu(lambda server: server.truth(whole_steps=True).flops, mfu_metrics),
        ),
        _counter(
            "estimated_read_bytes_per_gpu_total",
            "Estimated bytes read from memory per GPU.",
            _per_gpu(lambda server: server.truth(whole_steps=True).bytes_read, mfu_metrics),
        ),
        _counter(
            "estimated_write_bytes_per_gpu_total",
            "Estimated bytes written to memory per GPU.",
            _per_gpu(_written_bytes, mfu_metrics),
        ),
        _gauge("num_requests_running", "Requests in execution batches.", lambda s: (s.counters.running,)),
        _gauge("num_requests_waiting", "Requests waiting.", lambda s: (s.counters.waiting,)),
        _gauge(
            "num_requests_waiting_by_reason",
            "Requests waiting, by reason.",
            lambda s: (s.counters.waiting, 0.0),
            "reason",
            ("capacity", "deferred"),
        ),
        _gauge(
            "engine_sleep_state",
            "Engine sleep state.",
            lambda _: (1.0, 0.0, 0.0),
            "sleep_state",
            ("awake", "weights_offloaded", "discard_all"),
        ),
        _gauge("kv_cache_usage_perc", "KV-cache usage, 1 is full.", lambda s: (s.counters.kv_usage_ratio,)),
        _counter(
            "prefix_cache_queries_total", "Prefix cache queries, in tokens.", lambda s: (s.counters.prefix_queries,)
        ),
        _counter("prefix_cache_hits_total", "Prefix cache hits, in tokens.", lambda s: (s.counters.prefix_hits,)),
        _counter("external_prefix_cache_queries_total", "External prefix cache queries, in tokens.", _zeros(1)),
        _counter("external_prefix_cache_hits_total", "External prefix cache hits, in tokens.", _zeros(1)),
        _counter("mm_cache_queries_total", "Multi-modal cache queries, in items.", _zeros(1)),
        _counter("mm_cache_hits_total", "Multi-modal cache hits, in items.", _zeros(1)),
        _counter("num_preemptions_total", "Preemptions.", lambda s: (s.counters.preemptions,)),
        _counter("prompt_tokens_total", "Prefill tokens.", lambda s: (s.counters.prompt_tokens,)),
        _counter(
            "prompt_tokens_by_source_total",
            "Prompt tokens by source.",
            lambda s: (s.counters.computed_prompt_tokens, s.counters.cached_prompt_tokens, 0.0),
            "source",
            ("local_compute", "local_cache_hit", "external_kv_transfer"),
        ),
        _counter("prompt_tokens_cached_total", "Cached prompt tokens.", lambda s: (s.counters.cached_prompt_tokens,)),
        _counter(
            "prompt_tokens_cached_by_source_total",
            "Prefix-cache hits by cache tier, counted at admission.",
            lambda s: (s.counters.prefix_hits, 0.0, 0.0, 0.0, 0.0),
            "source",
            ("device", "host", "p2p", "disk", "external_unspecified"),
        ),
        _counter("generation_tokens_total", "Generation tokens.", lambda s: (s.counters.generation_tokens,)),
        _counter(
            "request_success_total",
            "Finished requests.",
            lambda s: tuple(s.counters.success.values()),
            "finished_reason",
            FINISH_REASONS,
        ),
        _histogram("request_prompt_tokens", "Prefill tokens.", lambda s: s.counters.request_prompt_tokens),
        _histogram("request_generation_tokens", "Generation tokens.", lambda s: s.counters.request_generation_tokens),
        _histogram("iteration_tokens_total", "Tokens per engine step.", lambda s: s.counters.step_tokens),
        _histogram(
            "request_max_num_generation_tokens",
            "Longest sequence of a request.",
            lambda s: s.counters.request_generation_tokens,
        ),
        _histogram("request_params_n", "The n of requests.", lambda s: s.counters.request_sequences),
        _histogram("request_params_max_tokens", "The max_tokens of requests.", lambda s: s.counters.request_max_tokens),
        _histogram("time_to_first_token_seconds", "Time to first token.", lambda s: s.counters.first_token_s),
        _histogram("inter_token_latency_seconds", "Inter-token latency.", lambda s: s.counters.token_gap_s),
        _histogram(
            "request_time_per_output_token_seconds",
            "Mean time per output token of requests.",
            lambda s: s.counters.request_token_gap_s,
        ),
        _histogram("e2e_request_latency_seconds", "End-to-end latency.", lambda s: s.counters.request_s),
        _histogram("request_queue_time_seconds", "Time waiting.", lambda s: s.counters.queue_s),
        _histogram("request_inference_time_seconds", "Time running.", lambda s: s.counters.inference_s),
        _histogram("request_prefill_time_seconds", "Time in prefill.", lambda s: s.counters.prefill_s),
        _histogram("request_decode_time_seconds", "Time in decode.", lambda s: s.counters.decode_s),
        _histogram("request_num_preemptions", "Preemptions of requests.", lambda s: s.counters.request_preemptions),
        _histogram(
            "request_prefill_kv_computed_tokens",
            "Prompt tokens computed, cached ones excluded.",
            lambda s: s.counters.request_computed_tokens,
        ),
    ]
    if draft_tokens:
        listed += [
            _counter("spec_decode_num_drafts_total", "Drafts.", lambda s: (s.counters.drafts,)),
            _counter(
                "spec_decode_num_draft_tokens_total", "Draft tokens.", lambda s: (s.counters.drafts * draft_tokens,)
            ),
            _counter(
                "spec_decode_num_accepted_tokens_total",
                "Accepted draft tokens.",
                lambda s: (sum(s.counters.accepted_by_position),),
            ),
            _counter(
                "spec_decode_num_accepted_tokens_per_pos_total",
                "Accepted draft tokens per position.",
                lambda s: tuple(s.counters.accepted_by_position),
                "position",
                tuple(str(position) for position in range(draft_tokens)),
            ),
        ]
    return listed
