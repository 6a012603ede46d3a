"""One GET within one deadline: bounded time, bounded bytes, no redirects, and every failure a `SourceError`."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import ssl as tls
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol
from urllib.parse import SplitResult, urljoin, urlsplit

import aiohttp

from collector.errors import Kind, SourceError
from collector.scrape.inflate import Inflater
from collector.scrape.limits import Limits

ACCEPT = "text/plain;version=0.0.4,*/*;q=0.1"
"""OpenMetrics is read but not asked for: Python's prometheus_client would then write `vllm_...` for `vllm:...`."""
_DENIED = (ipaddress.ip_network("169.254.0.0/16"), ipaddress.ip_network("fe80::/10"))
_KEEPALIVE_S = 75.0
_STATUS_KINDS: dict[int, Kind] = {
    HTTPStatus.UNAUTHORIZED: Kind.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN: Kind.UNAUTHORIZED,
    HTTPStatus.SERVICE_UNAVAILABLE: Kind.NOT_READY,
}
_STATUS_TEXTS: dict[int, str] = {
    HTTPStatus.UNAUTHORIZED: "wants credentials, or other ones",
    HTTPStatus.FORBIDDEN: "refuses our credentials, or wants some",
    HTTPStatus.NOT_FOUND: "nothing at this path",
    HTTPStatus.NOT_IMPLEMENTED: "the server does not offer this; metrics may have to be switched on there",
    HTTPStatus.SERVICE_UNAVAILABLE: "up, but not ready: it may be loading its model",
}


@dataclass(frozen=True, slots=True)
class Response:
    """A complete answer with status 200. `headers` have lower-case names; `body` is uncompressed."""

    status: int
    body: bytes
    content_type: str
    headers: Mapping[str, str]
    duration_s: float


class Getter(Protocol):
    """Whatever answers GETs as `Fetcher` does."""

    async def get(
        self,
        url: str,
        *,
        limits: Limits,
        headers: Mapping[str, str] | None = None,
        ssl: tls.SSLContext | bool = True,
        server_name: str | None = None,
    ) -> Response:
        """The answer to one GET. Raises SourceError."""


class LinkLocalError(OSError):
    """A connection to a link-local address, where clouds keep credentials: refused before it is made."""


def client_session(connections: int = 1000) -> aiohttp.ClientSession:
    """The daemon's HTTP client; close it after use. Must be called inside the event loop that uses it.

    No cookies, no proxies from the environment, no automatic decompression, no connection to link-local addresses
    (checked on the address that is connected to, whatever name led there).
    """
    connector = aiohttp.TCPConnector(
        limit=connections, keepalive_timeout=_KEEPALIVE_S, ttl_dns_cache=30, socket_factory=_socket
    )
    return aiohttp.ClientSession(
        connector=connector,
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None),
    )


def _socket(address_info: tuple[int, int, int, str, tuple[object, ...]]) -> socket.socket:
    family, kind, protocol, _, address = address_info
    if _is_denied(str(address[0])):
        raise LinkLocalError(f"{address[0]} is a link-local address, which is never polled")
    return socket.socket(family, kind, protocol)


def _is_denied(address: str) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return any(ip in network for network in _DENIED)


class Fetcher:
    """GETs with limits. Safe to share between all targets of a daemon."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def get(
        self,
        url: str,
        *,
        limits: Limits,
        headers: Mapping[str, str] | None = None,
        ssl: tls.SSLContext | bool = True,
        server_name: str | None = None,
    ) -> Response:
        """The answer to one GET, if it is a 200 that arrives whole within the limits.

        `headers` are added to ours (credentials go here). `ssl` is a context, True to verify against the system's
        authorities, False not to verify. `server_name` is the name the certificate must carry, if not the URL's.
        A kept-alive connection that the server has closed meanwhile is replaced once, within the same deadline
        (aiohttp does this for idempotent requests).
        Raises SourceError, whose text holds no part of the URL but host and port.
        """
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        where = _checked(url)
        sent = {"Accept": ACCEPT, "Accept-Encoding": "identity", "User-Agent": "breakeven", **(headers or {})}
        with _translated(where, limits):
            async with (
                asyncio.timeout(limits.timeout_s),
                self._session.get(
                    url, headers=sent, ssl=ssl, server_hostname=server_name, allow_redirects=False
                ) as answer,
            ):
                try:
                    _check_status(answer)
                    body = await _read(answer, limits.body_size_limit_bytes)
                except BaseException:
                    answer.close()  # what is left unread must not be drained
                    raise
        return Response(
            status=answer.status,
            body=body,
            content_type=answer.headers.get("Content-Type", "").lower(),
            headers={name.lower(): value for name, value in answer.headers.items()},
            duration_s=loop.time() - started_s,
        )


def _checked(url: str) -> str:
    """Host and port of a URL that may be fetched. Raises SourceError for what is never fetched."""
    try:
        parts = urlsplit(url)
        where = _where(parts)
    except ValueError:
        raise SourceError(Kind.REFUSED, "the target's address is not a URL") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise SourceError(Kind.REFUSED, "the target's address must begin with http:// or https:// and name a host")
    if parts.username is not None or parts.password is not None:
        raise SourceError(Kind.REFUSED, "credentials belong into basic_auth or authorization, not into the address")
    return where


def _where(parts: SplitResult) -> str:
    host = parts.hostname or ""
    port = parts.port if parts.port is not None else {"http": 80, "https": 443}.get(parts.scheme)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _check_status(answer: aiohttp.ClientResponse) -> None:
    status = answer.status
    if status == HTTPStatus.OK:
        return
    if "Location" in answer.headers and 300 <= status < 400:
        raise SourceError(Kind.REDIRECT, f"HTTP {status}: redirects {_place(answer)}; redirects are never followed")
    text = _STATUS_TEXTS.get(status)
    kind = _STATUS_KINDS.get(status, Kind.HTTP_STATUS)
    raise SourceError(kind, f"HTTP {status}" if text is None else f"HTTP {status}: {text}")


def _place(answer: aiohttp.ClientResponse) -> str:
    """Where a redirect leads, without its path and query, which may hold secrets."""
    try:
        here = urlsplit(str(answer.url))
        there = urlsplit(urljoin(str(answer.url), answer.headers["Location"]))
        if (there.scheme, there.hostname, there.port) == (here.scheme, here.hostname, here.port):
            return "to another path of itself"
        return f"to {_where(there)} over {there.scheme}"
    except ValueError:
        return "to an invalid address"


async def _read(answer: aiohttp.ClientResponse, limit_bytes: int) -> bytes:
    """The body, uncompressed. Raises SourceError as soon as it exceeds the limit."""
    inflater = Inflater.for_encoding(answer.headers.get("Content-Encoding", ""), limit_bytes)
    if inflater is None:
        return await _read_plain(answer, limit_bytes)
    async for chunk in answer.content.iter_any():
        inflater.feed(chunk)
    return inflater.finish()


async def _read_plain(answer: aiohttp.ClientResponse, limit_bytes: int) -> bytes:
    if answer.content_length is not None and answer.content_length > limit_bytes:
        raise SourceError(Kind.TOO_LARGE, f"the page has {answer.content_length} bytes; body_size_limit {limit_bytes}")
    chunks: list[bytes] = []
    size_bytes = 0
    async for chunk in answer.content.iter_any():
        size_bytes += len(chunk)
        if size_bytes > limit_bytes:
            raise SourceError(Kind.TOO_LARGE, f"the page exceeds body_size_limit ({limit_bytes} bytes)")
        chunks.append(chunk)
    return b"".join(chunks)


@contextlib.contextmanager
def _translated(where: str, limits: Limits) -> Iterator[None]:
    """Turns whatever a request raises into a SourceError with one line that names host and port only."""
    try:
        yield
    except SourceError:
        raise
    except aiohttp.ClientConnectorDNSError:
        raise SourceError(Kind.DNS, f"the host name of {where} cannot be resolved") from None
    except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientSSLError, tls.SSLError) as error:
        raise SourceError(Kind.TLS, f"TLS with {where} failed: {_tls_text(error)}") from None
    except aiohttp.ClientConnectorError as error:
        raise _connect_error(where, error.os_error) from None
    except TimeoutError:
        raise SourceError(Kind.TIMEOUT, f"no complete answer from {where} within {limits.timeout_s:g} s") from None
    except (aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError, aiohttp.ClientOSError):
        raise SourceError(Kind.DISCONNECTED, f"{where} broke off the connection before its answer was whole") from None
    except aiohttp.ClientResponseError as error:
        raise _protocol_error(where, error) from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise SourceError(Kind.DISCONNECTED, f"the request to {where} failed: {type(error).__name__}") from None


def _connect_error(where: str, error: OSError) -> SourceError:
    if isinstance(error, LinkLocalError):
        return SourceError(Kind.REFUSED, f"not connecting to {where}: {error}")
    if isinstance(error, ConnectionRefusedError):
        return SourceError(Kind.REFUSED, f"{where} refuses the connection: nothing listens there")
    if isinstance(error, TimeoutError):
        return SourceError(Kind.TIMEOUT, f"{where} does not answer: the connection timed out")
    return SourceError(Kind.REFUSED, f"cannot connect to {where}: {error.strerror or type(error).__name__}")


def _tls_text(error: Exception) -> str:
    cause = error
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        cause = error.certificate_error
    elif isinstance(error, aiohttp.ClientSSLError):
        cause = error.os_error
    if isinstance(cause, tls.SSLCertVerificationError):
        return f"certificate: {cause.verify_message}"
    reason = getattr(cause, "reason", None)
    if reason == "WRONG_VERSION_NUMBER":
        return "it does not speak TLS; should the scheme be http?"
    return str(reason).lower().replace("_", " ") if reason else type(cause).__name__


def _protocol_error(where: str, error: aiohttp.ClientResponseError) -> SourceError:
    if error.message.startswith(("Got more than", "Too many headers")):  # aiohttp tells these apart by text only
        return SourceError(Kind.TOO_LARGE, f"{where} sends larger headers than we accept")
    return SourceError(Kind.NOT_METRICS, f"{where} does not answer in HTTP")
