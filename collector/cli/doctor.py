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
from collector.cli.mounts import network_filesystem_of
from collector.cli.opening import wants_spool
from collector.errors import BreakevenError, ConfigError, StoreError
from collector.export.access import Access
from collector.jobs.disk import watermark_of
from collector.jobs.post import address_of
from collector.jobs.serving import address_of as listen_address_of
from collector.jobs.serving import is_loopback
from collector.settings import Settings
from collector.settings.load import parse_settings
from collector.store import Store, place, schema_status

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
        if found.state.value == "current" and place(url).path is None:
            yield _analyser(url)
        file = place(url).path
        if file is not None:
            yield from _writable("database", file)
            yield from _local("database", file)
            yield _disk("database", file, settings)
        elif wants_spool(settings, url):
            yield from _writable("spool", settings.storage.spool.path)
            yield from _local("spool", settings.storage.spool.path)
            yield _disk("spool", settings.storage.spool.path, settings)
    yield from _port(settings)


def _port(settings: Settings) -> Iterator[Finding]:
    """Whether our own address is free, and who is let in there."""
    host, port = listen_address_of(settings.web)
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            remedy = "a running breakeven holds it, or choose another web.listen_address"
            yield Finding("note", "listen address", f"{host}:{port}: {error.strerror}", remedy)
        else:
            yield Finding("ok", "listen address", f"{host}:{port} is free")
    access = Access(settings.web.config_file)
    if access.open_to_all and not is_loopback(host):
        remedy = "prefer 127.0.0.1, or name a web.config_file with basic_auth_users"
        yield Finding("note", "listen address", f"{host} is reachable from outside, without a password", remedy)
    access.close()


def _analyser(url: str) -> Finding:
    """Which daemon makes the reports, where several may."""
    store = Store.open_to_read(url)
    try:
        holder = store.reader.analyser()
    finally:
        store.close()
    return Finding("ok", "database", "no daemon analyses now" if holder is None else f"the daemon {holder} analyses")


def _writable(what: str, file: Path) -> Iterator[Finding]:
    for path in (file, _folder(file)):
        if path.exists() and not os.access(path, os.W_OK):
            yield Finding("fail", what, f"{path} cannot be written", "give the daemon's user the right to")


def _local(what: str, file: Path) -> Iterator[Finding]:
    kind = network_filesystem_of(_folder(file))
    if kind is not None:
        text = (
            f"{file} lies on {kind}, over whose network neither SQLite's locks nor its shared memory can be relied on"
        )
        yield Finding("note", what, text, "keep it on a local disk, or use Postgres")


def _disk(what: str, file: Path, settings: Settings) -> Finding:
    folder = _folder(file)
    usage = shutil.disk_usage(folder)
    least = watermark_of(settings.storage).least_bytes(usage.total)
    free, stop = (f"{size / 1024**3:.2f} GiB" for size in (usage.free, least))
    text = f"{free} free in {folder}, where the {what} is; samples stop below {stop}"
    if usage.free < least:
        return Finding("fail", "disk", text, "free some space, or keep less with storage.retention.max_bytes")
    return Finding("note" if usage.free < max(LOW_DISK_BYTES, 2 * least) else "ok", "disk", text)


def _folder(file: Path) -> Path:
    """The nearest folder above a file that exists."""
    return next((parent for parent in file.absolute().parents if parent.exists()), Path("/"))
