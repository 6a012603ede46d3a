"""A made-up /proc: processes with parents and sockets, listening addresses, this machine's own addresses."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

HOST_PID_NAMESPACE = "pid:[4026531836]"
_HEADER = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


class ProcFolder:
    """Files as Linux writes them on a little-endian machine."""

    def __init__(self, folder: Path, namespace: str = HOST_PID_NAMESPACE) -> None:
        self.path = folder
        (folder / "net").mkdir(parents=True)
        (folder / "self/ns").mkdir(parents=True)
        (folder / "self/ns/pid").symlink_to(namespace)
        (folder / "sys/kernel").mkdir(parents=True)
        (folder / "sys/kernel/hostname").write_text("node-1\n")
        for name in ("tcp", "tcp6"):
            (folder / "net" / name).write_text(_HEADER)

    def process(self, process_id: int, parent: int, *inodes: int, name: str = "python3", readable: bool = True) -> None:
        """One process that holds these sockets open, and a file besides."""
        mine = self.path / str(process_id)
        mine.mkdir()
        (mine / "stat").write_text(f"{process_id} ({name}) S {parent} {process_id} {process_id} 0 -1 4194304 0\n")
        (mine / "fd").mkdir()
        (mine / "fd/0").symlink_to("/dev/null")
        for number, inode in enumerate(inodes, start=3):
            (mine / f"fd/{number}").symlink_to(f"socket:[{inode}]")
        if not readable:
            for link in (mine / "fd").iterdir():
                link.unlink()
            (mine / "fd").rmdir()

    def listens(self, address: str, port: int, inode: int, state: str = "0A") -> None:
        """A TCP socket; `state` 0A is LISTEN, 01 ESTABLISHED."""
        one = ip_address(address)
        file = self.path / "net" / ("tcp" if one.version == 4 else "tcp6")
        peer = "00000000:0000" if one.version == 4 else f"{'0' * 32}:0000"
        line = f"   0: {_kernel(one)}:{port:04X} {peer} {state} 00000000:00000000 00:00000000 00000000  1000        0"
        file.write_text(f"{file.read_text()}{line} {inode} 1 0000000000000000 100 0 0 10 0\n")

    def owns(self, ipv4: Sequence[str] = (), ipv6: Sequence[str] = ()) -> None:
        """This machine's own addresses, beside loopback."""
        leaves = "".join(
            f"           |-- {one}\n              /32 link BROADCAST\n              /32 host LOCAL\n"
            for one in ("127.0.0.1", *ipv4)
        )
        network = "           |-- 10.9.0.0\n              /16 universe UNICAST\n"
        (self.path / "net/fib_trie").write_text(f"Main:\n  +-- 0.0.0.0/0 3 0 5\n{network}{leaves}")
        lines = [f"{IPv6Address(one).packed.hex()} 02 40 20 80     eth0\n" for one in ipv6]
        (self.path / "net/if_inet6").write_text("".join(lines))


def _kernel(address: IPv4Address | IPv6Address) -> str:
    raw = address.packed
    return b"".join(raw[at : at + 4][::-1] for at in range(0, len(raw), 4)).hex().upper()
