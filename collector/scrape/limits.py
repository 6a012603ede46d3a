"""How much of a target's time, bytes and series one poll accepts: Prometheus' limits, none of them zero."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """A poll that exceeds any of these gives no data at all, as in Prometheus.

    `timeout_s` covers the whole poll: connecting, headers, body. `body_size_limit_bytes` counts uncompressed bytes.
    `sample_limit` counts every sample of the page, wanted or not. The label limits count as Prometheus does:
    the metric's name is a label too, and lengths are bytes of UTF-8.
    The defaults hold a vLLM page of more than 100 data-parallel ranks and its widest info series (about 40 labels).
    """

    timeout_s: float = 10.0
    body_size_limit_bytes: int = 10 * 1024 * 1024
    sample_limit: int = 50_000
    label_limit: int = 64
    label_name_length_limit: int = 256
    label_value_length_limit: int = 4096
