"""Stored totals of a replica as the parts that its step-time model is fitted to, without the epoch's warm-up."""

from __future__ import annotations

from collections.abc import Sequence

from analyzer.steptime.parts import Part
from analyzer.windows import Totals
from collector.jobs.duty import DutyCycles, duty_within

WARM_UP_S = 300.0
"""What an engine does right after its start, compiling and filling caches, is no evidence of what its steps cost."""


def warm_parts(
    stored: Sequence[tuple[float, Totals]], uuids: Sequence[str], duty: DutyCycles, now_s: float
) -> tuple[Part, ...]:
    """Totals by start (unix time), each with the mean duty cycle of the joined GPUs within it."""
    if not stored:
        return ()
    begun_s = min(totals.start_s for _, totals in stored)
    warm = [(start_s, totals) for start_s, totals in stored if totals.start_s >= begun_s + WARM_UP_S - 1]
    duties = [duty.by_bucket(uuid, begun_s, now_s) for uuid in uuids]
    parts = []
    for start_s, totals in warm:
        # A gap or another epoch may lie between the start of the hour and that of its totals, either way round.
        since_s = max(start_s, totals.start_s)
        told = [one for buckets in duties if (one := duty_within(buckets, since_s, totals.end_s)) is not None]
        if told and len(told) == len(duties):
            parts.append(Part(totals, sum(one.mean for one in told) / len(told), max(one.error for one in told)))
        else:
            parts.append(Part(totals))
    return tuple(parts)
