"""How much room the disk under a database's file has."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from collector.errors import StoreError


@dataclass(frozen=True, slots=True)
class Room:
    """A disk's bytes, and those of them that this user may still fill."""

    free_bytes: int
    total_bytes: int


def room_beside(path: Path) -> Room:
    """The room on the disk of a file's folder. Raises StoreError."""
    try:
        found = os.statvfs(path.parent)
    except OSError as error:
        raise StoreError(f"the disk of {path} cannot be asked for its free space: {error.strerror}") from error
    return Room(found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize)
