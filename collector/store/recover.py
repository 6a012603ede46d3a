"""A SQLite file that cannot be used is moved aside, never deleted, so that a daemon can begin a fresh one."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from collector.clock import Clock
from collector.errors import StoreError

_UNUSABLE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_BUSY_S = 10.0
_INDEX_BYTES = 32_768
"""The least size of the index beside the log."""


def set_aside_if_unusable(path: Path, clock: Clock) -> Path | None:
    """Move a corrupt file, or one that is no database, aside with its log; its new name, None where all is well.

    A missing or empty file is a new database. The caller holds the file's lock. Raises StoreError when the file
    cannot be read for another reason: it is then left alone.
    """
    if not path.exists() or _usable(path):
        return None
    stamp = datetime.fromtimestamp(clock.wall_s(), UTC).strftime("%Y%m%dT%H%M%SZ")
    aside = _unused(path.with_name(f"{path.name}.corrupt-{stamp}"))
    try:
        for suffix in ("-wal", "-shm", ""):
            part = path.with_name(path.name + suffix)
            if part.exists():
                part.rename(aside.with_name(aside.name + suffix))
    except OSError as error:
        raise StoreError(f"SQLite file {path} is corrupt and cannot be moved aside: {error.strerror}") from error
    return aside


def _usable(path: Path, mode: str = "ro") -> bool:
    # A connection that may write would delete the log of a file it cannot make sense of.
    try:
        source = f"file:{quote(str(path))}?mode={mode}"
        with closing(sqlite3.connect(source, uri=True, timeout=_BUSY_S)) as connection:
            said = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        code = error.sqlite_errorcode
        if code & 0xFF in _UNUSABLE:
            return False
        if code == sqlite3.SQLITE_READONLY_ROLLBACK and mode == "ro":
            return _usable(path, "rw")
        # SQLite's log has an index that takes its place too, and calls that an I/O error.
        full = shutil.disk_usage(path.parent).free < _INDEX_BYTES
        raise StoreError(f"SQLite file {path} cannot be checked: {'the disk is full' if full else error}") from error
    return bool(said == ("ok",))


def _unused(name: Path) -> Path:
    """The name itself, or with the first number that makes it new."""
    number = 1
    free = name
    while free.exists():
        number += 1
        free = name.with_name(f"{name.name}-{number}")
    return free
