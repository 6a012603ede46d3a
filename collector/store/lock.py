"""One writing process for a SQLite file: a lock beside it that the kernel drops when the process ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from collector.errors import StoreError


class FileLock:
    """Holds `<file>.lock`, which names the holder's process, until `release`.

    The lock is on a file of its own: closing any handle on the database itself would drop SQLite's locks.
    Raises StoreError when another process holds it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(f"{path.name}.lock")
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StoreError(
                f"{self._path} cannot be made ({error.strerror}): check that this user may write to its folder"
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(self._file, 32).decode(errors="replace").strip()
            os.close(self._file)
            raise StoreError(
                f"SQLite file {path} is in use by process {holder or 'unknown'}: one daemon may write to it; "
                "stop the other one, or give each a database of its own"
            ) from error
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let the next process in; the file stays, since removing it would let two in at once."""
        os.close(self._file)
