"""Looks for inference servers on the ports of loopback where they usually listen."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from collector.errors import SourceError
from collector.jobs.targets import Target, found_target
from collector.scrape.fetch import Fetcher, client_session
from collector.scrape.limits import Limits
from collector.scrape.target import TargetScraper
from collector.servers import detect, engine_specs
from collector.settings.model import Settings

HOST = "127.0.0.1"
LOOK = Limits(timeout_s=1.0)


@dataclass(frozen=True, slots=True)
class Found:
    """A server that answered, and which engine its page shows."""

    address: str
    engine: str


async def find_on_loopback() -> list[Found]:
    """Servers whose metrics page shows a known engine, by port."""
    ports = sorted({port for spec in engine_specs().values() for port in spec.usual_ports})
    session = client_session()
    try:
        found = await asyncio.gather(*(_look(Fetcher(session), f"{HOST}:{port}") for port in ports))
    finally:
        await session.close()
    return [one for one in found if one is not None]


async def _look(fetcher: Fetcher, address: str) -> Found | None:
    try:
        scrape = await TargetScraper(f"http://{address}/metrics", fetcher, detect, limits=LOOK).scrape()
    except SourceError:
        return None
    return Found(address, scrape.engine)


async def loopback_targets(settings: Settings) -> tuple[Target, ...]:
    """The servers found, as targets of a job named after their engine."""
    return tuple(found_target(one.engine, settings, one.address, {}) for one in await find_on_loopback())


def found_text(targets: Sequence[Target]) -> str:
    """The targets in words."""
    return ", ".join(f"{target.job.job_name} at {target.address}" for target in targets)
