"""Holds derived counters that may dip for a moment at their highest value, until the engine restarts."""

from __future__ import annotations

from dataclasses import replace

from collector.scrape.reading import PageReading, ReplicaReading, fell


class Floors:
    """One target's memory of the fields that its engine's specification calls `monotone`.

    A difference of two counters that are not updated together can fall although both grow.
    Held at its maximum it is a counter again: late by what is under way, right in the long run.
    """

    __slots__ = ("_fields", "_last", "_process_start")

    def __init__(self, fields: frozenset[str]) -> None:
        self._fields = fields
        self._process_start: str | None = None
        self._last: dict[tuple[str, str], ReplicaReading] = {}

    def apply(self, reading: PageReading) -> PageReading:
        """The reading with each of the fields at least as high as before, within one life of the process."""
        if not self._fields:
            return reading
        if reading.process_start != self._process_start:
            self._last = {}
            self._process_start = reading.process_start
        held = [(replica, self._held(replica)) for replica in reading.replicas]
        self._last = {(replica.model, replica.rank): replica for _, replica in held}
        if all(given is replica for given, replica in held):
            return reading
        return replace(reading, replicas=tuple([replica for _, replica in held]))

    def _held(self, replica: ReplicaReading) -> ReplicaReading:
        before = self._last.get((replica.model, replica.rank))
        if before is None:
            return replica
        higher = {}
        for name in self._fields:
            old, new = before.fields[name], replica.fields[name]
            if old is not None and new is not None and new < old:
                higher[name] = old
        # Whether it was restarted is asked last: hardly ever is anything lower.
        if not higher or fell(before.fields, replica.fields, self._fields):
            return replica
        return replace(replica, fields={**replica.fields, **higher})
