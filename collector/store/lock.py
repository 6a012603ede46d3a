"""One writing process for a SQLite file: a lock beside it that the kernel drops when the process ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from collector.errors import DatabaseInUseError, StoreError


class FileLock:
    """Holds `<file>.lock`, which names the holder's process, until `release`.

    The lock is on a file of its own: closing any handle on the database itself would drop SQLite's locks.
    Raises DatabaseInUseError when another process holds it, and StoreError when it cannot be made.
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
            raise DatabaseInUseError(
                f"SQLite file {path} is in use by process {holder or 'unknown'}{_stopped(holder)}: one daemon may "
                "write to it; stop the other one, or give each a database of its own"
            ) from error
        # On a full disk the lock holds all the same, and only does not say whose it is.
        with contextlib.suppress(OSError):
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def stands(self) -> bool:
        """Whether the lock's file is still there under its name: without it, another process could hold a new one."""
        try:
            found = os.stat(self._path)
        except OSError:
            return False
        return os.path.samestat(found, os.fstat(self._file))

    def release(self) -> None:
        """Let the next process in; the file stays, since removing it would let two in at once."""
        os.close(self._file)


def _stopped(holder: str) -> str:
    """Says so where the holder stands still under SIGSTOP: it may do so within a write, so it keeps the file."""
    try:
        state = Path(f"/proc/{int(holder)}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2]
    except (OSError, ValueError):
        return ""
    return ", which is stopped (kill -CONT lets it go on)" if state.split()[:1] == ["T"] else ""
