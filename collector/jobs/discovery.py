"""The targets of all jobs: those written in the configuration, and those that files, HTTP and DNS name."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel

from collector.clock import Clock
from collector.health import Health
from collector.jobs.named_last import NamedLast, source_key
from collector.jobs.sources import (
    FILES_LIMIT_S,
    DnsSource,
    FileSource,
    HttpSource,
    Named,
    Resolve,
    Source,
    system_resolve,
)
from collector.jobs.targets import Target, make_target, static_targets
from collector.jobs.worker import Worker
from collector.logs import event
from collector.scrape.fetch import Getter
from collector.settings.jobs import ScrapeConfig
from collector.settings.model import Settings

_log = logging.getLogger("breakeven.discovery")


@dataclass(slots=True)
class _Entry:
    """One source of one job, with what it names now."""

    job: str
    config: BaseModel
    source: Source
    due_s: float
    named: Sequence[Named] = ()
    earlier: Sequence[Named] = ()
    """What it named last in an earlier run, until it is read without fail in this one."""

    @property
    def key(self) -> str:
        return source_key(self.job, self.config)

    def take(self, named: Sequence[Named], *, whole: bool) -> None:
        """What was read, `whole` or with failures."""
        self.earlier = () if whole else self.earlier
        self.named = [*named, *(one for one in self.earlier if one not in named)]


class Discovery:
    """Knows every target; `refresh` asks the sources whose time has come."""

    def __init__(
        self,
        settings: Settings,
        getter: Getter,
        health: dict[tuple[str, str], Health],
        clock: Clock,
        resolve: Resolve = system_resolve,
        kept: NamedLast | None = None,
    ) -> None:
        """`health` is kept by job and mechanism, for the exports; `kept` outlives the process."""
        self._getter = getter
        self._health = health
        self._clock = clock
        self._resolve = resolve
        self._files = Worker("target-files")
        self._entries: list[_Entry] = []
        self._kept = NamedLast(None) if kept is None else kept
        self._earlier = self._kept.read()
        self._settings = settings
        self.take(settings)

    def take(self, settings: Settings) -> None:
        """Go on with another configuration; a source that is in both keeps what it named last."""
        former = {(entry.job, entry.config): entry for entry in self._entries}
        now_s = self._clock.monotonic_s()
        self._settings = settings
        self._entries = [
            former.get((job.job_name, config)) or self._entry(job.job_name, config, source, now_s)
            for job in settings.scrape_configs
            for config, source in self._sources(job)
        ]
        known = {(entry.job, entry.source.mechanism) for entry in self._entries}
        for key in self._health.keys() - known:
            del self._health[key]
        for key in known - self._health.keys():
            self._health[key] = Health()

    def _entry(self, job: str, config: BaseModel, source: Source, due_s: float) -> _Entry:
        return _Entry(job, config, source, due_s, earlier=self._earlier.get(source_key(job, config), ()))

    def _sources(self, job: ScrapeConfig) -> list[tuple[BaseModel, Source]]:
        return [
            *((one, FileSource(one, self._files.run)) for one in job.file_sd_configs),
            *((one, HttpSource(one, self._getter)) for one in job.http_sd_configs),
            *((one, DnsSource(one, self._resolve)) for one in job.dns_sd_configs),
        ]

    def wait_s(self, otherwise_s: float) -> float:
        """Seconds until a source is due; `otherwise_s` where there is none."""
        due_s = min((entry.due_s for entry in self._entries), default=None)
        return otherwise_s if due_s is None else max(0.0, due_s - self._clock.monotonic_s())

    async def refresh(self) -> list[str]:
        """Ask what is due; a line for each failure. Takes as long as one source may."""
        now_s = self._clock.monotonic_s()
        asked = await asyncio.gather(*(self._ask(entry) for entry in self._entries if entry.due_s <= now_s))
        if asked:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FILES_LIMIT_S):
                    await self._files.run(self._kept.write, {entry.key: entry.named for entry in self._entries})
        return [line for lines in asked for line in lines]

    async def _ask(self, entry: _Entry) -> list[str]:
        started_s = self._clock.monotonic_s()
        entry.due_s = started_s + entry.source.interval_s
        named, problems = await entry.source.read()
        entry.take(named, whole=not problems)
        took_s = self._clock.monotonic_s() - started_s
        health = self._health.get((entry.job, entry.source.mechanism), Health())
        if problems:
            health.failed(self._clock.wall_s(), "source", "; ".join(problems), took_s)
        else:
            health.succeeded(self._clock.wall_s(), took_s)
        return [f"job {entry.job}: {problem}" for problem in problems]

    def targets(self) -> tuple[list[Target], list[str]]:
        """All targets, each URL once and for its first job, and a line for each job that names too many."""
        problems: list[str] = []
        found = {target.url: target for target in static_targets(self._settings)}
        for job in self._settings.scrape_configs:
            mine: dict[str, Target] = {}
            for entry in self._entries:
                if entry.job != job.job_name:
                    continue
                for address, labels in entry.named:
                    target = make_target(job, self._settings, address, labels, discovered=True)
                    if target.url not in found:
                        mine.setdefault(target.url, target)
            room = max(0, job.target_limit - sum(len(group.targets) for group in job.static_configs))
            if len(mine) > room:
                text = f"{len(mine)} found targets exceed target_limit {job.target_limit}; the rest is left out"
                problems.append(f"job {job.job_name}: {text}")
            found |= dict(list(mine.items())[:room])
        return list(found.values()), problems

    def close(self) -> None:
        """Leave the thread that reads files behind."""
        self._files.close(0.0)


def said(lines: Sequence[str]) -> None:
    """Log what failed."""
    for line in lines:
        event(_log, logging.WARNING, "discovery failed; the last targets stay", about=line)
