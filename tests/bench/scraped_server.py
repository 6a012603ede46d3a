"""A server with vLLM's metrics in prometheus_client, as vLLM keeps them: says `ready PORT`, then is scraped."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

PAGE = Path(__file__).parents[1] / "pages" / "vllm__0.32.0__saturated.prom"


def registry_of(text: str) -> CollectorRegistry:
    """Live counters, gauges and histograms with the names, labels and buckets of a page."""
    registry = CollectorRegistry()
    for family in text_string_to_metric_families(text):
        # Those tell when others were made, and come by themselves.
        if family.samples and not family.name.endswith("_created"):
            _add(registry, family)
    return registry


def _add(registry: CollectorRegistry, family: Metric) -> None:
    names = sorted({name for sample in family.samples for name in sample.labels if name != "le"})
    told = {tuple(sample.labels.get(name, "") for name in names): sample.value for sample in family.samples}
    if family.type == "histogram":
        ends = {float(sample.labels["le"]) for sample in family.samples if "le" in sample.labels}
        histogram = Histogram(family.name, family.documentation, names, registry=registry, buckets=sorted(ends))
        for labels in told:
            (histogram.labels(*labels) if names else histogram).observe(0.1)
        return
    made: Counter | Gauge
    made = (Counter if family.type == "counter" else Gauge)(family.name, family.documentation, names, registry=registry)
    for labels, value in told.items():
        one = made.labels(*labels) if names else made
        one.inc(max(0.0, value))


if __name__ == "__main__":
    server, _ = start_http_server(0, "127.0.0.1", registry_of(PAGE.read_text()))
    print("ready", server.server_port, flush=True)
    sys.stdout.close()
    threading.Event().wait()
