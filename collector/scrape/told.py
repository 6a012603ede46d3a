"""What polling a target gives: its page, read, and who it says it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from collector.scrape.reading import PageReading


@dataclass(frozen=True, slots=True)
class Scrape:
    """One successful poll. `sent_after_s` is how long after the call the request of this page was sent.

    `size_bytes` and `samples` are those of the page that was read; `requests` is how many it took, those to the
    engine's JSON endpoints included. `notes` say which of these did not answer, and why. `age_s` is how long before
    the end of the call this page's request was sent: its own duration and that of the JSON endpoints after it.
    """

    engine: str
    reading: PageReading
    duration_s: float
    sent_after_s: float
    size_bytes: int
    samples: int
    requests: int
    notes: tuple[str, ...]
    age_s: float


@dataclass(frozen=True, slots=True)
class Identification:
    """Fields of `analyzer.samples.Identity` that endpoints told, and why some could not be asked."""

    fields: Mapping[str, Any]
    notes: tuple[str, ...]
