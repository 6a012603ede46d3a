"""A folder of another host's, as far as the kernel knows: SSHFS over a socket pair to OpenSSH's own SFTP server."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.fakes.tools import require, require_file

SERVER = "/usr/lib/openssh/sftp-server"
LIMIT_S = 30.0


@contextmanager
def network_disk(folder: Path) -> Iterator[Path]:
    """A folder below `folder` that lies on it; unmounted at the end.

    Skips the test, loudly, where mounting takes more rights or tools than there are.
    """
    sshfs = require("sshfs", "sshfs")
    require_file(SERVER, "openssh-sftp-server")
    if os.geteuid() != 0 or not Path("/dev/fuse").exists():
        pytest.skip("NOT CHECKED: mounting a network file system takes root and /dev/fuse")
    remote, mounted = folder / "remote", folder / "mounted"
    remote.mkdir()
    mounted.mkdir()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        server = subprocess.Popen([SERVER], stdin=theirs, stdout=theirs)
        client = subprocess.Popen([sshfs, "-f", "-o", "passive", f":{remote}", str(mounted)], stdin=ours, stdout=ours)
    try:
        until_s = time.monotonic() + LIMIT_S
        while not os.path.ismount(mounted):
            if client.poll() is not None:
                pytest.skip(f"NOT CHECKED: sshfs ended with {client.returncode}: no mount of FUSE's here")
            assert time.monotonic() < until_s
            time.sleep(0.02)
        yield mounted
    finally:
        subprocess.run(["umount", "-l", str(mounted)], capture_output=True, timeout=60)
        for one in (client, server):
            one.kill()
            one.wait(LIMIT_S)
