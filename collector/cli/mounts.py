"""Which file system a path lies on, as the kernel's list of mounts tells it."""

from __future__ import annotations

import re
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")
OVER_NETWORK = frozenset(
    (
        *("9p", "afs", "beegfs", "ceph", "cifs", "coda", "gfs2", "glusterfs", "lustre", "ncpfs", "nfs"),
        *("nfs4", "ocfs2", "orangefs", "smb2", "smb3", "smbfs", "virtiofs", "fuse.ceph-fuse", "fuse.cephfs"),
        *("fuse.gcsfuse", "fuse.glusterfs", "fuse.juicefs", "fuse.mount.s3fs", "fuse.rclone", "fuse.s3fs"),
        *("fuse.seaweedfs", "fuse.sshfs", "fuse.weed"),
    )
)
"""Types whose files other machines, or a host beyond the kernel's locks, may hold as well."""
_OCTAL = re.compile(r"\\([0-7]{3})")


def filesystem_of(path: Path, mounts: str) -> str | None:
    """The type of the file system under an absolute path, by the text of `mountinfo`; None where that tells none.

    The last mount at the longest place above the path counts: it covers those before it.
    """
    found, length = None, -1
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        fields, types = before.split(" "), after.split(" ")
        if len(fields) < 5 or not types[0]:
            continue
        place = Path(_OCTAL.sub(lambda match: chr(int(match[1], 8)), fields[4]))
        if path.is_relative_to(place) and len(place.parts) >= length:
            found, length = types[0], len(place.parts)
    return found


def network_filesystem_of(path: Path) -> str | None:
    """The type of the file system under a path where it is one over a network; None elsewhere and where none tells."""
    try:
        found = filesystem_of(path.resolve(), MOUNTS.read_text(encoding="utf-8", errors="surrogateescape"))
    except OSError:
        return None
    return found if found in OVER_NETWORK else None
