"""KV memory: whether it limits a replica, and what fits into it after a change of formats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from analyzer.facts.model_shape import ModelShape
from analyzer.predict.formats import Format
from analyzer.steptime.parts import Part

FULL_KV = 0.85
"""Mean share of KV blocks in use from which a queue is put down to memory."""
QUEUED = 0.5
PREEMPTED = 0.005
"""Mean waiting requests, and preemptions per request, from which KV memory is taken for the limit."""
SELDOM = 0.02
"""Memory that limits fewer of the requests than this is no limit: a burst is none."""


@dataclass(frozen=True, slots=True)
class KvLimit:
    """Whether queueing or preemption shows that KV memory limits the batch; None where nothing tells. And why."""

    limits: bool | None
    reason: str


def kv_limit(parts: Sequence[Part]) -> KvLimit:
    """Looked at part by part: a night without load must not hide what the day's peak shows."""
    requests = full = crowded = preemptions = 0.0
    fullest: float | None = None
    told = False
    for part in parts:
        totals = part.totals
        came, moved = totals.deltas["prefills_total"], totals.deltas["preemptions_total"]
        waiting, used = totals.mean("waiting_requests"), totals.mean("kv_usage_ratio")
        if came is None or totals.windows == 0:
            continue
        requests += came
        told = told or moved is not None or (waiting is not None and used is not None)
        fullest = fullest if used is None else max(used, fullest or 0.0)
        if waiting is not None and used is not None and waiting >= QUEUED and used >= FULL_KV:
            full += came
        if moved is not None and moved >= PREEMPTED * max(came, 1.0):
            crowded += came
            preemptions += moved
    if not told or requests <= 0:
        return KvLimit(None, "nothing tells: no preemptions and no use of KV memory are reported")
    if crowded >= SELDOM * requests:
        return KvLimit(True, f"{preemptions:.0f} preemptions in {requests:.0f} requests show that KV memory runs out")
    if full >= SELDOM * requests:
        share = full / requests
        return KvLimit(True, f"{share:.0%} of the requests came while others waited and KV memory was full")
    used_most = "" if fullest is None else f", at most {fullest:.0%} is in use"
    return KvLimit(False, f"no preemption and no queue at full memory shows a limit{used_most}")


def kv_tokens_after(kv_capacity_tokens: float, shape: ModelShape, before: Format, after: Format) -> float:
    """KV tokens that fit after the change, the memory given to the server as it is; 0 where weights do not fit."""
    held = shape.kv_bytes_per_token(before.kv_element_bytes) * kv_capacity_tokens
    freed = _weights(shape, before) - _weights(shape, after)
    return max(0.0, (held + freed) / shape.kv_bytes_per_token(after.kv_element_bytes))


def _weights(shape: ModelShape, form: Format) -> float:
    return shape.weight_bytes(form.weight_bits, embeddings_quantized=form.embeddings_quantized)
