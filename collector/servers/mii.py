"""DeepSpeed-MII: no metrics and no endpoint that tells anything."""

from __future__ import annotations

from collector.scrape.bare import BareEngine
from collector.scrape.facts import FACTS

ENGINE = BareEngine(
    name="mii",
    title="DeepSpeed-MII",
    evidence=(
        "exposes nothing; GPU counters only: the utilization of GPUs joined to it (label gpu_uuid) is its busy time",
        "no phase mix, batch or tokens per second, so no verdict; vLLM or SGLang serve the same models with metrics",
    ),
    not_told=FACTS,
)
