"""The latest spans of busy time, from which a duty cycle over the last second is read."""

from __future__ import annotations

from collections import deque


class BusySpans:
    """Spans [start, end] without a pause in them, kept for `memory_s` seconds."""

    def __init__(self, memory_s: float) -> None:
        self._memory_s = memory_s
        self._spans: deque[list[float]] = deque()

    def add(self, start_s: float, end_s: float) -> None:
        """Adds busy time behind all that was added before."""
        spans = self._spans
        if spans and spans[-1][1] == start_s:
            spans[-1][1] = end_s
            return
        spans.append([start_s, end_s])
        while spans[0][1] < end_s - self._memory_s:
            spans.popleft()

    def between(self, start_s: float, end_s: float) -> float:
        """Busy seconds of a span that lies within the memory."""
        return sum(max(0.0, min(end, end_s) - max(start, start_s)) for start, end in self._spans)
