"""Forward-pass records, as Dynamo's vLLM scheduler publishes them, added up per data-parallel rank."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from collector.scrape.identity import amount, member
from collector.scrape.steps import Step, StepSums

PASS_VERSION = 1
SILENT_S = 10.0
"""A publisher without work sends a record every second: after this long without any, nothing is known of it."""
_MOST_RANKS = 256
_MOST_WAITING = 10_000


@dataclass(frozen=True, slots=True)
class Pass:
    """One record: of a forward pass, or (`step.took_s` 0) only a sign of life."""

    worker: str
    step: Step


def pass_of(number: int, record: Any) -> Pass | None:
    """A parsed record of schema version 1, the publisher's `number`th; None for anything else.

    The schema is `ForwardPassMetrics` in ai-dynamo/dynamo, components/src/dynamo/common/forward_pass_metrics.py, which
    SGLang's sglang/srt/observability/forward_pass_metrics.py repeats: a map by field names. `sum_prefill_tokens` leaves
    out cached tokens; `wall_time` is in seconds.
    """
    if member(record, "version") != PASS_VERSION:
        return None
    worker, rank = member(record, "worker_id"), amount(member(record, "dp_rank"))
    took_s = amount(member(record, "wall_time"))
    tokens = amount(member(record, "scheduled_requests", "sum_prefill_tokens"))
    sequences = amount(member(record, "scheduled_requests", "num_decode_requests"))
    if not isinstance(worker, str) or rank is None or took_s is None or tokens is None or sequences is None:
        return None
    return Pass(worker, Step(str(int(rank)), number, int(tokens), int(sequences), took_s))


@dataclass(slots=True)
class _Rank:
    worker: str
    number: int
    heard_s: float
    sums: StepSums = field(default_factory=StepSums)
    waiting: list[Step] = field(default_factory=list)


class PassSums:
    """Counters of what the records held since listening began; seconds of `now_s` are on a monotonic clock.

    `lost` counts records that never came although later ones did: their work is in no counter.
    """

    def __init__(self) -> None:
        self._ranks: dict[str, _Rank] = {}
        self.records = 0
        self.lost = 0

    def take(self, one: Pass, now_s: float) -> bool:
        """Add a record; False for one of more ranks than a server has."""
        step = one.step
        rank = self._ranks.get(step.rank)
        if rank is None:
            if len(self._ranks) >= _MOST_RANKS:
                return False
            rank = self._ranks[step.rank] = _Rank(one.worker, step.index - 1, now_s)
        # A lower number or another worker is a publisher that was started anew: it counts from zero.
        if one.worker == rank.worker and step.index > rank.number + 1:
            self.lost += step.index - rank.number - 1
        rank.worker, rank.number, rank.heard_s = one.worker, step.index, now_s
        self.records += 1
        if step.took_s > 0:
            rank.waiting.append(step)
            if len(rank.waiting) >= _MOST_WAITING:
                _settle(rank)
        return True

    def values(self, now_s: float) -> Mapping[str, Mapping[str, float]]:
        """Each rank's sums by `STEP_INPUTS`, without ranks that were not heard of lately."""
        heard = {name: rank for name, rank in self._ranks.items() if now_s - rank.heard_s <= SILENT_S}
        for rank in heard.values():
            _settle(rank)
        return {name: rank.sums.values for name, rank in heard.items()}


def _settle(rank: _Rank) -> None:
    rank.sums.add(rank.waiting)
    rank.waiting = []
