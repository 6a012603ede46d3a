"""Who may ask: TLS and basic auth by web-config.yml, read again when it or a file that it names has changed."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import logging
import secrets
import ssl
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path

import bcrypt
from aiohttp import web

from collector.errors import ConfigError, Problem
from collector.logs import event
from collector.settings.web_config import TlsServerConfig, WebConfig, load_web_config
from collector.stamps import Stamp, file_stamp

REMEMBERED = 100
"""Wrong passwords that are remembered: a client with an old password must not cost a hash at every scrape."""
WAITING = 8
"""Passwords that may wait for their hash; further ones are turned away, so that guessing costs the guesser."""
_NOBODY = b"$2b$10$k3tb0kw.hVCMMAVPW./tfOJUOMq.bAgAjD5OLhdFU8FBOgx3U1HYO"
"""The hash of a random password: an unknown user costs the time of a known one, and tells nothing by it."""
_VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
_VERIFY = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
_log = logging.getLogger("breakeven.web")
_Stamps = tuple[Stamp | None, ...]
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Access:
    """The rules of one file, or none where there is no file. Used on the event loop."""

    def __init__(self, file: Path | None) -> None:
        """Raises ConfigError with all problems of the file, its certificate and its key."""
        self._file = file
        self._config = WebConfig()
        self._context: ssl.SSLContext | None = None
        self._files: tuple[Path, ...] = ()
        self._stamp: _Stamps = ()
        self._hashing = ThreadPoolExecutor(1, "bcrypt")
        self._waiting = 0
        self._key = secrets.token_bytes(32)
        # Apart from the wrong ones, which anyone can send any number of; one a user, so their number is bounded too.
        self._right: dict[str, bytes] = {}
        self._wrong: dict[bytes, None] = {}
        if file is not None:
            self._take(file)

    def close(self) -> None:
        """Let the hashing thread go without waiting for it."""
        self._hashing.shutdown(wait=False, cancel_futures=True)

    @property
    def wants_password(self) -> bool:
        """Whether requests need a user and a password."""
        return bool(self._config.basic_auth_users)

    @property
    def open_to_all(self) -> bool:
        """Whether anyone who reaches the port is answered."""
        tls = self._config.tls_server_config
        return not self.wants_password and (tls is None or tls.client_auth_type != "RequireAndVerifyClientCert")

    def tls(self) -> ssl.SSLContext | None:
        """The context for a new connection; None for HTTP in the clear."""
        self._refresh()
        return self._context

    @web.middleware
    async def middleware(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Lets a request through whose user and password are right."""
        self._refresh()
        if self.wants_password:
            status = await self._status(request.headers.get("Authorization", ""))
            if status is HTTPStatus.UNAUTHORIZED:
                raise web.HTTPUnauthorized(text="Unauthorized\n", headers={"WWW-Authenticate": "Basic"})
            if status is not HTTPStatus.OK:
                raise web.HTTPTooManyRequests(text="Too many passwords are being checked\n")
        return await handler(request)

    async def _status(self, header: str) -> HTTPStatus:
        scheme, _, coded = header.partition(" ")
        try:
            user, colon, password = base64.b64decode(coded.strip(), validate=True).partition(b":")
        except (binascii.Error, ValueError):
            return HTTPStatus.UNAUTHORIZED
        if scheme.lower() != "basic" or not colon:
            return HTTPStatus.UNAUTHORIZED
        name = user.decode(errors="replace")
        stated = self._config.basic_auth_users.get(name)
        hashed = _NOBODY if stated is None else stated.get_secret_value().encode()
        # Lengths keep the parts apart; the key keeps guessers from choosing entries that collide.
        parts = b"".join(len(part).to_bytes(4) + part for part in (user, hashed, password))
        entry = hashlib.blake2b(parts, key=self._key).digest()
        if self._right.get(name) == entry:
            return HTTPStatus.OK
        if entry in self._wrong:
            return HTTPStatus.UNAUTHORIZED
        if self._waiting >= WAITING:
            return HTTPStatus.TOO_MANY_REQUESTS
        self._waiting += 1
        try:
            right = await asyncio.get_running_loop().run_in_executor(self._hashing, _matches, password, hashed)
        finally:
            self._waiting -= 1
        if right and stated is not None:
            self._right[name] = entry
            return HTTPStatus.OK
        while len(self._wrong) >= REMEMBERED:
            del self._wrong[next(iter(self._wrong))]
        self._wrong[entry] = None
        return HTTPStatus.UNAUTHORIZED

    def _refresh(self) -> None:
        if self._file is None or _stamp(self._files) == self._stamp:
            return
        try:
            self._take(self._file)
        except ConfigError as error:
            for problem in error.problems:
                event(_log, logging.ERROR, "web-config.yml is not usable; the former one stands", about=problem)
        else:
            event(_log, logging.INFO, "web-config.yml was read again")

    def _take(self, file: Path) -> None:
        """Take the file's content when all of it can be used. Raises ConfigError."""
        # Stamped before it is read: a change in between is then seen at the next look.
        self._watch(file)
        config = load_web_config(file)
        tls, context = config.tls_server_config, None
        if tls is not None:
            self._watch(file, tls.cert_file, tls.key_file, tls.client_ca_file)
            context = _context(file, tls)
        self._config, self._context = config, context
        # Entries hold their hash: where a user has another now, it fits no more. A renewed certificate costs no hash.
        self._right = {name: entry for name, entry in self._right.items() if name in config.basic_auth_users}

    def _watch(self, *files: Path | None) -> None:
        self._files = tuple(file for file in files if file is not None)
        self._stamp = _stamp(self._files)


def _matches(password: bytes, hashed: bytes) -> bool:
    try:
        return bcrypt.checkpw(password, hashed)
    except ValueError:  # longer than bcrypt takes, or with a NUL
        return False


def _stamp(files: Sequence[Path]) -> _Stamps:
    """What changes when one of the files does."""
    return tuple(map(file_stamp, files))


def _context(file: Path, config: TlsServerConfig) -> ssl.SSLContext:
    """Raises ConfigError naming the file that cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version, context.maximum_version = _VERSIONS[config.min_version], _VERSIONS[config.max_version]
    try:
        # A password that is asked for on a terminal would stop the daemon.
        context.load_cert_chain(config.cert_file, config.key_file, password=lambda: "")
        if config.client_ca_file is not None:
            context.load_verify_locations(config.client_ca_file)
    except (OSError, ssl.SSLError) as error:
        why = error.reason if isinstance(error, ssl.SSLError) and error.reason else error.strerror or "not usable"
        what = f"{config.cert_file} and {config.key_file} cannot be used: {why}"
        raise ConfigError([Problem(f"{file} tls_server_config", what, "name PEM files that belong together")]) from None
    context.verify_mode = _VERIFY[config.client_auth_type]
    return context
