"""The text of /metrics for a state, as it is served, and as prometheus_client writes the same series."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from collector.clock import Clock
from collector.export.catalogue import by_name
from collector.export.health_series import Series
from collector.export.metrics_page import MetricsPage
from collector.export.pressed import plain
from collector.export.snapshot import State

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def served_text(state: State, clock: Clock, accept: str = "") -> str:
    """The page that the daemon answers with, its report stale after five intervals of 60 s."""
    with ThreadPoolExecutor(1) as executor:
        parts, _ = asyncio.run(MetricsPage(state, clock, 60.0, executor).parts(accept))
    return plain(parts).decode()


class _Series(Collector):
    """Yields the families of given series, in the catalogue's order."""

    def __init__(self, series: Iterable[Series]) -> None:
        self._series: dict[str, list[tuple[Mapping[str, str], float]]] = {}
        for name, labels, value in series:
            self._series.setdefault(name, []).append((labels, value))

    def collect(self) -> Iterator[Metric]:
        for name, metric in by_name().items():
            mine = self._series.get(name, [])
            made = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
            family = made(name, metric.help, labels=metric.labels)
            for labels, value in mine:
                values = [labels[label].encode("utf-8", "replace").decode() for label in metric.labels]
                family.add_metric([value.replace("\x00", "\N{REPLACEMENT CHARACTER}") for value in values], value)
            if mine:
                yield family


def client_text(series: Iterable[Series], accept: str = "") -> str:
    """The same series through prometheus_client's own families and encoder."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Series(series))
    encode, _ = choose_encoder(accept)
    return encode(registry).decode()
