"""What the store hands out and the analysis has no type for: registered replicas, epochs, stored reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from analyzer.samples import Identity, ReplicaKey


@dataclass(frozen=True, slots=True)
class RegisteredReplica:
    """A replica that was ever seen, and the job that last polled it."""

    key: ReplicaKey
    job: str | None


@dataclass(frozen=True, slots=True)
class Epoch:
    """A stretch in which nothing that matters changed; `process_start` as the engine wrote it, None if it doesn't."""

    id: int
    replica: ReplicaKey
    identity: Identity
    process_start: str | None
    started_at_s: float


@dataclass(frozen=True, slots=True)
class StoredReport:
    """A report as JSON-ready values, and when it was made (unix time)."""

    made_at_s: float
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Appended:
    """How many samples of a batch were new; the rest were there already, or fell into a tick that has one."""

    new: int
    duplicates: int
