"""Totals -> decode batch and requests in flight."""

from __future__ import annotations

from analyzer.evidence import Estimate, Evidence, Figure, Missing
from analyzer.windows import Totals

UNCOUNTED_STEPS = 0.024
"""Largest share of steps without output, which the engine does not count (simulated: 97.6 to 100 % were counted)."""
GAUGE_OVERCOUNT = 1.47
"""The running gauge exceeded the decode batch by up to 47 % in simulation."""


def decode_batch(totals: Totals) -> Figure:
    """Sequences decoded per step: decode sequence-steps / steps, averaged over steps.

    The running gauge counts prefilling requests too and is averaged over time, so it is only the fallback: its
    interval reaches from the largest overcount seen in simulation to the mean over windows that surely were active.
    """
    sequence_steps = totals.deltas["decode_sequence_steps_total"]
    steps = totals.deltas["steps_total"]
    if sequence_steps is not None and steps is not None:
        if steps <= 0:
            return Missing("no step was counted: the server was idle")
        batch = sequence_steps / steps
        return Estimate(batch, batch, batch * (1 + UNCOUNTED_STEPS), Evidence.MEASURED, "sequence_steps_per_step")
    running = totals.integrals["running_requests"]
    if running is None:
        return Missing("the engine reports neither steps nor running requests")
    if totals.active_s is None or totals.active_s < totals.covered_s / 2 or totals.covered_s <= 0:
        return Missing("requests ran too seldom for a gauge to tell the batch")
    low, high = running / totals.covered_s, running / totals.active_s
    return Estimate(low, low / GAUGE_OVERCOUNT, high, Evidence.MODELLED, "running_gauge")


def mean_gauge(totals: Totals, gauge: str) -> Figure:
    """Time-weighted mean of a gauge over the covered time."""
    mean = totals.mean(gauge)
    if mean is None:
        return Missing(f"the engine does not report {gauge.replace('_', ' ')}")
    return Estimate.exact(mean, Evidence.MEASURED, "gauge_mean")


def mean_per(totals: Totals, total: str, count: str) -> Figure:
    """One counter's increase over another's, such as seconds to first token per prefill."""
    amount, number = totals.deltas[total], totals.deltas[count]
    if amount is None or number is None:
        return Missing(f"the engine does not report {(total if amount is None else count).replace('_', ' ')}")
    if number <= 0:
        return Missing("nothing was counted in this span")
    return Estimate.exact(amount / number, Evidence.MEASURED, "sum_per_count")
