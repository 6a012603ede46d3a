"""The exception tree. Foreign exceptions stop at the file that talks to the foreign thing and become one of these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What went wrong with a source: the label it is counted under and the key of its remedy in `doctor`."""

    REFUSED = "refused"
    DNS = "dns"
    TIMEOUT = "timeout"
    TLS = "tls"
    REDIRECT = "redirect"
    UNAUTHORIZED = "unauthorized"
    HTTP_STATUS = "http_status"
    NOT_READY = "not_ready"
    TOO_LARGE = "too_large"
    TOO_MANY_SAMPLES = "too_many_samples"
    LABEL_LIMIT = "label_limit"
    BAD_PAGE = "bad_page"
    NOT_METRICS = "not_metrics"
    UNKNOWN_ENGINE = "unknown_engine"
    WRONG_ENGINE = "wrong_engine"
    DISCONNECTED = "disconnected"
    FORWARD_PASSES = "forward_passes"
    FROZEN = "frozen"
    MEMORY = "memory"
    BUG = "bug"


class BreakevenError(Exception):
    """Anything we raise on purpose; its text is one clear line for the operator."""


class SourceError(BreakevenError):
    """A target, GPU or other source gave no data this time."""

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class GpusLostError(BreakevenError):
    """GPUs that were read are gone for longer than the daemon was told to bear."""


class StoreError(BreakevenError):
    """The database cannot be used; the text says why and what to do."""


class DatabaseInUseError(StoreError):
    """Another process writes to the SQLite file; the text names it."""


class StoreAwayError(StoreError):
    """The database's server cannot be reached now; it may come back by itself."""


class DiskLowError(StoreError):
    """The disk is nearly full, so samples are not written; roll-ups and deletions still are."""


class UnknownEpochError(StoreError):
    """A sample's epoch is not in the database, which was replaced meanwhile; nothing of the batch was written."""


class LeaseLostError(StoreError):
    """Another daemon analyses meanwhile; nothing was written."""


class SchemaTooNewError(StoreError):
    """The database was written by a newer release; the text names both revisions."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in the configuration: where, what, and what to do about it."""

    place: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.place}: {self.what}; {self.remedy}"


class ConfigError(BreakevenError):
    """All problems of a configuration at once."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)
