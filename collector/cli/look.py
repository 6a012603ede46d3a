"""`doctor`'s look at the sources: every target's page, the GPU driver, and which GPUs belong to which target."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from collector.cli.facts import deployments_of, untold
from collector.cli.findings import Finding
from collector.clock import SystemClock
from collector.errors import SourceError
from collector.gpu.dcgm import ENGINE, INCONSISTENT, NOTES, READS, TITLE
from collector.gpu.readings import GpuPoll, GpuReading, GpuState
from collector.gpu.supervisor import NvmlReader
from collector.health import REMEDIES
from collector.jobs.discover import loopback_targets
from collector.jobs.discovery import Discovery
from collector.jobs.joins import GpuJoins, join_text
from collector.jobs.listeners import Processes
from collector.jobs.scraper import GpuPageError, bare_engine_at, gpu_scraper_of, scraper_of
from collector.jobs.targets import Target
from collector.jobs.tls_contexts import TlsContexts
from collector.scrape.bare import BareEngine
from collector.scrape.facts import FIGURES
from collector.scrape.fetch import Fetcher, client_session
from collector.scrape.told import Identification, Scrape
from collector.servers import all_engines
from collector.settings import Settings

GPM_WINDOW_S = 0.3
"""Between two readings: the driver renews its profiling counters about every 100 ms."""
GPM_SINCE = (9, 0)
"""Compute capability of Hopper."""

_ABSENT = "nothing of it has happened yet, or this build names it otherwise: `breakeven capture` shows the page"


@dataclass(frozen=True, slots=True)
class _Looked:
    """What one target's page showed: an engine, GPUs, or neither."""

    target: Target
    findings: list[Finding]
    is_engine: bool = False
    gpus: tuple[GpuReading, ...] = ()


async def look_at_sources(settings: Settings, embedded: bool) -> list[Finding]:
    """Look once at all sources; `embedded` also looks for servers on loopback."""
    session = client_session(allowed=settings.global_.allowed_networks)
    try:
        return await _look_at_sources(settings, embedded, Fetcher(session))
    finally:
        await session.close()


async def _look_at_sources(settings: Settings, embedded: bool, fetcher: Fetcher) -> list[Finding]:
    discovery = Discovery(settings, fetcher, {}, SystemClock())
    failed = await discovery.refresh()
    targets, cut = discovery.targets()
    findings = [Finding("fail", "discovery", line, "mend the source") for line in [*failed, *cut]]
    if embedded:
        targets += await loopback_targets(settings)
    if not targets:
        text = "none is configured" if not embedded else "no inference server answers on the usual loopback ports"
        ports = ", ".join(map(str, sorted({port for engine in all_engines().values() for port in engine.usual_ports})))
        findings.append(
            Finding("note", "targets", text, f"start a server (usual ports: {ports}) or name a config file")
        )
    contexts = TlsContexts()
    looked = await asyncio.gather(*(_target(settings, target, fetcher, contexts) for target in targets))
    poll = None if settings.gpu.nvml == "off" else await _driver(settings)
    readings = [one for page in looked for one in page.gpus] + list(() if poll is None else poll.gpus)
    for page in looked:
        findings += page.findings
    findings += _joins(settings, [page.target for page in looked if page.is_engine], readings)
    return findings + list(_gpus(settings, poll))


async def _target(settings: Settings, target: Target, fetcher: Fetcher, contexts: TlsContexts) -> _Looked:
    about = f"{target.job.job_name} {target.url}"
    try:
        if target.job.engine == ENGINE:
            return await _gpu_page(target, fetcher, contexts)
        scraper = scraper_of(target, fetcher, contexts, only_look=True)
        try:
            await scraper.scrape()
        except GpuPageError:
            return await _gpu_page(target, fetcher, contexts)
        told = await scraper.identify()
        scrape = await scraper.scrape()
    except SourceError as error:
        bare = await bare_engine_at(target, fetcher, contexts)
        if bare is not None:
            remedy = f"set `engine: {bare.name}` on the job and join its GPUs (gpu_joins, or the label gpu_uuid)"
            return _Looked(target, [Finding("fail", about, f"{bare.title}: {bare.evidence[0]}", remedy)])
        return _Looked(target, [Finding("fail", about, f"{error.kind}: {error}", REMEDIES.get(error.kind, ""))])
    if isinstance(scraper.spec, BareEngine):
        text = f"{scraper.spec.title}: {scraper.spec.evidence[0]}"
        bare_findings = [Finding("note", about, text, scraper.spec.evidence[-1])]
        return _Looked(target, bare_findings + _facts(settings, target, told, scrape), is_engine=True)
    replicas = ", ".join(f"{one.model or 'unnamed model'} rank {one.rank}" for one in scrape.reading.replicas)
    size = _size(scrape.samples, scrape.size_bytes, scrape.duration_s)
    findings = [Finding("ok", about, f"{scrape.engine}: {replicas or 'no replica yet'} ({size})")]
    findings += [Finding("note", about, f"not told who it is: {note}") for note in told.notes]
    findings += [Finding("note", about, f"not read beside the page: {note}") for note in scrape.notes]
    for name in scrape.reading.missing:
        findings.append(Finding("note", about, f"does not report {name}", scrape.reading.notes.get(name, _ABSENT)))
    spec = scraper.spec
    if spec is not None:
        lacking = [name for name in FIGURES if name not in spec.provides]
        findings += [Finding("note", about, f"{spec.title} cannot report {name}", spec.notes[name]) for name in lacking]
    return _Looked(target, findings + _facts(settings, target, told, scrape), is_engine=True)


def _facts(settings: Settings, target: Target, told: Identification, scrape: Scrape) -> list[Finding]:
    """What nobody told of what is served, once for all replicas of a target."""
    found: dict[str, str] = {}
    for replica in scrape.reading.replicas:
        stated = deployments_of(settings, target.job, target.address, replica.model)
        found |= dict(untold({**told.fields, **replica.identity}, stated))
    return [
        Finding("note", f"{target.job.job_name} {target.url}", f"nothing tells {what}", remedy)
        for what, remedy in found.items()
    ]


async def _gpu_page(target: Target, fetcher: Fetcher, contexts: TlsContexts) -> _Looked:
    """An exporter's page. Raises SourceError."""
    about = f"{target.job.job_name} {target.url}"
    scrape = await gpu_scraper_of(target, fetcher, contexts, SystemClock()).scrape()
    hosts = ", ".join(sorted({one.host for one in scrape.readings if one.host}))
    where = f" of {hosts}" if hosts else ""
    uuids = ", ".join(one.uuid for one in scrape.readings)
    size = _size(scrape.samples, scrape.size_bytes, scrape.duration_s)
    findings = [Finding("ok", about, f"{TITLE}: {len(scrape.readings)} GPUs{where}: {uuids} ({size})")]
    for name in READS:
        if all(one.fields.get(name) is None for one in scrape.readings):
            reasons = ", ".join(sorted({one.absent[name] for one in scrape.readings if name in one.absent}))
            findings.append(Finding("note", about, f"does not report {name} ({reasons})", NOTES.get(name, "")))
    for one in scrape.readings:
        if INCONSISTENT in one.absent.values():
            text = f"{one.uuid}: profiling counters are all zero while the GPU works; none of them is believed"
            findings.append(Finding("note", about, text, "look for Xid in the kernel log; restart DCGM's host engine"))
    return _Looked(target, findings, gpus=scrape.readings)


def _size(samples: int, size_bytes: int, duration_s: float) -> str:
    return f"{samples} samples, {size_bytes / 1024:.0f} KiB in {duration_s * 1000:.0f} ms"


def _joins(settings: Settings, engines: Sequence[Target], readings: Sequence[GpuReading]) -> Iterator[Finding]:
    """For each engine, which GPUs are its own and how that is known; nothing where there is no GPU to speak of."""
    joins = GpuJoins(settings.gpu_joins)
    addresses = [target.address for target in joins.unstated(engines)]
    joins.look(engines, readings, Processes().serving(addresses))
    shown = {one.uuid for one in readings if one.reason is None}
    for target in engines:
        about, join = f"{target.job.job_name} {target.url}", joins.of(target)
        unseen = [uuid for uuid in join.uuids if uuid not in shown]
        if unseen:
            text = f"{join_text(join)}; no source shows {', '.join(unseen)}"
            yield Finding("note", about, text, "correct the UUID, or add the dcgm-exporter of its machine as a target")
        elif join.uuids:
            yield Finding("ok", about, join_text(join))
        elif shown:
            remedy = "" if join.note else "state its GPUs in gpu_joins, or by the label gpu_uuid"
            yield Finding("note", about, join_text(join), remedy)


async def _driver(settings: Settings) -> GpuPoll:
    """One reading of NVML; with profiling counters a second one, which they need to have a span."""
    reader = NvmlReader(SystemClock(), gpm=settings.gpu.gpm)
    try:
        poll = await reader.read()
        if settings.gpu.gpm and poll.status.up:
            await asyncio.sleep(GPM_WINDOW_S)
            poll = await reader.read()
        return poll
    finally:
        await reader.close()


def _gpus(settings: Settings, poll: GpuPoll | None) -> Iterator[Finding]:
    if poll is None:
        yield Finding("note", "GPUs", "NVML is turned off", "set gpu.nvml to auto to read local GPUs")
        return
    if not poll.status.up:
        level: Literal["note", "fail"] = "note" if poll.status.state is GpuState.ABSENT else "fail"
        yield Finding(level, "GPUs", f"{poll.status.state}: {poll.status.message}", poll.status.remedy)
        return
    for one in poll.gpus:
        told = f"{one.uuid} {one.name or ''} {one.reason or ''}".rstrip()
        yield Finding("ok" if one.reason is None else "fail", "GPU", told)
        for name, reason in one.absent.items():
            yield Finding("note", "GPU", f"{one.uuid} does not report {name} ({reason})")
        capable = one.compute_capability is not None and one.compute_capability >= GPM_SINCE
        if capable and not settings.gpu.gpm:
            text = f"{one.uuid} has profiling counters (GPM) that are not read"
            yield Finding("note", "GPU", text, "set gpu.gpm to true for DRAM, tensor and SM activity")
