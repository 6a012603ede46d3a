"""One link of the chain from a replica's raw counters to its shares, as a page shows it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Link:
    """Its title, and its lines for a fixed-width font."""

    title: str
    text: str
