"""The largest load that a replica takes within its latency objectives, before and after a change of its step costs."""

from __future__ import annotations

from analyzer.capacity.answer import CapacityReport, Doubt, Latency, Side, capacity, doubt_of
from analyzer.capacity.costs import fitted_coefficients
from analyzer.capacity.memory import kv_tokens_after
from analyzer.capacity.mix import Limits, Mix, limits_of, mix_of, plain_mix
from analyzer.capacity.objectives import Objective, Objectives

__all__ = [
    "CapacityReport",
    "Doubt",
    "Latency",
    "Limits",
    "Mix",
    "Objective",
    "Objectives",
    "Side",
    "capacity",
    "doubt_of",
    "fitted_coefficients",
    "kv_tokens_after",
    "limits_of",
    "mix_of",
    "plain_mix",
]
