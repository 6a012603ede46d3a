"""A disk of a few megabytes, which a test may fill."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, size_mb: int) -> Iterator[Path]:
    """A folder below `folder` that is a file system of its own, in memory; unmounted at the end.

    Skips the test, loudly, where mounting takes more rights or tools than there are.
    """
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("NOT CHECKED: a disk of its own takes root and mount")
    mounted = folder / "disk"
    mounted.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size_mb}m", "tmpfs", str(mounted)]
    done = subprocess.run(mount, capture_output=True, timeout=60)
    if done.returncode != 0:
        pytest.skip(f"NOT CHECKED: no tmpfs can be mounted here: {done.stderr.decode().strip()}")
    try:
        yield mounted
    finally:
        # Lazily: a process that was just killed may hold a file for a moment more.
        subprocess.run(["umount", "-l", str(mounted)], check=True, timeout=60)


def fill(disk: Path, leave_bytes: int) -> Path:
    """Fill it with a file until so many bytes are free; the file."""
    ballast = disk / "ballast"
    free = os.statvfs(disk)
    with ballast.open("wb") as file:
        left = free.f_bavail * free.f_frsize - leave_bytes
        while left > 0:
            left -= file.write(bytes(min(left, 65536)))
    return ballast
