"""A growing text file, read on from where it was left: rotated, truncated or not yet there."""

from __future__ import annotations

import os
import stat
from io import RawIOBase
from itertools import islice
from pathlib import Path

MOST_BYTES = 4 * 1024**2
"""Most that one read takes; the rest waits for the next."""
BACKLOG_BYTES = 256 * 1024
"""How much of a file is looked back at when it is first opened."""
_LINE_BYTES = 64 * 1024
_MARK_BYTES = 64
"""The bytes before our place: others there mean that the file was written anew."""
_MOST_SIBLINGS = 1000


class Tail:
    """The place in one file. It is closed between two reads, so that nothing holds on to a deleted file.

    Only whole lines are given. A line longer than 64 KiB is passed over.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._inode: int | None = None
        self._offset = 0
        self._mark = b""
        self._in_long_line = False
        self.behind_bytes = 0
        """What the last read left in the file, because it was too much for one."""

    def read(self) -> list[bytes]:
        """The lines since the last call; of the first call, those in the last 256 KiB. Raises OSError."""
        with _opened(self._path) as file:
            found = os.fstat(file.fileno())
            lines: list[bytes] = []
            if self._inode is None:
                self._start(found.st_ino, max(0, found.st_size - BACKLOG_BYTES))
                self._in_long_line = self._offset > 0  # most likely in the middle of a line
            elif found.st_ino != self._inode:
                lines = self._rest_of_rotated()
                self._start(found.st_ino, 0)
            elif found.st_size < self._offset or not self._marked(file):
                self._start(found.st_ino, 0)
            lines += self._on(file)
            self.behind_bytes = max(0, found.st_size - self._offset)
            if self.behind_bytes < _LINE_BYTES:
                self.behind_bytes = 0  # a line that is being written
            return lines

    def _start(self, inode: int, offset: int) -> None:
        self._inode, self._offset, self._mark, self._in_long_line = inode, offset, b"", False

    def _marked(self, file: RawIOBase) -> bool:
        file.seek(self._offset - len(self._mark))
        return _take(file, len(self._mark)) == self._mark

    def _on(self, file: RawIOBase) -> list[bytes]:
        file.seek(self._offset)
        data = _take(file, MOST_BYTES)
        end = data.rfind(b"\n") + 1
        if end == 0:
            if len(data) > _LINE_BYTES:
                self._pass(data)
                self._in_long_line = True
            return []
        lines = data[: end - 1].split(b"\n")
        if self._in_long_line:
            del lines[0]
            self._in_long_line = False
        self._pass(data[:end])
        return [line for line in lines if len(line) <= _LINE_BYTES]

    def _pass(self, data: bytes) -> None:
        self._offset += len(data)
        self._mark = (self._mark + data[-_MARK_BYTES:])[-_MARK_BYTES:]

    def _rest_of_rotated(self) -> list[bytes]:
        """What was written to the file before it got another name beside the new one, such as `.1`."""
        try:
            with os.scandir(self._path.parent) as entries:
                for entry in islice(entries, _MOST_SIBLINGS):
                    if entry.name.startswith(self._path.name) and entry.inode() == self._inode:
                        with _opened(Path(entry.path)) as file:
                            return self._on(file) if self._marked(file) else []
        except OSError:
            return []
        return []


def _opened(path: Path) -> RawIOBase:
    """The file, unbuffered. Raises OSError, also for what is no regular file: a pipe would wait for ever."""
    file = open(path, "rb", buffering=0, opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))  # noqa: SIM115
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(0, "not a regular file")
    return file


def _take(file: RawIOBase, size: int) -> bytes:
    """Up to so many bytes; a raw read may give fewer than there are."""
    parts = []
    while size > 0 and (part := file.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
