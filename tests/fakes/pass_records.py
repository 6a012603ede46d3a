"""Forward-pass records as the schedulers encode them."""

from __future__ import annotations

from typing import Any


def record(wall_s: float = 0.0, prefill: int = 0, decoding: int = 0, rank: int = 0, **other: Any) -> dict[str, Any]:
    """A record with every field of schema version 1, as msgspec encodes the struct: a map by names."""
    return {
        "version": 1,
        "worker_id": "w",
        "dp_rank": rank,
        "counter_id": 0,
        "wall_time": wall_s,
        "scheduled_requests": {
            "num_prefill_requests": int(prefill > 0),
            "sum_prefill_tokens": prefill,
            "var_prefill_length": 0.0,
            "sum_prefill_kv_tokens": 0,
            "num_decode_requests": decoding,
            "sum_decode_kv_tokens": 100 * decoding,
            "var_decode_kv_tokens": 0.0,
        },
        "queued_requests": {
            "num_prefill_requests": 9,
            "sum_prefill_tokens": 999,
            "var_prefill_length": 0.0,
            "num_decode_requests": 9,
            "sum_decode_kv_tokens": 999,
            "var_decode_kv_tokens": 0.0,
        },
        **other,
    }
