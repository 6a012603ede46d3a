"""The article's rules on quantization economics, by their own names: published as they are, shown beside our figures.

The project began from the article "Calculating If Quantization Pays Off". Its eight functions keep its numbers, the
order of its rules and its result keys, as plain dicts and strings. Each docstring says where physics parts from it.
None of them feeds a verdict of ours without our own figure beside it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

LARGE_BATCH = 16
"""The article's bound: above it a phase that is neither prefill nor decode is called compute-bound."""
WORTH_IT_SPEEDUP = 1.1
MAX_QUALITY_DEGRADATION = 0.03
SECONDS_PER_HOUR = 3600
DECISION_FLAGS = (
    "memory_constrained",
    "decode_heavy",
    "quality_critical",
    "not_memory_constrained",
    "moderate_volume",
    "engineering_capacity",
    "high_volume",
)


def identify_bottleneck(workload: Mapping[str, Any]) -> str:
    """The article's rule: "compute_bound", "memory_bound" or "mixed" from `phase` and `batch_size`.

    Prefill is compute-bound and decode memory-bound whatever the batch; any other phase goes by its batch size.
    Physics parts from it: decode at a large batch is not purely memory-bound, its arithmetic grows with the batch while
    the weights are read once. Raises ValueError when `phase`, or the `batch_size` that decides, is missing or unusable.
    """
    phase = workload.get("phase")
    if not isinstance(phase, str):
        raise ValueError(f'workload["phase"] must be a word such as "prefill" or "decode", not {phase!r}')  # noqa: TRY004
    if phase == "prefill":
        return "compute_bound"
    if phase == "decode":
        return "memory_bound"
    batch_size = workload.get("batch_size")
    if not isinstance(batch_size, int | float) or not batch_size > 0:
        raise ValueError(f'workload["batch_size"] must be a positive number, not {batch_size!r}')
    if batch_size > LARGE_BATCH:
        return "compute_bound"
    return "memory_bound" if batch_size == 1 else "mixed"


def quantization_roi(
    current_tps: float,
    current_cost_per_hour: float,
    memory_bound_fraction: float,
    quantization_speedup: float,
    quality_degradation: float,
) -> dict[str, Any]:
    """The article's return on investment: effective speed-up `1 + (s - 1) · f` applied to tokens per second and cost.

    `current_tps` in tokens/s, cost in $/h, `memory_bound_fraction` f and `quality_degradation` as ratios (0.02 = 2 %),
    `quantization_speedup` s of the memory-bound part. Costs in the result are $ per million tokens.
    Physics parts from it: that only the memory-bound part speeds up is Amdahl's law, `1 / ((1 - f) + f / s)`, which
    gives 1.364 for f 0.8 and s 1.5 where this rule gives 1.400; it never shows the slow-down of a part that is not
    memory-bound; and cost falls only by whole GPUs that can be given back. Raises ValueError for an input out of range.
    """
    _require(current_tps > 0, f"current_tps must be above 0 tokens per second, not {current_tps}")
    _require(current_cost_per_hour >= 0, f"current_cost_per_hour must not be negative, it is {current_cost_per_hour}")
    _require(0 <= memory_bound_fraction <= 1, f"memory_bound_fraction is a ratio 0..1, not {memory_bound_fraction}")
    _require(quantization_speedup > 0, f"quantization_speedup must be above 0, not {quantization_speedup}")
    _require(-1 <= quality_degradation <= 1, f"quality_degradation is a ratio, 0.02 for 2 %, not {quality_degradation}")
    speedup = 1 + (quantization_speedup - 1) * memory_bound_fraction
    tps_after = current_tps * speedup
    worth_it = speedup > WORTH_IT_SPEEDUP and quality_degradation < MAX_QUALITY_DEGRADATION
    return {
        "speedup": speedup,
        "tps_before": current_tps,
        "tps_after": tps_after,
        "cost_per_million_before": _cost_per_million(current_cost_per_hour, current_tps),
        "cost_per_million_after": _cost_per_million(current_cost_per_hour, tps_after),
        "cost_reduction_percent": (1 - 1 / speedup) * 100,
        "quality_cost": f"{quality_degradation * 100:.1f}% quality loss",
        "recommendation": "worth_it" if worth_it else "evaluate_carefully",
    }


def high_roi_scenarios() -> dict[str, dict[str, Any]]:
    """The article's three workloads where quantization pays, with its memory-bound fraction f and typical speed-up.

    Physics parts from it: f depends on the GPU, the model and the context as well; measure it.
    """
    return {
        "decode_heavy": {
            "description": "Short prompts and long answers, such as chat: most time goes to decode",
            "memory_bound_fraction": 0.8,
            "expected_benefit": "High",
            "typical_speedup": "1.3-1.5x",
        },
        "low_batch_size": {
            "description": "One or few requests at a time: each step reads all weights for few tokens",
            "memory_bound_fraction": 0.9,
            "expected_benefit": "High",
            "typical_speedup": "1.5-2x",
        },
        "long_outputs": {
            "description": "Many tokens generated per request: prefill is soon paid off",
            "memory_bound_fraction": 0.85,
            "expected_benefit": "High",
            "typical_speedup": "1.4-1.6x",
        },
    }


def low_roi_scenarios() -> dict[str, dict[str, Any]]:
    """The article's three workloads where quantization pays little; same keys as `high_roi_scenarios`.

    Physics parts from it: in prefill the speed-up of weight-only schemes is below 1, not 1.0 to 1.15.
    """
    return {
        "prefill_heavy": {
            "description": "Long prompts and short answers: most time goes to arithmetic",
            "memory_bound_fraction": 0.3,
            "expected_benefit": "Low",
            "typical_speedup": "1.0-1.15x",
        },
        "large_batch": {
            "description": "Many requests at a time: the weights read once serve them all",
            "memory_bound_fraction": 0.4,
            "expected_benefit": "Low-Medium",
            "typical_speedup": "1.1-1.2x",
        },
        "already_memory_efficient": {
            "description": "Already memory-efficient, such as FP8 on H100: diminishing returns",
            "memory_bound_fraction": "Varies",
            "expected_benefit": "Diminishing returns",
            "typical_speedup": "1.0-1.1x",
        },
    }


def quantization_hidden_costs() -> dict[str, dict[str, str]]:
    """The article's four costs that no benchmark shows, each with what it is for. None has a number in the article."""
    return {
        "engineering_time": {"cost": "Days to weeks", "for": "Testing, validation and integration"},
        "quality_regression_risk": {"cost": "Users may be hit", "for": "Quality losses that are hard to detect"},
        "complexity": {"cost": "Lasting maintenance", "for": "Several versions of each model"},
        "debugging_difficulty": {
            "cost": "Slower root causes",
            "for": "Faults that are harder to reproduce at lower precision",
        },
    }


def total_cost_analysis(
    monthly_compute_cost: float, engineering_hours: float, eng_hourly_cost: float, speedup_factor: float
) -> dict[str, float]:
    """The article's payback: monthly saving `cost · (1 - 1/s)` against hours times rate, in $; infinite if none.

    Physics and procurement part from it: a saving needs a GPU that can be given back, and re-quantizing each model
    release costs again. Raises ValueError for a negative amount or a speed-up that is not above 0.
    """
    _require(monthly_compute_cost >= 0, f"monthly_compute_cost must not be negative, it is {monthly_compute_cost}")
    _require(engineering_hours >= 0, f"engineering_hours must not be negative, they are {engineering_hours}")
    _require(eng_hourly_cost >= 0, f"eng_hourly_cost must not be negative, it is {eng_hourly_cost}")
    _require(speedup_factor > 0, f"speedup_factor must be above 0, not {speedup_factor}")
    monthly_savings = monthly_compute_cost * (1 - 1 / speedup_factor)
    investment = engineering_hours * eng_hourly_cost
    return {
        "monthly_savings": monthly_savings,
        "engineering_investment": investment,
        "payback_months": investment / monthly_savings if monthly_savings > 0 else math.inf,
        "year_1_net": 12 * monthly_savings - investment,
    }


def should_quantize(context: Mapping[str, bool | None]) -> str:
    """The article's decision matrix: the first rule that holds answers.

    `context` holds the flags of `DECISION_FLAGS`; one that is absent or None counts as a box not ticked.
    Physics parts from it: `not_memory_constrained` beside `memory_constrained` may contradict each other, and
    the volume that makes it worthwhile follows from GPUs given back, not from requests. Raises ValueError for a flag
    that the matrix does not know.
    """
    unknown = sorted(set(context) - set(DECISION_FLAGS))
    _require(not unknown, f"the decision matrix has no flag {', '.join(unknown)}; it has {', '.join(DECISION_FLAGS)}")
    ticked = {name for name in DECISION_FLAGS if context.get(name)}
    if {"memory_constrained", "decode_heavy"} <= ticked:
        return "Yes: likely necessary"
    if {"quality_critical", "not_memory_constrained"} <= ticked:
        return "No: risk without benefit"
    if "moderate_volume" in ticked:
        if "engineering_capacity" in ticked:
            return "Maybe: run the numbers"
        return "No: engineering likely costs more than it brings"
    if "high_volume" in ticked:
        return "Probably: small percentages of a large volume"
    return "Evaluate"


def skip_quantization_checklist() -> list[dict[str, str]]:
    """The article's five reasons to leave quantization alone; any one of them may be enough."""
    return [
        {"condition": "Quality is the main differentiator", "reason": "A loss costs more than compute saves"},
        {"condition": "Compute is a small part of total cost", "reason": "Saving part of a small part changes little"},
        {"condition": "Latency targets are already met", "reason": "Nobody notices a faster answer"},
        {"condition": "Small team with many priorities", "reason": "Other work brings more"},
        {"condition": "Models change often", "reason": "Each release must be quantized and evaluated again"},
    ]


def _cost_per_million(cost_per_hour: float, tokens_per_s: float) -> float:
    return cost_per_hour / (tokens_per_s * SECONDS_PER_HOUR) * 1_000_000


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise ValueError(message)
