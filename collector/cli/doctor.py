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
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import click
from rich.console import Console
from rich.text import Text

from collector.cli.configured import config_option, configured, database_url, refuse_shared_names
from collector.clock import SystemClock
from collector.errors import ConfigError, SourceError, StoreError
from collector.gpu.readings import GpuState
from collector.gpu.supervisor import NvmlReader
from collector.health import REMEDIES
from collector.jobs.discover import loopback_targets
from collector.jobs.scraper import scraper_of
from collector.jobs.targets import Target, TargetFiles, static_targets
from collector.scrape.fetch import Fetcher, client_session
from collector.servers import engine_specs
from collector.settings import Settings
from collector.settings.load import parse_settings
from collector.store import schema_status

SAFE_SQLITE = (3, 51, 3)
"""Before this release SQLite has a WAL bug that can corrupt a file which two connections checkpoint at once."""
LOW_DISK_BYTES = 1024**3
MARKS = {"ok": Text("ok  ", "green"), "note": Text("note", "yellow"), "fail": Text("FAIL", "bold red")}


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look found, and what to do about it."""

    level: Literal["ok", "note", "fail"]
    about: str
    text: str
    remedy: str = ""


@click.command()
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(config_file: Path | None, as_json: bool) -> None:
    """Look at targets, GPUs, database, disk and ports; each finding names its remedy. Exit code 1 when one fails."""
    settings = parse_settings("{}", "default") if config_file is None else configured(config_file)
    findings = [*_installation(), *asyncio.run(_sources(settings, config_file is None)), *_machine(settings)]
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


async def _sources(settings: Settings, embedded: bool) -> list[Finding]:
    targets, problems = TargetFiles(settings).read()
    findings = [Finding("fail", "target file", problem, "mend the file") for problem in problems]
    targets = [*static_targets(settings), *targets]
    if embedded:
        targets += await loopback_targets(settings)
    if not targets:
        text = "none is configured" if not embedded else "no inference server answers on the usual loopback ports"
        ports = ", ".join(str(port) for spec in engine_specs().values() for port in spec.usual_ports)
        findings.append(
            Finding("note", "targets", text, f"start a server (usual ports: {ports}) or name a config file")
        )
    session = client_session()
    try:
        looked = await asyncio.gather(*(_target(target, Fetcher(session)) for target in targets))
    finally:
        await session.close()
    return findings + [finding for one in looked for finding in one] + await _gpus(settings)


async def _target(target: Target, fetcher: Fetcher) -> list[Finding]:
    about = f"{target.job.job_name} {target.url}"
    try:
        scraper = scraper_of(target, fetcher, only_look=True)
        await scraper.scrape()
        told = await scraper.identify()
        scrape = await scraper.scrape()
    except SourceError as error:
        return [Finding("fail", about, f"{error.kind}: {error}", REMEDIES.get(error.kind, ""))]
    replicas = ", ".join(f"{one.model or 'unnamed model'} rank {one.rank}" for one in scrape.reading.replicas)
    size = f"{scrape.samples} samples, {scrape.size_bytes / 1024:.0f} KiB in {scrape.duration_s * 1000:.0f} ms"
    findings = [Finding("ok", about, f"{scrape.engine}: {replicas or 'no replica yet'} ({size})")]
    findings += [Finding("note", about, f"not told who it is: {note}") for note in told.notes]
    findings += [Finding("note", about, f"not read beside the page: {note}") for note in scrape.notes]
    for name in scrape.reading.missing:
        note = scrape.reading.notes.get(name, "")
        findings.append(Finding("note", about, f"does not report {name}", note))
    return findings


async def _gpus(settings: Settings) -> list[Finding]:
    if settings.gpu.nvml == "off":
        return [Finding("note", "GPUs", "NVML is turned off", "set gpu.nvml to auto to read local GPUs")]
    reader = NvmlReader(SystemClock())
    try:
        poll = await reader.read()
    finally:
        await reader.close()
    if not poll.status.up:
        level: Literal["note", "fail"] = "note" if poll.status.state is GpuState.ABSENT else "fail"
        return [Finding(level, "GPUs", f"{poll.status.state}: {poll.status.message}", poll.status.remedy)]
    return [
        Finding(
            "ok" if one.reason is None else "fail", "GPU", f"{one.uuid} {one.name or ''} {one.reason or ''}".rstrip()
        )
        for one in poll.gpus
    ]


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
