"""What verdicts and replicas are called where people read them, and how a terminal shows each verdict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

WORDS = {
    "worth_it": ("worth it", "bold green"),
    "evaluate": ("evaluate", "bold yellow"),
    "no": ("no", "bold"),
    "insufficient_data": ("not enough data", "dim"),
}


def address(replica: Mapping[str, Any]) -> str:
    """Host and port, with the rank where there are several."""
    target, rank = str(replica["target"]), replica["rank"]
    address = target.partition("://")[2].partition("/")[0] or target
    return address if rank == "0" else f"{address} rank {rank}"
