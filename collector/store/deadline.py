"""Ends connections to a server that has stopped answering, which no setting of Postgres' or the kernel's does.

A stopped backend enforces no statement timeout, and its kernel goes on acknowledging what is sent to it.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import suppress
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.exc import InvalidatePoolError

CHECK_S = 1.0


class Deadlines:
    """Cuts a connection that has been in use for longer than `limit_s`: whoever waits for it gets an error.

    One thread looks after all engines that are watched, from their first connection until `close`.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._used: dict[Any, tuple[float, Any]] = {}
        self._turn = threading.Lock()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def watch(self, engine: Engine) -> None:
        """Look after an engine's connections, and ask each whether it lives before it is used."""

        def begun(connection: Any, record: Any, _proxy: object) -> None:
            self._begin(connection, record)
            # Not left to the pool, which asks before anyone could look after the answer.
            try:
                engine.dialect.do_ping(connection)
            except engine.dialect.loaded_dbapi.Error as error:
                raise InvalidatePoolError from error

        def ended(_connection: Any, record: Any) -> None:
            with self._turn:
                self._used.pop(record, None)

        event.listen(engine, "checkout", begun)
        event.listen(engine, "checkin", ended)

    def close(self) -> None:
        """Look after nothing any longer."""
        self._closed.set()

    def _begin(self, connection: Any, record: Any) -> None:
        with self._turn:
            self._used[record] = (time.monotonic() + self._limit_s, connection)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="store-deadlines", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while not self._closed.wait(min(CHECK_S, self._limit_s)):
            now_s = time.monotonic()
            # Held while cutting: a connection that comes back meanwhile must not be cut in its next use.
            with self._turn:
                for record, (until_s, connection) in list(self._used.items()):
                    if now_s > until_s:
                        del self._used[record]
                        _cut(connection)


def _cut(connection: Any) -> None:
    """Shut a psycopg connection's socket down, under whoever waits for it."""
    # One that was closed in this moment has no socket any longer.
    with suppress(OSError, connection.OperationalError), socket.socket(fileno=os.dup(connection.fileno())) as same:
        same.shutdown(socket.SHUT_RDWR)
