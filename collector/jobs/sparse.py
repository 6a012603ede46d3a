"""Which polls of a replica store its histograms: one in a minute, since each is as wide as a row of figures."""

from __future__ import annotations

from collections.abc import Iterable

from analyzer.samples import ReplicaKey

HISTOGRAM_PERIOD_S = 60.0


class Sparse:
    """When each replica of a target last had its histograms stored, and in which life of its process."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last: dict[ReplicaKey, tuple[str | None, float]] = {}

    def due(self, replica: ReplicaKey, process_start: str | None, now_s: float, interval_s: float) -> bool:
        """Whether this poll, at `now_s` on the monotonic clock, is the one; if so, the next is a period later.

        The first of a process always is: what follows is counted from it. Else the poll nearest to a period's end.
        """
        start, last_s = self._last.get(replica, (None, now_s - HISTOGRAM_PERIOD_S))
        if start == process_start and now_s - last_s < HISTOGRAM_PERIOD_S - interval_s / 2:
            return False
        self._last[replica] = process_start, now_s
        return True

    def keep(self, replicas: Iterable[ReplicaKey]) -> None:
        """Forget all other replicas."""
        self._last = {replica: self._last[replica] for replica in replicas if replica in self._last}
