"""What names targets from outside the configuration: files, HTTP answers and DNS, in the formats of Prometheus.

Each keeps what it was told last: a source that fails takes no target away.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from glob import glob
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import yaml

from collector.errors import SourceError
from collector.jobs.targets import STEP_LOG_LABEL, auth_headers, tls_context
from collector.scrape.fetch import Getter
from collector.scrape.limits import Limits
from collector.settings.jobs import DnsSdConfig, FileSdConfig, HttpSdConfig

ANSWER = Limits(timeout_s=10.0, body_size_limit_bytes=10 * 1024 * 1024)
"""Of an HTTP answer, as of a page."""
DNS_LIMIT_S = 10.0
FILES_LIMIT_S = 10.0
Named = tuple[str, Mapping[str, str]]
"""An address, as host:port, and its labels."""
Resolve = Callable[[str, str], Awaitable[list[Any]]]
_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?")


class Source(Protocol):
    """One entry of a job's `..._sd_configs`."""

    mechanism: str
    interval_s: float

    async def read(self) -> tuple[list[Named], list[str]]:
        """What it names now, or named last where it fails, and one line for each failure. Raises nothing."""


class FileSource:
    """Files of one `file_sd_configs` entry; a file that breaks stops no other."""

    mechanism = "file"

    def __init__(self, config: FileSdConfig, run: Callable[..., Awaitable[Any]]) -> None:
        """`run` calls a function on another thread: a file may lie on a disk that hangs."""
        self.interval_s = config.refresh_interval
        self._patterns = config.files
        self._run = run
        self._last: dict[str, list[Named]] = {}

    async def read(self) -> tuple[list[Named], list[str]]:
        """As of `Source`; a file that is gone names nothing any more."""
        try:
            async with asyncio.timeout(FILES_LIMIT_S):
                read: dict[str, list[Named] | str] = await self._run(_read_files, self._patterns)
        except TimeoutError:
            problem = f"the files were not read within {FILES_LIMIT_S:g} s: their disk hangs"
            return [one for found in self._last.values() for one in found], [problem]
        problems = [f"{name}: {found}" for name, found in read.items() if isinstance(found, str)]
        self._last = {
            name: self._last.get(name, []) if isinstance(found, str) else found for name, found in read.items()
        }
        return [one for found in self._last.values() for one in found], problems


def _read_files(patterns: Sequence[str]) -> dict[str, list[Named] | str]:
    """By file, what it names or why it cannot be used."""
    found: dict[str, list[Named] | str] = {}
    for name in sorted({path for pattern in patterns for path in glob(pattern)}):
        try:
            text = Path(name).read_text(encoding="utf-8")
            found[name] = list(_groups(json.loads(text) if name.endswith(".json") else yaml.safe_load(text)))
        except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
            found[name] = f"not a usable file_sd file: {error}"
    return found


class HttpSource:
    """One `http_sd_configs` entry."""

    mechanism = "http"

    def __init__(self, config: HttpSdConfig, getter: Getter) -> None:
        self.interval_s = config.refresh_interval
        self._config = config
        self._getter = getter
        self._last: list[Named] = []

    async def read(self) -> tuple[list[Named], list[str]]:
        """As of `Source`. A label that names a file of this machine is not taken from the network."""
        config = self._config
        where = urlsplit(config.url).netloc
        try:
            answer = await self._getter.get(
                config.url,
                limits=ANSWER,
                headers={**auth_headers(config), "Accept": "application/json"},
                ssl=tls_context(config.tls_config),
                server_name=None if config.tls_config is None else config.tls_config.server_name,
            )
            kind = answer.content_type.partition(";")[0].strip()
            if kind != "application/json":
                return self._last, [f"{where}: answers {kind[:40]!a} and not application/json"]
            self._last = list(_groups(json.loads(answer.body), foreign=True))
        except SourceError as error:
            return self._last, [f"{where}: {error}"]
        except (ValueError, RecursionError) as error:
            return self._last, [f"{where}: not a usable list of target groups: {error}"]
        return self._last, []


class DnsSource:
    """One `dns_sd_configs` entry."""

    mechanism = "dns"

    def __init__(self, config: DnsSdConfig, resolve: Resolve) -> None:
        self.interval_s = config.refresh_interval
        self._config = config
        self._resolve = resolve
        self._last: dict[str, list[Named]] = {}

    async def read(self) -> tuple[list[Named], list[str]]:
        """As of `Source`, each name by itself."""
        # Only here, as below: few daemons have such a source, and it takes 3 MB.
        import dns.exception

        async def resolved(name: str) -> list[Named] | str:
            try:
                records = await self._resolve(name, self._config.type)
            except (dns.exception.DNSException, OSError) as error:
                return f"{name}: {' '.join(str(error).split()) or type(error).__name__}"
            return sorted((self._address(one), {"__meta_dns_name": name}) for one in records)

        # At once: each may take as long as a resolver that does not answer.
        names = self._config.names
        found = dict(zip(names, await asyncio.gather(*map(resolved, names)), strict=True))
        self._last |= {name: one for name, one in found.items() if not isinstance(one, str)}
        last = [one for name in names for one in self._last.get(name, [])]
        return last, [one for one in found.values() if isinstance(one, str)]

    def _address(self, record: Any) -> str:
        if self._config.type == "SRV":
            return f"{str(record.target).rstrip('.')}:{record.port}"
        host = f"[{record.address}]" if ":" in record.address else record.address
        return f"{host}:{self._config.port}"


async def system_resolve(name: str, kind: str) -> list[Any]:
    """The records of a name by this machine's resolvers and search list. Raises DNSException or OSError."""
    import dns.asyncresolver

    answer = await dns.asyncresolver.resolve(name, kind, search=True, lifetime=DNS_LIMIT_S)
    return list(answer)


def _groups(groups: Any, *, foreign: bool = False) -> Iterator[Named]:
    """The addresses of target groups. Raises ValueError for another form.

    `foreign` groups come from the network: their labels name no file of this machine.
    """
    if not isinstance(groups, list):
        raise ValueError("no list of target groups")  # noqa: TRY004 - one kind of mistake for the caller
    for group in groups:
        if not isinstance(group, dict) or not isinstance(group.get("targets"), list):
            raise ValueError("a group has no list of targets")  # noqa: TRY004 - as above
        labels = group.get("labels") or {}
        if not isinstance(labels, dict):
            raise ValueError("a group's labels are no mapping")  # noqa: TRY004 - as above
        if foreign:
            labels = {name: value for name, value in labels.items() if name != STEP_LOG_LABEL}
        if STEP_LOG_LABEL in labels and len(group["targets"]) > 1:
            raise ValueError("step_log names the log of one server: give each target a group of its own")
        for address in group["targets"]:
            if not isinstance(address, str) or not _ADDRESS.fullmatch(address):
                raise ValueError(f"{str(address)[:100]!a} is no host:port")
            yield address, {str(key): str(value) for key, value in labels.items()}
