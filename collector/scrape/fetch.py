"""One GET within one deadline: bounded time, bounded bytes, no redirects, and every failure a `SourceError`."""

from __future__ import annotations

import asyncio
import ssl as tls
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from typing import NamedTuple, Protocol
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from collector.errors import Kind, SourceError
from collector.scrape.addresses import ConnectError, ForbiddenError, Network, ResolveError
from collector.scrape.answer import Answer, NotHttpError
from collector.scrape.connections import BrokenOffError, Connections, Origin, trusting, verifying
from collector.scrape.limits import Limits

ACCEPT = "text/plain;version=0.0.4,*/*;q=0.1"
"""OpenMetrics is read but not asked for: Python's prometheus_client would then write `vllm_...` for `vllm:...`."""
_SENT = {"Accept": ACCEPT, "Accept-Encoding": "identity", "User-Agent": "breakeven"}
_PORTS = {"http": 80, "https": 443}
_PLACES = 10_000
"""So many URLs are remembered in parts."""
_PATH_CHARS = "/:@!$&'()*+,;=~%"
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
        query: str | None = None,
    ) -> Response:
        """The answer to one GET. Raises SourceError."""


def client_session(connections: int = 1000, allowed: Sequence[Network] = ()) -> Connections:
    """The daemon's HTTP connections; close them after use. Must be called inside the event loop that uses them.

    No cookies, no proxies from the environment, no connection to link-local addresses, nor outside `allowed` (checked
    on the address that is connected to, whatever name led there). At most so many requests at once.
    """
    return Connections(connections, allowed)


class _Place(NamedTuple):
    """A URL in parts: `where` is host and port for people.

    A request's first two lines are `before`, `query` and `after`; all targets of an engine share one long `query`.
    """

    https: bool
    host: str
    port: int
    where: str
    before: bytes
    query: bytes
    after: bytes

    def request(self, headers: Mapping[str, str] | None) -> bytes:
        """The request with headers beside ours. Raises SourceError for one that would not be a header."""
        ours = _lines({**_SENT, **headers}) if headers else _OURS
        return b"".join((self.before, self.query, self.after, ours))


class Fetcher:
    """GETs with limits. Safe to share between all targets of a daemon."""

    def __init__(self, session: Connections) -> None:
        self._session = session
        self._places: dict[tuple[str, str | None], _Place] = {}
        self._asked: set[int] = set()

    async def get(
        self,
        url: str,
        *,
        limits: Limits,
        headers: Mapping[str, str] | None = None,
        ssl: tls.SSLContext | bool = True,
        server_name: str | None = None,
        query: str | None = None,
    ) -> Response:
        """The answer to one GET, if it is a 200 that arrives whole within the limits.

        `headers` are added to ours (credentials go here). `ssl` is a context, True to verify against the system's
        authorities, False not to verify. `server_name` is the name the certificate must carry, if not the URL's.
        `query` is asked for in place of the URL's own: many targets share a long one.
        A connection that the server closes before it answers is replaced once, within the same deadline.
        Raises SourceError, whose text holds no part of the URL but host and port.
        """
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        place = self._places.get((url, query))
        if place is None:
            place = _checked(url, query)
            self._remember((url, query), place)
        context = (verifying() if ssl is True else trusting() if ssl is False else ssl) if place.https else None
        request = place.request(headers)
        origin = Origin(place.host, place.port, context, server_name)
        try:
            until_s = started_s + limits.timeout_s
            answer = await self._session.get(origin, request, limits.body_size_limit_bytes, until_s)
            _check_status(answer, url)
            body = answer.body
        except (OSError, ValueError) as error:
            raise _told(error, place.where, limits) from None
        return Response(
            status=answer.status,
            body=body,
            content_type=answer.headers.get("content-type", "").lower(),
            headers=answer.headers,
            duration_s=loop.time() - started_s,
        )

    async def knock(self, url: str, limits: Limits) -> None:
        """Connects to the URL's host, as `get` would, and asks nothing. Raises SourceError where nobody is there."""
        place = _checked(url)
        try:
            async with asyncio.timeout(limits.timeout_s):
                await self._session.knock(place.host, place.port)
        except (OSError, ValueError) as error:
            raise _told(error, place.where, limits) from None

    def _remember(self, asked: tuple[str, str | None], place: _Place) -> None:
        """From the second time on: who a server is, is asked once."""
        if len(self._asked) >= _PLACES:
            self._places.clear()
            self._asked.clear()
        if hash(asked) in self._asked:
            self._places[asked] = place
        self._asked.add(hash(asked))


def _checked(url: str, query: str | None = None) -> _Place:
    """A URL that may be fetched, with a query in place of its own. Raises SourceError for what is never fetched."""
    try:
        parts = urlsplit(url)
        where = _where(parts)
    except ValueError:
        raise SourceError(Kind.REFUSED, "the target's address is not a URL") from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise SourceError(Kind.REFUSED, "the target's address must begin with http:// or https:// and name a host")
    if parts.username is not None or parts.password is not None:
        raise SourceError(Kind.REFUSED, "credentials belong into basic_auth or authorization, not into the address")
    host = parts.hostname.replace("%25", "%")  # RFC 6874 writes a zone so
    port = _PORTS[parts.scheme] if parts.port is None else parts.port
    named = where if port != _PORTS[parts.scheme] else where.rpartition(":")[0]
    before = f"GET {quote(parts.path or '/', safe=_PATH_CHARS)}"
    after = f" HTTP/1.1\r\nHost: {quote(named, safe=_PATH_CHARS + '[]')}\r\n"
    asked = _query(parts.query if query is None else query)
    return _Place(parts.scheme == "https", host, port, where, before.encode(), asked, after.encode())


@lru_cache(maxsize=64)
def _query(text: str) -> bytes:
    """A URL's query as it is asked for: one object for all who ask alike."""
    return f"?{quote(text, safe=_PATH_CHARS + '?[]')}".encode() if text else b""


def _lines(headers: Mapping[str, str]) -> bytes:
    """A request's headers and its end. Raises SourceError for a header that would not be one."""
    lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
    if any(line.count("\n") != 1 or line.count("\r") != 1 or "\0" in line for line in lines):
        raise SourceError(Kind.UNAUTHORIZED, "the credentials hold a character that no header may have")
    return f"{''.join(lines)}\r\n".encode()


_OURS = _lines(_SENT)


def _where(parts: SplitResult) -> str:
    host = parts.hostname or ""
    port = parts.port if parts.port is not None else _PORTS.get(parts.scheme)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _check_status(answer: Answer, url: str) -> None:
    status = answer.status
    if status == HTTPStatus.OK:
        return
    location = answer.headers.get("location")
    if location is not None and 300 <= status < 400:
        led_to = _led_to(url, location)
        raise SourceError(Kind.REDIRECT, f"HTTP {status}: redirects {led_to}; redirects are never followed")
    text = _STATUS_TEXTS.get(status)
    kind = _STATUS_KINDS.get(status, Kind.HTTP_STATUS)
    raise SourceError(kind, f"HTTP {status}" if text is None else f"HTTP {status}: {text}")


def _led_to(url: str, location: str) -> str:
    """Where a redirect leads, without its path and query, which may hold secrets."""
    try:
        here = urlsplit(url)
        there = urlsplit(urljoin(url, location))
        if (there.scheme, there.hostname, there.port) == (here.scheme, here.hostname, here.port):
            return "to another path of itself"
        return f"to {_where(there)} over {there.scheme}"
    except ValueError:
        return "to an invalid address"


def _told(error: OSError | ValueError, where: str, limits: Limits) -> SourceError:
    """Whatever a request raises, in one line that names host and port only."""
    if isinstance(error, ResolveError):
        return SourceError(Kind.DNS, f"the host name of {where} cannot be resolved")
    if isinstance(error, tls.SSLError):
        return SourceError(Kind.TLS, f"TLS with {where} failed: {_tls_text(error)}")
    if isinstance(error, ConnectError):
        return _connect_error(where, error.cause)
    if isinstance(error, TimeoutError):
        return SourceError(Kind.TIMEOUT, f"no complete answer from {where} within {limits.timeout_s:g} s")
    if isinstance(error, (BrokenOffError, ConnectionError)):
        return SourceError(Kind.DISCONNECTED, f"{where} broke off the connection before its answer was whole")
    if isinstance(error, NotHttpError):
        return SourceError(Kind.NOT_METRICS, f"{where} does not answer in HTTP")
    return SourceError(Kind.DISCONNECTED, f"the request to {where} failed: {type(error).__name__}")


def _connect_error(where: str, error: OSError) -> SourceError:
    if isinstance(error, ForbiddenError):
        return SourceError(Kind.REFUSED, f"not connecting to {where}: {error}")
    if isinstance(error, ConnectionRefusedError):
        return SourceError(Kind.REFUSED, f"{where} refuses the connection: nothing listens there")
    if isinstance(error, TimeoutError):
        return SourceError(Kind.TIMEOUT, f"{where} does not answer: the connection timed out")
    return SourceError(Kind.REFUSED, f"cannot connect to {where}: {error.strerror or type(error).__name__}")


def _tls_text(error: tls.SSLError) -> str:
    if isinstance(error, tls.SSLCertVerificationError):
        return f"certificate: {error.verify_message}"
    reason = error.reason
    if reason == "WRONG_VERSION_NUMBER":
        return "it does not speak TLS; should the scheme be http?"
    return str(reason).lower().replace("_", " ") if reason else type(error).__name__
