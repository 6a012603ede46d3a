"""Parts as columns: what was counted in each, one entry per part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from analyzer.steptime.parts import Part

Column = NDArray[np.float64]

COUNTERS = (
    *("steps_total", "decode_sequence_steps_total", "prefill_tokens_total", "prompt_tokens_total", "prefills_total"),
    *("inter_token_s_total", "preemptions_total", "draft_tokens_total", "draft_steps_total"),
    *("busy_s_total", "prefill_s_total", "decode_s_total", "request_prefill_s_total", "requests_finished_total"),
    *("generation_tokens_total", "finished_prompt_tokens_total", "finished_generation_tokens_total"),
)
"""Those that a step's cost is told by."""
GAUGES = ("waiting_requests", "running_requests")
_deltas_of = itemgetter(*COUNTERS)
_integrals_of = itemgetter(*GAUGES)


@dataclass(frozen=True, slots=True)
class Counted:
    """n parts that cover some time each (shape (n,)); NaN where a figure is not known.

    `deltas` has a counter's increase in each part, `means` a gauge's mean. `duty` is the GPUs' duty cycle, `duty_error`
    its standard error; `active_s` are the seconds with requests running at both ends of a window.
    """

    parts: tuple[Part, ...]
    covered_s: Column
    active_s: Column
    duty: Column
    duty_error: Column
    deltas: Mapping[str, Column]
    means: Mapping[str, Column]

    def __len__(self) -> int:
        return len(self.parts)

    def sum(self, name: str) -> float | None:
        """A counter's increase over the parts that report it; None when none does."""
        known = self.deltas[name]
        known = known[~np.isnan(known)]
        return float(known.sum()) if len(known) else None


def counted_in(parts: Sequence[Part]) -> Counted:
    """Parts that cover some time each, at least one."""
    totals = [part.totals for part in parts]
    figures = np.array(
        [
            (one.covered_s, one.active_s, part.gpu_utilization, part.gpu_error, *_integrals_of(one.integrals))
            for part, one in zip(parts, totals, strict=True)
        ],
        dtype=np.float64,
    ).T
    deltas = np.array([_deltas_of(one.deltas) for one in totals], dtype=np.float64).T
    covered_s, active_s, duty, duty_error, *integrals = figures
    return Counted(
        parts=tuple(parts),
        covered_s=covered_s,
        active_s=active_s,
        duty=duty,
        duty_error=duty_error,
        deltas=dict(zip(COUNTERS, deltas, strict=True)),
        means={name: integral / covered_s for name, integral in zip(GAUGES, integrals, strict=True)},
    )
