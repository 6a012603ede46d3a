"""`doctor`: look at everything the daemon needs, once, and say for each finding what to do about it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import sqlite3
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from collector.cli.configured import config_option, configured, database_url, refuse_shared_names
from collector.cli.findings import Finding
from collector.cli.look import look_at_sources
from collector.errors import BreakevenError, ConfigError, StoreError
from collector.jobs.post import address_of
from collector.settings import Settings
from collector.settings.load import parse_settings
from collector.store import schema_status

SAFE_SQLITE = (3, 51, 3)
"""Before this release SQLite has a WAL bug that can corrupt a file which two connections checkpoint at once."""
LOW_DISK_BYTES = 1024**3
MARKS = {"ok": Text("ok  ", "green"), "note": Text("note", "yellow"), "fail": Text("FAIL", "bold red")}


@click.command()
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(config_file: Path | None, as_json: bool) -> None:
    """Look at targets, GPUs, database, disk and ports; each finding names its remedy. Exit code 1 when one fails."""
    settings = parse_settings("{}", "default") if config_file is None else configured(config_file)
    findings = [*_installation(), *asyncio.run(look_at_sources(settings, config_file is None)), *_machine(settings)]
    findings += _receivers(settings)
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        console = Console()
        for finding in findings:
            console.print(MARKS[finding.level], Text(f" {finding.about}: {finding.text}"), soft_wrap=True)
            if finding.remedy:
                console.print(Text(f"      -> {finding.remedy}"), soft_wrap=True)
    sys.exit(1 if any(finding.level == "fail" for finding in findings) else 0)


def _installation() -> Iterator[Finding]:
    try:
        refuse_shared_names()
    except ConfigError as error:
        yield Finding("fail", "installation", str(error))
    if sqlite3.sqlite_version_info < SAFE_SQLITE:
        text = f"{sqlite3.sqlite_version} is older than 3.51.3, which mended a corruption bug of the write-ahead log"
        yield Finding("note", "SQLite", text, "let one daemon only write the file, as it does by itself")
    else:
        yield Finding("ok", "SQLite", sqlite3.sqlite_version)


def _receivers(settings: Settings) -> Iterator[Finding]:
    """Whether each has an address; nothing is sent."""
    for one in settings.notifications:
        about = f"notifications {one.name}"
        try:
            address_of(one)
        except BreakevenError as error:
            yield Finding(
                "fail", about, str(error), "let the file hold one http:// or https:// address, readable for us"
            )
        else:
            yield Finding("ok", about, "has an address; `breakeven alerts test` sends it a message")


def _machine(settings: Settings) -> Iterator[Finding]:
    try:
        url = database_url(settings)
        found = schema_status(url)
    except StoreError as error:
        yield Finding("fail", "database", str(error), "see that it is reachable and ours")
    else:
        bad = found.state.value in ("newer", "foreign")
        text = f"schema {found.current or 'not made yet'}, this release brings {found.head}: {found.state.value}"
        remedy = "use the release that wrote it, or another database" if bad else ""
        yield Finding("fail" if bad else "ok", "database", text, remedy)
        if "://" not in url or url.startswith("sqlite"):
            path = Path(url.removeprefix("sqlite:///"))
            yield from _writable(path)
            yield _disk(path)
    host, _, port = settings.web.listen_address.rpartition(":")
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host.strip("[]"), int(port)))
        except OSError as error:
            remedy = "a running breakeven holds it, or choose another web.listen_address"
            yield Finding("note", "listen address", f"{host}:{port}: {error.strerror}", remedy)
        else:
            yield Finding("ok", "listen address", f"{host}:{port} is free")
    if host not in ("127.0.0.1", "localhost", "[::1]"):
        yield Finding(
            "note", "listen address", f"{host} is reachable from outside, without a password", "prefer 127.0.0.1"
        )


def _writable(database: Path) -> Iterator[Finding]:
    folder = next((parent for parent in database.absolute().parents if parent.exists()), Path("/"))
    for place in (database, folder):
        if place.exists() and not os.access(place, os.W_OK):
            yield Finding("fail", "database", f"{place} cannot be written", "give the daemon's user the right to")


def _disk(database: Path) -> Finding:
    folder = next((parent for parent in database.absolute().parents if parent.exists()), Path("/"))
    free = shutil.disk_usage(folder).free
    if free < LOW_DISK_BYTES:
        return Finding("fail", "disk", f"{free / 1024**2:.0f} MiB free in {folder}", "free some space")
    return Finding("ok", "disk", f"{free / 1024**3:.0f} GiB free in {folder}")
