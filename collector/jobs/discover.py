"""Looks for inference servers on the ports of loopback where they usually listen."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from collector.errors import SourceError
from collector.gpu.dcgm import ENGINE, USUAL_PORT
from collector.jobs.scraper import GpuPageError, detect_any
from collector.jobs.targets import Target, found_target
from collector.scrape.bare import recognise
from collector.scrape.beside import beside
from collector.scrape.fetch import Fetcher, client_session
from collector.scrape.limits import Limits
from collector.scrape.target import TargetScraper
from collector.servers import all_engines, bare_engines
from collector.settings.model import Settings

HOST = "127.0.0.1"
LOOK = Limits(timeout_s=1.0)


@dataclass(frozen=True, slots=True)
class Found:
    """A server that answered, and which engine its page shows."""

    address: str
    engine: str


def usual_ports() -> tuple[int, ...]:
    """The ports on which engines and dcgm-exporter usually listen."""
    return tuple(sorted({USUAL_PORT, *(port for engine in all_engines().values() for port in engine.usual_ports)}))


async def find_on_loopback(ports: Sequence[int]) -> list[Found]:
    """Servers whose metrics page shows a known engine, or that expose no metrics and say who they are; by port.

    A dcgm-exporter counts only beside one of them: alone there is nothing that its figures belong to.
    """
    session = client_session()
    try:
        found = await asyncio.gather(*(_look(Fetcher(session), f"{HOST}:{port}") for port in ports))
    finally:
        await session.close()
    known = [one for one in found if one is not None]
    return known if any(one.engine != ENGINE for one in known) else []


async def _look(fetcher: Fetcher, address: str) -> Found | None:
    url = f"http://{address}/metrics"
    try:
        scrape = await TargetScraper(url, fetcher, detect_any, limits=LOOK).scrape()
    except GpuPageError:
        return Found(address, ENGINE)
    except SourceError:
        bare = await recognise(lambda path: fetcher.get(beside(url, path), limits=LOOK), bare_engines().values())
        return None if bare is None else Found(address, bare.name)
    return Found(address, scrape.engine)


async def loopback_targets(settings: Settings) -> tuple[Target, ...]:
    """The servers found, as targets of a job named after their engine."""
    bare = bare_engines()
    return tuple(
        found_target(one.engine, settings, one.address, {}, one.engine if one.engine in bare else "auto")
        for one in await find_on_loopback(usual_ports())
    )


def found_text(targets: Sequence[Target]) -> str:
    """The targets in words."""
    return ", ".join(f"{target.job.job_name} at {target.address}" for target in targets)
