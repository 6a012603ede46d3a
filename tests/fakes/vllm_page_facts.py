"""The engine metrics of a real vLLM page: kind, own label with its values, bucket bounds.

Read off a page of vLLM 0.32.0 (Python front end, max_model_len 2048, no speculation); the speculative ones off the
metric definitions of the same release line.
"""

from __future__ import annotations

PLAIN: dict[str, str] = dict.fromkeys(
    (
        "estimated_flops_per_gpu",
        "estimated_read_bytes_per_gpu",
        "estimated_write_bytes_per_gpu",
        "prefix_cache_queries",
        "prefix_cache_hits",
        "external_prefix_cache_queries",
        "external_prefix_cache_hits",
        "mm_cache_queries",
        "mm_cache_hits",
        "num_preemptions",
        "prompt_tokens",
        "prompt_tokens_cached",
        "generation_tokens",
    ),
    "counter",
) | dict.fromkeys(("num_requests_running", "num_requests_waiting", "kv_cache_usage_perc"), "gauge")
"""Metrics with the labels `engine` and `model_name` alone."""

LABELLED: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "num_requests_waiting_by_reason": ("gauge", "reason", ("capacity", "deferred")),
    "engine_sleep_state": ("gauge", "sleep_state", ("awake", "weights_offloaded", "discard_all")),
    "prompt_tokens_by_source": (
        "counter",
        "source",
        ("local_compute", "local_cache_hit", "external_kv_transfer"),
    ),
    "prompt_tokens_cached_by_source": (
        "counter",
        "source",
        ("device", "host", "p2p", "disk", "external_unspecified"),
    ),
    "request_success": ("counter", "finished_reason", ("stop", "length", "abort", "error", "repetition")),
}
"""Metrics with one label more."""

WITHOUT_ENGINE = {"admission_rejections": ("reason", ("max_num_queued_reqs", "max_num_queued_tokens"))}

SPECULATIVE = ("spec_decode_num_drafts", "spec_decode_num_draft_tokens", "spec_decode_num_accepted_tokens")
SPECULATIVE_BY_POSITION = "spec_decode_num_accepted_tokens_per_pos"

_LENGTHS = "1.0 2.0 5.0 10.0 20.0 50.0 100.0 200.0 500.0 1000.0 2000.0"
_GAPS = "0.01 0.025 0.05 0.075 0.1 0.15 0.2 0.3 0.4 0.5 0.75 1.0 2.5 5.0 7.5 10.0 20.0 40.0 80.0"
_REQUESTS = "0.3 0.5 0.8 1.0 1.5 2.0 2.5 5.0 10.0 15.0 20.0 30.0 40.0 50.0 60.0 120.0 240.0 480.0 960.0 1920.0 7680.0"
BOUNDS: dict[str, str] = {
    "request_prompt_tokens": _LENGTHS,
    "request_generation_tokens": _LENGTHS,
    "iteration_tokens_total": "1.0 8.0 16.0 32.0 64.0 128.0 256.0 512.0 1024.0 2048.0 4096.0 8192.0 16384.0",
    "request_max_num_generation_tokens": _LENGTHS,
    "request_params_n": "1.0 2.0 5.0 10.0 20.0",
    "request_params_max_tokens": _LENGTHS,
    "time_to_first_token_seconds": (
        "0.001 0.005 0.01 0.02 0.04 0.06 0.08 0.1 0.25 0.5 0.75 1.0 2.5 5.0 7.5 10.0 20.0 40.0 80.0 160.0 640.0 2560.0"
    ),
    "inter_token_latency_seconds": _GAPS,
    "request_time_per_output_token_seconds": _GAPS,
    "e2e_request_latency_seconds": _REQUESTS,
    "request_queue_time_seconds": _REQUESTS,
    "request_inference_time_seconds": _REQUESTS,
    "request_prefill_time_seconds": _REQUESTS,
    "request_decode_time_seconds": _REQUESTS,
    "request_num_preemptions": "1.0 2.0 3.0 4.0 5.0 10.0 20.0",
    "request_prefill_kv_computed_tokens": _LENGTHS,
}
"""Histograms: upper bounds as written in `le`, `+Inf` left out."""

CONFIG_LABELS = (
    "block_size cache_dtype enable_prefix_caching engine gpu_memory_utilization kv_cache_max_concurrency "
    "kv_cache_memory_bytes kv_cache_size_tokens num_gpu_blocks num_gpu_blocks_override prefix_caching_hash_algo "
    "sliding_window user_specified_block_size"
)
"""Some of the labels of `cache_config_info`."""
