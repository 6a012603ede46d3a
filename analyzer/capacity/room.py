"""How many requests KV memory holds at once while others wait, and how many tokens it makes a server compute again.

A request is let in, in order of arrival, while its prompt fits; every running one grows by its output; where no room is
left to grow, the newest is turned out, waits in front of all others and is computed again (vLLM's V1 scheduler). Since
requests differ in length, memory holds no fixed number of them: the one whose turn it is waits longer the longer it is,
and what is free meanwhile serves nobody. Such a queue has no closed form. But what it serves at most is what it serves
while others always wait (Baccelli and Foss 1995, On the saturation rule for the stability of queues), and then what
memory holds changes with tokens, not with seconds: played through once, it holds for all step costs.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappop, heappush

import numpy as np

from analyzer.capacity.costs import Array
from analyzer.capacity.lengths import Points

MARGIN_TOKENS = 8.0
"""Half a block of 16 tokens is empty on average."""
REQUESTS = 2000
WARM_UP = 400
POINTS = 8
"""Counts that stand for their distribution."""
SURE = 4.0
"""Standard deviations of what full seats hold, beyond which memory is no limit to them."""


@dataclass(frozen=True, slots=True)
class Room:
    """Of one replica: `counts` are equally likely numbers of requests that run while others wait, ascending.

    `square` is the squared coefficient of variation of what one takes of the room: steps times seats or tokens.
    `again` are tokens computed again per request, over those of its prompt.
    """

    counts: tuple[float, ...]
    square: float
    again: float = 0.0

    @classmethod
    def of_seats(cls, seats: float, outputs: Points) -> Room:
        """Seats alone are the limit."""
        return cls((seats,) * POINTS, _square(np.array(outputs)))


@dataclass(frozen=True, slots=True)
class Rooms:
    """Of k draws, or of one for all: `counts` is (k, `POINTS`), the others (k, 1)."""

    counts: Array
    square: Array
    again: Array

    @classmethod
    def of(cls, each: list[Room]) -> Rooms:
        """One room per draw."""
        square, again = (np.array([[getattr(one, name)] for one in each]) for name in ("square", "again"))
        return cls(np.array([one.counts for one in each]), square, again)

    @property
    def mean(self) -> Array:
        """Mean requests at once (k, 1)."""
        return np.asarray(self.counts.mean(axis=1, keepdims=True))


def room(prompts: Points, outputs: Points, context_tokens: float, seats: float, kv_tokens: float) -> Room:
    """What seats and KV memory hold of requests with these prompts, cached tokens included, and outputs in tokens.

    `context_tokens` are those that a running request holds on average.
    """
    each, grown = np.array(prompts) + MARGIN_TOKENS, np.array(outputs)
    spread = float(np.hypot(np.std(each), np.std(grown)))
    held = context_tokens + MARGIN_TOKENS
    if seats * held + SURE * np.sqrt(seats) * spread + float(each.max()) <= kv_tokens:
        return Room.of_seats(seats, outputs)
    if kv_tokens <= held:
        return Room.of_seats(1.0, outputs)
    rng = np.random.default_rng(0)
    sizes, grown = (rng.permuted(np.resize(one, REQUESTS)) for one in (each, grown))
    return _played(sizes.tolist(), grown.tolist(), kv_tokens, int(seats), float(np.mean(prompts)))


def _played(sizes: list[float], grown: list[float], kv_tokens: float, seats: int, prompt: float) -> Room:
    """Requests of `sizes` tokens that each grow by `grown`, one token of all at a time: that is what time counts."""
    now = used = again = 0.0
    waiting = list(range(len(sizes) - 1, -1, -1))
    done = [0.0] * len(sizes)
    running: dict[int, float] = {}
    ends: list[tuple[float, int]] = []
    spent: dict[int, float] = {}
    finished = 0
    while waiting:
        while waiting and len(running) < seats:
            first = waiting[-1]
            size = sizes[first] + done[first]
            # What the running ones need for their next token is not given away. One alone always fits.
            if running and size > kv_tokens - used - len(running):
                break
            running[first] = now
            used += size
            heappush(ends, (now + grown[first] - done[first], waiting.pop()))
        end_at, first = ends[0]
        if first not in running or end_at != running[first] + grown[first] - done[first]:
            heappop(ends)
            continue
        count = len(running)
        lasts = end_at - now
        full_in = (kv_tokens - used) / count
        out = full_in < lasts and count > 1
        lasts = max(full_in, 0.0) if out else lasts
        now += lasts
        used += count * lasts
        if finished >= WARM_UP:
            spent[count] = spent.get(count, 0.0) + lasts
        if out:
            first, since = running.popitem()
            done[first] += now - since
            waiting.append(first)
            used -= sizes[first] + done[first]
            if finished >= WARM_UP:
                again += sizes[first] + done[first]
        else:
            heappop(ends)
            used -= sizes[first] + grown[first]
            del running[first]
            finished += 1
    taken = np.array(grown) * (np.array(sizes) + np.array(grown) / 2)
    return Room(_points(spent), _square(taken), again / max(finished - WARM_UP, 1) / prompt)


def _square(taken: Array) -> float:
    return float(np.var(taken) / np.mean(taken) ** 2) if taken.any() else 0.0


def _points(spent: dict[int, float]) -> tuple[float, ...]:
    """Means of equally likely parts of the counts, by the time that was spent at each."""
    counts = np.array(sorted(spent), dtype=np.float64)
    time = np.array([spent[int(one)] for one in counts])
    ends = np.concatenate([[0.0], np.cumsum(time) / time.sum()])
    reached = np.concatenate([[0.0], np.cumsum(time * counts) / time.sum()])
    parts = np.interp(np.linspace(0, 1, POINTS + 1), ends, reached)
    # Whole counts stay whole: sums of floats miss them by the last digit.
    return tuple(map(float, np.round(np.diff(parts) * POINTS, 9)))
