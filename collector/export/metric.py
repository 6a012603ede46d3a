"""What one exported metric is, and the labels that many have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

REPLICA = ("deployment", "target", "model_name", "rank")
ESTIMATE = ("bound", "evidence")
"""`bound` is p10, p50 or p90 of the 80 % interval; `evidence` says how the figure was obtained."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric as Prometheus sees it; a counter's name ends in `_total`."""

    name: str
    kind: Literal["gauge", "counter", "info"]
    labels: tuple[str, ...]
    help: str
