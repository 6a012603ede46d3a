"""Which epoch a replica is in: asked of the store once, remembered while nothing that matters changes."""

from __future__ import annotations

from analyzer.samples import Identity, ReplicaKey
from collector.store import Store

MOST = 20_000
"""So many replicas are remembered: a server that calls its model anew with every poll has no end of them."""


class EpochBook:
    """Remembers each replica's epoch. Used by the writer's thread only."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[ReplicaKey, tuple[Identity, str | None, int]] = {}

    def epoch(self, key: ReplicaKey, identity: Identity, process_start: str | None, job: str, at_s: float) -> int:
        """The number of the epoch. Raises StoreError."""
        known = self._known.get(key)
        if known is not None and known[:2] == (identity, process_start):
            return known[2]
        number = self._store.writer.register(key, identity, process_start, job, at_s)
        if len(self._known) >= MOST:
            self._known.pop(next(iter(self._known)))
        self._known[key] = (identity, process_start, number)
        return number

    def forget(self) -> None:
        """Ask the store again: it no longer has what it told."""
        self._known.clear()
