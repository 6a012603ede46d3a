"""Quantization schemes, one door: their table, who can run them, what is published, what servers call them."""

from __future__ import annotations

from analyzer.facts.scheme_combined import is_scheme, parts_of, quality_prior_of, support_of
from analyzer.facts.scheme_names import is_quantized, kv_scheme_of, scheme_of, schemes_named
from analyzer.facts.scheme_speedups import PublishedSpeedup, kv_read_speedup, memory_bound_speedup
from analyzer.facts.scheme_support import Level, Support, support
from analyzer.facts.scheme_table import SCHEMES, Scheme, find_scheme

__all__ = [
    "SCHEMES",
    "Level",
    "PublishedSpeedup",
    "Scheme",
    "Support",
    "find_scheme",
    "is_quantized",
    "is_scheme",
    "kv_read_speedup",
    "kv_scheme_of",
    "memory_bound_speedup",
    "parts_of",
    "quality_prior_of",
    "scheme_of",
    "schemes_named",
    "support",
    "support_of",
]
