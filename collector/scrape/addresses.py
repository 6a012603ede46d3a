"""Where a host is: the addresses that may be connected to, looked up by the system's resolver and kept for a while."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

_RESOLVED_S = 30.0
_RESOLVERS = 32
"""So many names may be looked up at once; those whose resolver hangs must not hold up the others."""
_DENIED = (ipaddress.ip_network("169.254.0.0/16"), ipaddress.ip_network("fe80::/10"))

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
AddressInfo = tuple[int, int, int, str, tuple[object, ...]]


class ForbiddenError(OSError):
    """A connection to an address that is never polled, or not among the allowed ones: refused before it is made."""


class ResolveError(OSError):
    """The host's name has no address."""


class ConnectError(OSError):
    """No address of the host could be connected to; `cause` says why the last one could not."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(str(cause))
        self.cause = cause


class Addresses:
    """All that are known; close it after use. Made inside the event loop that uses it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, allowed: Sequence[Network]) -> None:
        """`allowed` are the networks that may be connected to (none: any)."""
        self._loop = loop
        self._allowed = tuple(allowed)
        self._resolved: dict[tuple[str, int], tuple[float, list[AddressInfo]]] = {}
        self._lookups: dict[tuple[str, int], asyncio.Task[list[AddressInfo]]] = {}
        self._resolvers = ThreadPoolExecutor(_RESOLVERS, "resolver")

    def close(self) -> None:
        """Waits for no resolver."""
        self._resolvers.shutdown(wait=False, cancel_futures=True)

    def forget_old(self) -> None:
        """Drops what was looked up too long ago."""
        now_s = self._loop.time()
        self._resolved = {key: found for key, found in self._resolved.items() if now_s < found[0]}

    async def of(self, host: str, port: int) -> list[AddressInfo]:
        """Those that may be connected to, whatever name led there.

        Raises ResolveError, and ConnectError where none may.
        """
        addresses = await self._all(host, port)
        refusals = [self._refusal(str(one[4][0])) for one in addresses]
        if refusals and all(refusals):
            raise ConnectError(ForbiddenError(refusals[0]))
        return [one for one, refusal in zip(addresses, refusals, strict=True) if refusal is None]

    async def _all(self, host: str, port: int) -> list[AddressInfo]:
        """A literal address is its own; names are looked up by the system's resolver."""
        literal = host.partition("%")[0]
        try:
            family = socket.AF_INET6 if ipaddress.ip_address(literal).version == 6 else socket.AF_INET
        except ValueError:
            pass
        else:
            return [(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port))]
        good_until_s, found = self._resolved.get((host, port), (0.0, []))
        if self._loop.time() < good_until_s:
            return found
        lookup = self._lookups.get((host, port))
        if lookup is None:
            lookup = self._lookups[host, port] = asyncio.create_task(self._look_up(host, port))
        # Whoever gives up leaves it to those who ask next: a name without an answer holds one thread, not more.
        return await asyncio.shield(lookup)

    async def _look_up(self, host: str, port: int) -> list[AddressInfo]:
        """Asks the system's resolver, which may take minutes. Raises ResolveError."""
        try:
            told = await self._loop.run_in_executor(self._resolvers, _looked_up, host, port)
        except (socket.gaierror, UnicodeError):
            raise ResolveError(host) from None
        finally:
            del self._lookups[host, port]
        self._resolved[host, port] = self._loop.time() + _RESOLVED_S, told
        return told

    def _refusal(self, address: str) -> str | None:
        """Why an address is not connected to; None when it may be."""
        ip = _ip(address)
        if any(ip in network for network in _DENIED):
            return f"{address} is a link-local address, which is never polled"
        if self._allowed and not any(ip in network for network in self._allowed):
            return f"{address} is in no network of global.allowed_networks"
        return None


def _looked_up(host: str, port: int) -> list[AddressInfo]:
    return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))


def _ip(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An address (IPv4, or IPv6 with or without a zone); an IPv4 address in IPv6's clothes is one of IPv4."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return ip if mapped is None else mapped
