"""Samples stop before a disk is full: a full one takes no roll-up, and not even the deletion that would free it."""

from __future__ import annotations

from dataclasses import dataclass

from collector.errors import DiskLowError
from collector.health import DiskHealth
from collector.settings.model import Storage
from collector.store import Store

RESUME_FACTOR = 1.1
"""Samples go on with a tenth more room than they stop at: else each written batch would stop the next."""
_MB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Watermark:
    """The room left to roll-ups and to others: so many bytes, or this share (0..1) of the disk where that is more."""

    min_free_bytes: int = 0
    min_free_ratio: float = 0.0

    def least_bytes(self, total_bytes: int) -> int:
        """The free bytes below which samples stop on a disk of so many bytes."""
        return max(self.min_free_bytes, round(self.min_free_ratio * total_bytes))


NO_WATERMARK = Watermark()


def watermark_of(storage: Storage) -> Watermark:
    """The room that the configuration leaves."""
    return Watermark(storage.min_free_bytes, storage.min_free_ratio)


class DiskGuard:
    """Asks a database's disk before samples are written. Used by the thread that writes them."""

    def __init__(self, store: Store, watermark: Watermark) -> None:
        self._store = store
        self._watermark = watermark
        self.health: DiskHealth | None = None
        """What was found last; None before the first time, and for a database that is on no disk of ours."""

    def require_room(self) -> None:
        """Raises DiskLowError while there is too little room, and StoreError when the disk cannot be asked."""
        room = self._store.room()
        if room is None:
            return
        least = self._watermark.least_bytes(room.total_bytes)
        stopped = self.health is not None and self.health.stopped
        wanted = least * RESUME_FACTOR if stopped else least
        self.health = DiskHealth(room.free_bytes, least, room.free_bytes < wanted)
        if self.health.stopped:
            raise DiskLowError(
                f"{self._store.place}: its disk has {room.free_bytes / _MB:.1f} MB free, and samples wait until it has"
                f" {least * RESUME_FACTOR / _MB:.1f}: free space on it, or keep less with storage.retention.max_bytes"
            )
