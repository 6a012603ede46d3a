"""Where the database is: what the operator wrote, taken apart without ever showing a password."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from collector.errors import StoreError

FORMS = "a file name, sqlite:///file or postgresql://user:password@host:port/name"
_SECRET_OPTIONS = ("password", "sslpassword")


@dataclass(frozen=True, slots=True)
class Place:
    """A database: `url` for SQLAlchemy, `path` where it is a SQLite file, and a text for the operator.

    `secrets` are the URL's options that nobody may see; they are not in `url`, which shows its options.
    """

    url: URL = field(repr=False)
    path: Path | None
    text: str
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)

    def hide(self, message: str) -> str:
        """The message without this database's passwords, should a driver have put one there."""
        for secret in (self.url.password, *self.secrets.values()):
            if secret:
                message = message.replace(secret, "***")
        return message


def place(url: str) -> Place:
    """The place that a URL or file name means.

    Raises StoreError, which never quotes the URL, when it is neither a SQLite file nor a Postgres database.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        return _file(url)
    if scheme == "sqlite":
        if "?" in rest:
            raise StoreError(f"a sqlite:// URL takes no options after a question mark: use {FORMS}")
        return _file(rest.removeprefix("/"))
    if scheme in ("postgres", "postgresql", "postgresql+psycopg"):
        return _server(rest)
    raise StoreError(f"a database URL that begins with {scheme}:// is not supported: use {FORMS}")


def _file(name: str) -> Place:
    if not name or name == ":memory:":
        raise StoreError(f"the database needs a file, since history must outlive the process: use {FORMS}")
    path = Path(name).expanduser()
    return Place(URL.create("sqlite", database=str(path)), path, f"SQLite file {path}")


def _server(rest: str) -> Place:
    if rest.partition("?")[0].count("@") > 1:
        raise StoreError("the database URL holds more than one @: write %40 for an @ in the user's name or password")
    try:
        url = make_url(f"postgresql+psycopg://{rest}")
    except (ArgumentError, ValueError):
        # The parser's own words may quote a piece of the password.
        raise StoreError(f"the database URL cannot be read: use {FORMS}; write %40, %2F, %3A for @, / and :") from None
    secrets = {name: str(url.query[name]) for name in _SECRET_OPTIONS if name in url.query}
    url = url.difference_update_query(secrets)
    return Place(url, None, f"PostgreSQL database {url.database or ''} at {_server_text(url, url.query)}", secrets)


def _server_text(url: URL, query: Mapping[str, object]) -> str:
    host = url.host or query.get("host") or "local socket"
    port = "" if url.port is None else f":{url.port}"
    user = "" if url.username is None else f"{url.username}@"
    return f"{user}{host}{port}"
