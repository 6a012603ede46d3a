"""A frozen file system: what writes to it waits in the kernel, as in a driver that does not come back."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def frozen_disk(folder: Path) -> Iterator[Path]:
    """A folder on it, below `folder`; writers there are deaf to SIGKILL. Thawed and unmounted at the end.

    Skips the test, loudly, where this takes more rights or tools than there are.
    """
    if os.geteuid() != 0 or not all(map(shutil.which, ("mkfs.ext4", "mount", "fsfreeze"))):
        pytest.skip("NOT CHECKED: freezing a file system takes root, mkfs.ext4, mount and fsfreeze")
    image, mounted = folder / "image", folder / "mounted"
    mounted.mkdir()
    with image.open("wb") as file:
        file.truncate(16 * 1024 * 1024)
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True, timeout=60)
    done = subprocess.run(["mount", "-o", "loop", str(image), str(mounted)], capture_output=True, timeout=60)
    if done.returncode != 0:
        pytest.skip(f"NOT CHECKED: no loop mount here: {done.stderr.decode().strip()}")
    try:
        subprocess.run(["fsfreeze", "-f", str(mounted)], check=True, timeout=60)
        yield mounted
    finally:
        subprocess.run(["fsfreeze", "-u", str(mounted)], capture_output=True, timeout=60)
        # Lazily: a process that was just thawed may hold a file for a moment more.
        subprocess.run(["umount", "-l", str(mounted)], check=True, timeout=60)


def thaw(folder: Path) -> None:
    """Let its writers go on."""
    subprocess.run(["fsfreeze", "-u", str(folder)], check=True, timeout=60)
