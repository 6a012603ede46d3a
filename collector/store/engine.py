"""Opens SQLite or Postgres: connections, transactions, time limits, and the driver's errors as `StoreError`.

SQLite has one writing connection, whose transactions take the write lock at once (a read that turns into a write
fails without waiting), and readers that cannot write. WAL with `synchronous=NORMAL` survives a killed process
whole; a power cut may cost the last commits, never the file.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from sqlalchemy import Connection, Engine, NullPool, create_engine, event
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from collector.errors import StoreAwayError, StoreError
from collector.store.damaged import OPTION, DamagedBlocks
from collector.store.deadline import Deadlines
from collector.store.place import Place, place

BUSY_MS = 10_000
"""How long a connection waits for another process's write lock on a SQLite file."""
SETUP_TRIES = 200
SETUP_PAUSE_S = 0.02
"""A connection's first pragmas are tried for four seconds."""
MIGRATION_BUSY_MS = 120_000
STATEMENT_TIMEOUT_MS = 30_000
IDLE_TRANSACTION_TIMEOUT_MS = 30_000
"""Ends the transaction of a process that was stopped in it: another daemon's writes would wait for its rows."""
CONNECT_TIMEOUT_S = 5
TRANSACTION_LIMIT_S = 60.0
"""A connection to Postgres that is in use for longer is cut: twice what one statement may take."""
TCP_USER_TIMEOUT_MS = 10_000
"""Keepalives do not help while sent data is unacknowledged: this ends a statement over a cut network."""
READERS = 4
PREPARED = 16
"""So many of its last statements a connection to a SQLite file keeps prepared, not the driver's 128: most name the
ticks and epochs of one search, are never asked again, and take 30 kB each."""

T = TypeVar("T")

_REMEDIES = (
    ("unable to open database file", "check that the folder exists and that this user may write to it"),
    ("readonly database", "check that this user may write to the file and its folder"),
    ("permission denied for schema", "let this user create tables there, or give it a database of its own"),
    ("database is locked", "another process holds the file: is a second daemon running?"),
    ("disk is full", "free space on the disk"),
    ("no space left", "free space on the disk"),
    ("malformed", "restart the daemon: it moves the file aside and begins a new one"),
)
_PASSING = ("starting up", "shutting down", "recovery mode", "too many clients", "connection slots are reserved")
"""What a Postgres that will take connections again says meanwhile, with FATAL before it."""


@dataclass(frozen=True, slots=True)
class Engines:
    """The ways into one database.

    `writing` has one connection, `reading` cannot write, `migrating` waits longer, `leasing` waits for no other write,
    `exporting` reads for as long as it takes.
    """

    place: Place
    writing: Engine
    reading: Engine
    migrating: Engine
    leasing: Engine
    exporting: Engine
    damaged: DamagedBlocks
    deadlines: Deadlines | None = None
    fit: Callable[[Connection], None] = lambda _: None
    """Goes first in each transaction that writes. Raises StoreError where this release must not."""

    @property
    def sqlite(self) -> bool:
        """Whether this is a SQLite file."""
        return self.place.path is not None

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run idempotent work in one transaction; once more when the connection turned out to be dead.

        Raises StoreError.
        """

        def fitting(connection: Connection) -> T:
            self.fit(connection)
            return work(connection)

        return self._twice(self.writing, fitting)

    def beat(self, work: Callable[[Connection], T]) -> T:
        """As `write`, on the connection that keeps the turn to analyse. Raises StoreError."""
        return self._twice(self.leasing, work)

    def _twice(self, engine: Engine, work: Callable[[Connection], T]) -> T:
        with translated(self.place):
            try:
                with engine.begin() as connection:
                    return work(connection)
            except DBAPIError as error:
                if not error.connection_invalidated:
                    raise
            with engine.begin() as connection:
                return work(connection)

    def read(self, work: Callable[[Connection], T]) -> T:
        """Run work in one reading transaction. Raises StoreError."""
        with translated(self.place), self.reading.begin() as connection:
            return work(connection)

    def script(self, statement: str) -> None:
        """Run a SQLite statement to its end outside any transaction. Raises StoreError.

        The driver's usual call stops such a statement after its first step.
        """
        with translated(self.place), closing(self.writing.raw_connection()) as connection:
            assert connection.driver_connection is not None
            connection.driver_connection.executescript(statement)

    def close(self) -> None:
        """Close every connection, the writer's last: whoever closes a SQLite file last also tidies its log up."""
        self.reading.dispose()
        self.migrating.dispose()
        self.leasing.dispose()
        self.exporting.dispose()
        self.writing.dispose()
        if self.deadlines is not None:
            self.deadlines.close()


@contextmanager
def translated(where: Place) -> Iterator[None]:
    """Turns the driver's errors into StoreError: one line, without statement, values or password."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error) as error:
        reason = _reason(error, where)
        remedy = next((f"; {remedy}" for sign, remedy in _REMEDIES if sign in reason.lower()), "")
        kind = StoreAwayError if _away(error, where) else StoreError
        raise kind(f"{where.text}: {reason}{remedy}") from error


def _away(error: Exception, where: Place) -> bool:
    """Whether no connection could be made, for another reason than that the server refuses us."""
    if where.path is not None or not isinstance(error, OperationalError) or error.statement is not None:
        return False
    said = str(error.orig)
    return "FATAL" not in said or any(passing in said for passing in _PASSING)


def _reason(error: Exception, where: Place) -> str:
    said = str(error.orig) if isinstance(error, DBAPIError) else str(error)
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return where.hide(lines[0] if lines else type(error).__name__)


def open_engines(url: str) -> Engines:
    """The engines for a SQLite file or a Postgres database; nothing is made or connected yet.

    Raises StoreError when the URL cannot be used or the driver is not installed.
    """
    where = place(url)
    return _server_engines(where) if where.path is None else _file_engines(where, where.path)


def make_folder(where: Place) -> None:
    """Make the folder of a SQLite file. Raises StoreError."""
    if where.path is None:
        return
    try:
        where.path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{where.text}: its folder cannot be made: {error.strerror}") from error


def read_only(engines: Engines) -> Engines:
    """The same database without a connection that could write."""
    return replace(engines, writing=engines.reading, migrating=engines.reading, leasing=engines.reading)


def _file_engines(where: Place, path: Path) -> Engines:
    reader = (f"PRAGMA busy_timeout={BUSY_MS}", "PRAGMA query_only=ON")
    damaged = DamagedBlocks()
    made = partial(_file_engine, where, execution_options={OPTION: damaged})
    writing = made(_writer(BUSY_MS, foreign_keys=True), "BEGIN IMMEDIATE", pool_size=1)
    reading = made(reader, "BEGIN", creator=partial(_existing_file, path))
    # A table that others refer to can only be rebuilt with foreign keys off, which no transaction can switch.
    return Engines(
        place=where,
        writing=writing,
        leasing=writing,
        reading=reading,
        exporting=reading,
        migrating=made(_writer(MIGRATION_BUSY_MS, foreign_keys=False), "BEGIN IMMEDIATE", poolclass=NullPool),
        damaged=damaged,
    )


def _existing_file(path: Path) -> sqlite3.Connection:
    """A connection that never makes the file; the pool hands it from thread to thread."""
    where = f"file:{quote(str(path))}?mode=rw"
    return sqlite3.connect(where, uri=True, check_same_thread=False, cached_statements=PREPARED)


def _writer(busy_ms: int, *, foreign_keys: bool) -> tuple[str, ...]:
    return (
        f"PRAGMA busy_timeout={busy_ms}",
        "PRAGMA auto_vacuum=INCREMENTAL",
        "PRAGMA journal_mode=WAL",
        "PRAGMA synchronous=NORMAL",
        "PRAGMA journal_size_limit=67108864",
        f"PRAGMA foreign_keys={'ON' if foreign_keys else 'OFF'}",
    )


def _patiently(connection: Any, pragma: str) -> None:
    """A pragma, asked again while the file is busy.

    SQLite does not wait by itself where waiting might deadlock, as when several connections at once turn a new file's
    log on.
    """
    for _ in range(SETUP_TRIES - 1):
        try:
            connection.execute(pragma)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            time.sleep(SETUP_PAUSE_S)
        else:
            return
    connection.execute(pragma)


def _file_engine(where: Place, pragmas: tuple[str, ...], begin: str, **options: Any) -> Engine:
    pool = options if "poolclass" in options else {"pool_size": READERS, **options, "max_overflow": 0}
    engine = create_engine(where.url, hide_parameters=True, connect_args={"cached_statements": PREPARED}, **pool)

    def set_up(connection: Any, _record: object) -> None:
        # The driver would open transactions by itself, and never around DDL: ours begin in `start`.
        connection.isolation_level = None
        for pragma in pragmas:
            _patiently(connection, pragma)

    def start(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine, "connect", set_up)
    event.listen(engine, "begin", start)
    return engine


def _server_engines(where: Place) -> Engines:
    write = (
        f"-c statement_timeout={STATEMENT_TIMEOUT_MS}"
        f" -c idle_in_transaction_session_timeout={IDLE_TRANSACTION_TIMEOUT_MS}"
    )
    deadlines, damaged = Deadlines(TRANSACTION_LIMIT_S), DamagedBlocks()
    made = partial(_server_engine, where, execution_options={OPTION: damaged})
    try:
        writing = made(write, pool_size=1)
        leasing = made(write, pool_size=1)
        reading = made(f"{write} -c default_transaction_read_only=on")
        migrating = made(f"-c lock_timeout={MIGRATION_BUSY_MS}", poolclass=NullPool)
        exporting = made("-c default_transaction_read_only=on", poolclass=NullPool)
    except ImportError as error:
        raise StoreError(
            f"{where.text} needs the psycopg driver ({error}): pip install 'breakeven[postgres]'"
        ) from error
    for engine in (writing, leasing, reading):
        deadlines.watch(engine)
    return Engines(where, writing, reading, migrating, leasing, exporting, damaged, deadlines)


def _server_engine(where: Place, settings: str, **options: Any) -> Engine:
    pool = options if "poolclass" in options else {"pool_size": READERS, **options, "max_overflow": 0}
    ours: dict[str, Any] = {
        "connect_timeout": CONNECT_TIMEOUT_S,
        "tcp_user_timeout": TCP_USER_TIMEOUT_MS,
        "application_name": "breakeven",
    }
    stated = where.url.query
    arguments = {name: value for name, value in ours.items() if name not in stated}
    # The last setting wins, so the operator's options stand after ours.
    arguments["options"] = f"{settings} {stated.get('options', '')}".strip()
    arguments |= where.secrets
    url = where.url.difference_update_query(["options"])
    return create_engine(url, hide_parameters=True, connect_args=arguments, **pool)
