"""The largest load that a replica takes within its latency objectives, before and after a change of its step costs."""

from __future__ import annotations

from analyzer.capacity.answer import CapacityReport, Change, Latency, Replica, Side, capacity, draws, replica, under
from analyzer.capacity.costs import fitted_coefficients
from analyzer.capacity.doubt import Doubt, change_sd, doubt_of
from analyzer.capacity.memory import kv_tokens_after
from analyzer.capacity.mix import Limits, Mix, limits_of, mix_of, plain_mix
from analyzer.objectives import Objective, Objectives

__all__ = [
    "CapacityReport",
    "Change",
    "Doubt",
    "Latency",
    "Limits",
    "Mix",
    "Objective",
    "Objectives",
    "Replica",
    "Side",
    "capacity",
    "change_sd",
    "doubt_of",
    "draws",
    "fitted_coefficients",
    "kv_tokens_after",
    "limits_of",
    "mix_of",
    "plain_mix",
    "replica",
    "under",
]
