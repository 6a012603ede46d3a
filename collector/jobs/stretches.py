"""Which of a target's polls may be compared: none across a step of the wall clock that they could be taken to follow.

A clock that is set back tells times that are stored already. Among those, samples taken later would lie between samples
taken before, and the difference of two such neighbours is work of minutes or hours shown as that of seconds. So they
are an epoch of their own until the clock has passed all that went before.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from analyzer.windows import MAX_GAP_INTERVALS
from collector.clock import STEP_S


@dataclass(slots=True, eq=False)
class _Stretch:
    """Samples whose times grow in the order in which they were taken; `newest_s` is the last one's, unix time."""

    mark: str | None
    newest_s: float = -inf


class Stretches:
    """One target's. To the first, which has no mark, belong all polls while the clock is never set.

    Within a stretch no two neighbours lie across a step, unless so far apart that they make no window.
    """

    __slots__ = ("_all", "_current", "_gap_s", "_marks", "_offset_s")

    def __init__(self, interval_s: float, newest_s: float | None = None) -> None:
        """`newest_s` is when a poll that an earlier run stored was sent: the clock may have been set meanwhile."""
        self._gap_s = MAX_GAP_INTERVALS * interval_s
        self._all = [_Stretch(None, -inf if newest_s is None else newest_s)]
        self._current = self._all[0]
        self._offset_s: float | None = None
        """How far the wall clock was ahead of the monotonic one at the last poll."""
        self._marks: frozenset[str] = frozenset()

    def mark(self, wall_s: float, monotonic_s: float) -> str | None:
        """The mark of the stretch that a poll belongs to, by both clocks when it was sent; None for the first."""
        offset_s, former = wall_s - monotonic_s, self._current
        stepped = self._offset_s is not None and abs(offset_s - self._offset_s) > STEP_S

        def free(one: _Stretch) -> bool:
            goes_on = one is former and not stepped
            return wall_s > one.newest_s + (0.0 if goes_on else self._gap_s)

        # Back to the oldest as soon as may be: its history is the longest.
        chosen = next(filter(free, self._all), None)
        if chosen is None:
            chosen = _Stretch(self._new_mark(f"clock set at {former.newest_s:.3f}"))
            self._all.append(chosen)
        chosen.newest_s, self._current, self._offset_s = wall_s, chosen, offset_s
        # Those that the clock has passed have done their service, but for the first.
        self._all = [one for one in self._all if one.mark is None or one.newest_s >= wall_s]
        return chosen.mark

    def _new_mark(self, wanted: str) -> str:
        """The clock may be set twice after the very same time: the second stretch is not the first."""
        mark, number = wanted, 1
        while mark in self._marks:
            number += 1
            mark = f"{wanted}, {number}"
        self._marks |= {mark}
        return mark
