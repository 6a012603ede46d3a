"""Which processes of this machine serve an address: its listener and all below it, read from /proc."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

PROC = Path("/proc")
_LISTEN = "0A"
_HOST_PID_NAMESPACE = "pid:[4026531836]"
"""The kernel's fixed number of the first PID namespace, the one in which the GPU driver counts processes."""
_OWN_NAMESPACE = (
    "this process counts processes apart from the host, and the driver as the host does: give it the host's PID "
    "namespace (docker run --pid=host, hostPID: true), or state gpu_joins"
)
Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Served:
    """The processes that serve an address; without any, `problem` says why ("" for an address of another machine)."""

    process_ids: frozenset[int] = frozenset()
    problem: str = ""


class Processes:
    """One machine's processes. Every call reads /proc anew, which may take tens of milliseconds."""

    def __init__(self, proc: Path = PROC) -> None:
        """`proc` is where the kernel shows them."""
        self._proc = proc

    def serving(self, addresses: Sequence[str]) -> Mapping[str, Served]:
        """By `host:port`, the listeners on it with all their descendants. Never raises for what /proc lacks."""
        own = self._own_addresses()
        wanted = {address: hosts for address in addresses if (hosts := self._hosts(address, own))}
        result = {address: Served() for address in addresses}
        if not wanted:
            return result
        if self._namespace() != _HOST_PID_NAMESPACE:
            return result | {address: Served(problem=_OWN_NAMESPACE) for address in wanted}
        sockets = list(self._listening())
        inodes = {address: _bound(hosts, _port(address), sockets) for address, hosts in wanted.items()}
        holders = self._holders(frozenset().union(*inodes.values()))
        children = self._children()
        for address, mine in inodes.items():
            found = {process_id for inode in mine for process_id in holders.get(inode, ())}
            result[address] = Served(_with_descendants(found, children), _problem(address, mine, found))
        return result

    def _hosts(self, address: str, own: frozenset[Address]) -> frozenset[Address]:
        """The addresses that `host:port` means here; none for another machine's."""
        host = address.rpartition(":")[0].strip("[]")
        loopback: frozenset[Address] = frozenset({IPv4Address("127.0.0.1"), IPv6Address("::1")})
        if host == "localhost":
            return loopback
        try:
            one = ip_address(host)
        except ValueError:
            return own | loopback if host == self._hostname() else frozenset()
        return frozenset({one}) if one.is_loopback or one in own else frozenset()

    def _hostname(self) -> str:
        return _text(self._proc / "sys/kernel/hostname").strip()

    def _namespace(self) -> str:
        try:
            return str((self._proc / "self/ns/pid").readlink())
        except OSError:
            return ""

    def _own_addresses(self) -> frozenset[Address]:
        """This machine's addresses, from the kernel's routing table and its list of IPv6 addresses."""
        found: set[Address] = set()
        leaf = ""
        for line in _text(self._proc / "net/fib_trie").splitlines():
            words = line.split()
            if words[:1] == ["|--"]:
                leaf = words[-1]
            elif leaf and words[-2:] == ["host", "LOCAL"]:
                found.add(IPv4Address(leaf))
        for line in _text(self._proc / "net/if_inet6").splitlines():
            found.add(IPv6Address(bytes.fromhex(line.split()[0])))
        return frozenset(found)

    def _listening(self) -> Iterator[tuple[Address, int, str]]:
        """Address, port and inode of every listening TCP socket."""
        for name in ("net/tcp", "net/tcp6"):
            for line in _text(self._proc / name).splitlines()[1:]:
                words = line.split()
                if len(words) > 9 and words[3] == _LISTEN:
                    host, _, port = words[1].partition(":")
                    yield _kernel_address(host), int(port, 16), words[9]

    def _holders(self, inodes: frozenset[str]) -> dict[str, set[int]]:
        """The processes that hold each socket open, as far as they may be looked into."""
        found: dict[str, set[int]] = {}
        for process_id in self._process_ids() if inodes else ():
            for link in _links(self._proc / str(process_id) / "fd"):
                inode = link.removeprefix("socket:[").removesuffix("]")
                if inode != link and inode in inodes:
                    found.setdefault(inode, set()).add(process_id)
        return found

    def _children(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for process_id in self._process_ids():
            # The name, in parentheses, may hold anything; the state and the parent stand after it.
            words = _text(self._proc / str(process_id) / "stat").rpartition(")")[2].split()
            if len(words) > 1:
                found.setdefault(int(words[1]), []).append(process_id)
        return found

    def _process_ids(self) -> list[int]:
        try:
            return [int(name) for name in os.listdir(self._proc) if name.isdecimal()]
        except OSError:
            return []


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])


def _bound(hosts: frozenset[Address], port: int, sockets: Iterable[tuple[Address, int, str]]) -> frozenset[str]:
    """The sockets that take a connection to these addresses: those bound to one of them before those bound to all."""
    here = [(host, inode) for host, number, inode in sockets if number == port]
    exact = frozenset(inode for host, inode in here if host in hosts)
    return exact or frozenset(inode for host, inode in here if host.is_unspecified)


def _problem(address: str, inodes: frozenset[str], found: set[int]) -> str:
    if not inodes:
        return f"nothing listens on port {_port(address)} of this machine's own network"
    if not found:
        return "its process belongs to another user: run breakeven as that user or as root, or state gpu_joins"
    return ""


def _with_descendants(roots: Iterable[int], children: Mapping[int, Sequence[int]]) -> frozenset[int]:
    found: set[int] = set()
    left = list(roots)
    while left:
        process_id = left.pop()
        if process_id not in found:
            found.add(process_id)
            left += children.get(process_id, ())
    return frozenset(found)


def _kernel_address(text: str) -> Address:
    """An address as /proc/net writes it: 32-bit words in the machine's byte order. A mapped IPv4 one is that."""
    raw = bytes.fromhex(text)
    if sys.byteorder == "little":
        raw = b"".join(raw[at : at + 4][::-1] for at in range(0, len(raw), 4))
    if len(raw) == 4:
        return IPv4Address(raw)
    address = IPv6Address(raw)
    return address.ipv4_mapped or address


def _text(path: Path) -> str:
    """What a file says; nothing where it cannot be read: a process may end at any moment."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _links(folder: Path) -> Iterator[str]:
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        try:
            yield os.readlink(folder / name)
        except OSError:
            continue
