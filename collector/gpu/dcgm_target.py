"""One dcgm-exporter, polled: fetch its page, read its GPUs, and tell an exporter that goes on serving old figures."""

from __future__ import annotations

import ssl as tls
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from collector.clock import Clock
from collector.gpu.dcgm import WANTED, read_gpus
from collector.gpu.readings import GpuReading
from collector.scrape.fetch import Fetcher
from collector.scrape.limits import Limits
from collector.scrape.page import PageParser

FROZEN_AFTER_S = 180.0
"""Six of dcgm-exporter's default intervals of 30 s: a GPU that draws power cannot keep its energy for so long."""
FROZEN = "frozen"


@dataclass(frozen=True, slots=True)
class GpuScrape:
    """One successful poll of a GPU page."""

    readings: tuple[GpuReading, ...]
    duration_s: float
    size_bytes: int
    samples: int


class GpuPageScraper:
    """What is remembered of one exporter between polls. Not for concurrent use."""

    def __init__(
        self,
        url: str,
        fetcher: Fetcher,
        clock: Clock,
        *,
        limits: Limits,
        headers: Callable[[], Mapping[str, str]],
        ssl: Callable[[], tls.SSLContext | bool],
        server_name: str | None,
    ) -> None:
        """`headers` and `ssl` are called for every request, so a secret or certificate may be renewed."""
        self._url = url
        self._fetcher = fetcher
        self._limits = limits
        self._headers = headers
        self._ssl = ssl
        self._server_name = server_name
        self._parser = PageParser(WANTED, limits)
        self._energy = EnergyWatch(clock)

    async def scrape(self) -> GpuScrape:
        """One GET. Raises SourceError, WRONG_ENGINE when the page is no longer an exporter's."""
        response = await self._fetcher.get(
            self._url, limits=self._limits, headers=self._headers(), ssl=self._ssl(), server_name=self._server_name
        )
        page = self._parser.parse(response.body, response.content_type)
        readings = self._energy.checked(read_gpus(page))
        return GpuScrape(readings, response.duration_s, len(response.body), page.sample_count)


class EnergyWatch:
    """Withholds GPUs whose energy stands still while they draw power: their page is not renewed."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since_s: dict[str, tuple[float, float]] = {}

    def checked(self, readings: Sequence[GpuReading]) -> tuple[GpuReading, ...]:
        """The readings; the frozen ones, and the MIG instances of a frozen GPU, with that as their reason."""
        now_s = self._clock.monotonic_s()
        self._since_s = {
            one.uuid: self._moved(one.uuid, energy_j, now_s)
            for one in readings
            if (energy_j := one.fields.get("energy_j_total")) is not None and one.fields.get("power_w")
        }
        frozen = {uuid for uuid, (_, since_s) in self._since_s.items() if now_s - since_s >= FROZEN_AFTER_S}
        return tuple(
            replace(one, fields={}, absent={}, reason=FROZEN) if one.uuid.partition("/")[0] in frozen else one
            for one in readings
        )

    def _moved(self, uuid: str, energy_j: float, now_s: float) -> tuple[float, float]:
        """The energy and since when it is that."""
        before = self._since_s.get(uuid)
        return before if before is not None and before[0] == energy_j else (energy_j, now_s)
