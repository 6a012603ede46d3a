"""How each part of the daemon is doing, apart from the data: attempts, successes, failures by kind, last success.

Written by the jobs on the event loop, read by the exports; a failed attempt never touches what is known of the data.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from collector.errors import Kind, SourceError


@dataclass(slots=True)
class Health:
    """One source: a target, the GPU driver, the store, a periodic job."""

    attempts: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    last_attempt_s: float | None = None
    last_success_s: float | None = None
    last_duration_s: float | None = None
    reason: str | None = None
    message: str | None = None

    def succeeded(self, at_s: float, duration_s: float) -> None:
        """Count a success; the reason of an earlier failure is gone."""
        self.attempts += 1
        self.last_attempt_s = self.last_success_s = at_s
        self.last_duration_s = duration_s
        self.reason = self.message = None

    def failed(self, at_s: float, reason: str, message: str, duration_s: float | None = None) -> None:
        """Count a failure under its reason, with one line for the operator."""
        self.attempts += 1
        self.failures[reason] += 1
        self.last_attempt_s = at_s
        self.last_duration_s = duration_s
        self.reason, self.message = reason, message

    def elsewhere(self, at_s: float) -> None:
        """Another daemon succeeded, at this time."""
        self.last_success_s = at_s
        self.reason = self.message = None

    @property
    def up(self) -> bool | None:
        """Whether the last attempt succeeded; None before the first."""
        return None if self.attempts == 0 else self.reason is None


@dataclass(slots=True)
class TargetHealth(Health):
    """A polled target, with what its last page was like."""

    url: str = ""
    job: str = ""
    simulated: bool = False
    engine: str | None = None
    samples: int | None = None
    body_bytes: int | None = None
    unreported: tuple[str, ...] = ()
    anomalies: int = 0
    gpu_uuids: tuple[str, ...] = ()
    gpu_join: str | None = None
    """How it is known that these GPUs are the target's; None where none is joined to it."""

    def refused(self, at_s: float, error: SourceError, duration_s: float | None) -> None:
        """Count a failed poll; what the last page was like is no longer known."""
        self.failed(at_s, error.kind.value, str(error), duration_s)
        self.samples = self.body_bytes = None
        self.unreported = ()


@dataclass(slots=True)
class GpuSourceHealth(Health):
    """The GPU driver, and the process that talks to it."""

    process_bytes: int | None = None
    """Resident memory of that process at its last answer; None while there is none."""
    processes_started: int = 0


@dataclass(frozen=True, slots=True)
class DiskHealth:
    """The disk under a file of ours: free bytes, those below which samples stop, and whether they did."""

    free_bytes: int
    min_free_bytes: int
    stopped: bool


@dataclass(slots=True)
class SpoolHealth(Health):
    """The spool on disk for samples that the database cannot take, since the daemon's start; levels are as of now."""

    max_bytes: int = 0
    used_bytes: int = 0
    waiting: int = 0
    oldest_s: float | None = None
    """When the oldest sample that waits was taken (unix time, its tick)."""
    spooled: int = 0
    replayed: int = 0
    disk: DiskHealth | None = None


@dataclass(slots=True)
class ReceiverHealth(Health):
    """A receiver of notifications; an attempt is one message."""

    kind: str = ""
    waiting: int = 0
    """Changed verdicts that it is still to be told."""

    @property
    def told(self) -> int:
        """Messages that it took."""
        return self.attempts - self.failures.total()


class Work(StrEnum):
    """What is done again and again, each at its interval."""

    POLL = "poll"
    GPUS = "gpus"
    RECOMPUTE = "recompute"
    TIDY = "tidy"
    ROOM = "room"


class Lost(StrEnum):
    """Why samples were dropped."""

    QUEUE_FULL = "queue_full"
    SPOOL_FULL = "spool_full"
    DISK_NEARLY_FULL = "disk_nearly_full"


@dataclass(slots=True)
class DaemonHealth:
    """All parts, by name."""

    started_s: float
    targets: dict[str, TargetHealth] = field(default_factory=dict)
    gpu: GpuSourceHealth = field(default_factory=GpuSourceHealth)
    gpus: dict[str, Health] = field(default_factory=dict)
    store: Health = field(default_factory=Health)
    analysis: Health = field(default_factory=Health)
    tidy: Health = field(default_factory=Health)
    turns_skipped: Counter[str] = field(default_factory=Counter)
    """By work: turns that came while the one before still ran."""
    samples_written: int = 0
    samples_duplicate: int = 0
    """Samples that were in the database already, or whose tick was taken: by another daemon, or before a clock step."""
    samples_dropped: Counter[Lost] = field(default_factory=Counter)
    disk: DiskHealth | None = None
    """None before the first write, and for Postgres."""
    used_bytes: int | None = None
    """Bytes that the stored rows use; None before the first deletion of old ones."""
    max_bytes: int | None = None
    """Most bytes that they may use; None for no limit."""
    spool: SpoolHealth | None = None
    """None where samples have no spool: SQLite needs none."""
    storage_recovered: int = 0
    damaged_blocks: Mapping[str, int] = field(default_factory=dict)
    """By the samples' table: sealed blocks that could not be read."""
    clock_steps: int = 0
    config: Health = field(default_factory=Health)
    discovery: dict[tuple[str, str], Health] = field(default_factory=dict)
    """By job and mechanism."""
    receivers: dict[str, ReceiverHealth] = field(default_factory=dict)
    """Of notifications, by name."""
    notices: list[str] = field(default_factory=list)
    analyser: str | None = None
    """The daemon that analyses, by host and process; None while it is not known, or none does."""

    def skipped(self, work: Work, turns: int) -> None:
        """Count turns that were left out."""
        self.turns_skipped[work] += turns

    @property
    def disk_nearly_full(self) -> bool:
        """Whether samples have stopped since the disk under the database is nearly full."""
        return self.disk is not None and self.disk.stopped


REMEDIES: Mapping[str, str] = {
    Kind.REFUSED: "start the server, or correct host and port",
    Kind.DNS: "correct the host name, or the resolver",
    Kind.TIMEOUT: "the page did not come within scrape_timeout: look at the server's load, or raise the limit",
    Kind.TLS: "check scheme, ca_file and server_name; insecure_skip_verify turns the check off",
    Kind.REDIRECT: "redirects are never followed: name the final scheme, host and metrics_path",
    Kind.UNAUTHORIZED: "add basic_auth or authorization to the job",
    Kind.HTTP_STATUS: "check metrics_path; vLLM hides it with --disable-log-stats, llama-server needs --metrics",
    Kind.NOT_READY: "the server is loading its model; it is asked again",
    Kind.TOO_LARGE: "is this the right page? if so, raise body_size_limit",
    Kind.TOO_MANY_SAMPLES: "is this the right page? if so, raise sample_limit",
    Kind.LABEL_LIMIT: "is this the right page? if so, raise the job's label limits",
    Kind.BAD_PAGE: "the page breaks the exposition format: look at it with `breakeven capture`",
    Kind.NOT_METRICS: "this is no metrics page: check port and metrics_path",
    Kind.UNKNOWN_ENGINE: "no known engine's series are on the page: `breakeven servers` lists the engines",
    Kind.WRONG_ENGINE: "correct `engine:` of the job, or leave it at auto",
    Kind.DISCONNECTED: "the server closed the connection half-way: look at its log",
    Kind.FORWARD_PASSES: "install the extra with pip install 'breakeven[dynamo]', or correct forward_pass_endpoint",
    Kind.FROZEN: "see whether the server still answers requests; if its requests do take that long, raise frozen_after",
    Kind.MEMORY: "raise the daemon's memory limit, or lower body_size_limit",
    Kind.BUG: "this is our mistake: please report the logged traceback",
}
"""What to do about each kind of failure, for `doctor`."""
