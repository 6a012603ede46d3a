"""How long a replica was executing forward passes: its own timers, the GPU's duty cycle, or what its steps took."""

from __future__ import annotations

from analyzer.evidence import Estimate, Evidence, Figure, Missing
from analyzer.windows import Totals

DUTY_CYCLE_ERROR = 0.05
"""NVML samples utilization over 1/6 to 1 s; a mean over minutes is good to a few percent."""


def busy_ratio(totals: Totals, gpu_utilization: float | None) -> Figure:
    """Busy share of the covered time, best source first.

    `gpu_utilization` is the mean duty cycle (0..1) of the replica's own GPUs over the same span, None when no GPU is
    joined to it.
    """
    if totals.covered_s <= 0:
        return Missing("no usable window in this span")
    timed = _timed(totals)
    if timed is not None:
        return timed
    if gpu_utilization is not None:
        value = min(1.0, max(0.0, gpu_utilization))
        low, high = max(0.0, value - DUTY_CYCLE_ERROR), min(1.0, value + DUTY_CYCLE_ERROR)
        return Estimate(value, low, high, Evidence.MEASURED, "gpu_duty_cycle")
    return _from_steps(totals)


def _timed(totals: Totals) -> Estimate | None:
    whole = totals.deltas["busy_s_total"]
    if whole is None:
        prefill, decode = totals.deltas["prefill_s_total"], totals.deltas["decode_s_total"]
        if prefill is None or decode is None:
            return None
        whole = prefill + decode
    return Estimate.exact(min(1.0, whole / totals.covered_s), Evidence.MEASURED, "engine_timer")


def _from_steps(totals: Totals) -> Figure:
    """Steps times the mean gap between a sequence's tokens, which is one step long while it decodes.

    The mean is weighted by batch, so it leans to the long steps; the interval reaches from windows with requests
    running at both ends to that product, whichever is larger.
    """
    steps, sequence_steps = totals.deltas["steps_total"], totals.deltas["decode_sequence_steps_total"]
    gaps_s = totals.deltas["inter_token_s_total"]
    active = None if totals.active_s is None else min(1.0, totals.active_s / totals.covered_s)
    if steps is not None and gaps_s is not None and sequence_steps is not None and sequence_steps > 0:
        product = min(1.0, steps * gaps_s / sequence_steps / totals.covered_s)
        ends = (product * 0.8, product) if active is None else (product * 0.8, product, active)
        return Estimate(product, min(ends), max(ends), Evidence.MODELLED, "steps_times_token_gap")
    if active is not None:
        return Estimate(active, active * 0.5, min(1.0, active * 1.2), Evidence.MODELLED, "requests_running")
    return Missing("no engine timer, no GPU joined to the replica and no running requests reported")
