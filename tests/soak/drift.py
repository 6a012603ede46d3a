"""How fast a machine was in one span beside others, told by a server's own work: pieces of the same kind, compared.

What a neighbour on the same hardware takes shows in no count of this machine's: within twenty minutes a fixed product
of matrices took from 0.31 to 0.96 ms while nothing else ran here, and a server's steps of one kind a fifth longer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from collector.scrape.vllm_steps import vllm_step

FEWEST_ALIKE = 20
"""Kinds that were met less often in the spans compared with tell nothing."""
Span = tuple[float, float]
"""Its begin and end, unix time."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of work, done at `at_s` in `took_s` seconds; pieces of a kind are the same work."""

    at_s: float
    kind: tuple[int, ...]
    took_s: float


def slowdown(pieces: Sequence[Piece], beside: Iterable[Span], span: Span) -> tuple[float, float]:
    """Seconds that pieces of a span took over those that their like took in the others; the share of them that tells.

    Raises ZeroDivisionError where none has its like there.
    """
    known: Mapping[tuple[int, ...], list[float]] = defaultdict(list)
    for one in _within(pieces, *beside):
        known[one.kind].append(one.took_s)
    usual_s = {kind: sum(took) / len(took) for kind, took in known.items() if len(took) >= FEWEST_ALIKE}
    inside = list(_within(pieces, span))
    alike = [one for one in inside if one.kind in usual_s]
    took_s = sum(one.took_s for one in alike)
    return took_s / sum(usual_s[one.kind] for one in alike), took_s / sum(one.took_s for one in inside)


def _within(pieces: Iterable[Piece], *spans: Span) -> Iterable[Piece]:
    return (one for one in pieces if any(begin_s <= one.at_s < end_s for begin_s, end_s in spans))


def steps_told(log: bytes, sizes: Iterable[tuple[float, int]]) -> list[Piece]:
    """vLLM's steps by its log: of a kind are those with as many prompt tokens and sequences.

    `sizes` are the log's bytes at instants: a step was done by the first at which its line was there.
    """
    pieces = []
    at = 0
    instants = iter(sizes)
    at_s, size = next(instants)
    for line in log.splitlines(keepends=True):
        at += len(line)
        while at > size:
            at_s, size = next(instants, (at_s, len(log)))
        step = vllm_step(line)
        if step is not None:
            pieces.append(Piece(at_s, (step.prompt_tokens, step.sequences), step.took_s))
    return pieces
