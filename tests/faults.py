"""The faults that a daemon of this kind meets: the rows of RELIABILITY.md, and why some cannot be produced here."""

from __future__ import annotations

from collections.abc import Mapping

FAULTS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "1": (
        "GPUs and their driver",
        (
            "an NVML call hangs",
            "SIGTERM while an NVML call hangs",
            "the NVML process hangs in the kernel",
            "a GPU monitor is killed outright",
            "the driver library crashes",
            "a GPU is lost",
            "fewer GPUs than before, or none",
            "no driver library",
            "driver and library are of different versions",
            "NVML answers Unknown Error",
            "a field is not supported",
            "MIG is on",
            "a driver that logs every unsupported question",
            "the driver lacks newer functions",
            "DCGM's blank values",
            "profiling counters are zero while the GPU works",
            "the energy counter steps back",
            "the driver library leaks memory",
            "a GPU is renumbered or swapped",
        ),
    ),
    "2": (
        "Inference servers that are polled",
        (
            "a body or headers that trickle",
            "a gzip bomb",
            "an endless body",
            "too many samples, labels or too long ones",
            "a redirect to another address",
            "discovery names an address that is not to be polled",
            "credentials would go to a host that discovery named",
            "a target claims another's labels",
            "hostile label text",
            "a metric is renamed or missing",
            "a target goes down and comes back",
            "a frozen exporter",
            "duplicate series or broken text",
            "a certificate that is expired, self-signed or of another name",
            "a discovery source fails",
            "thousands of targets",
            "the server wants credentials",
        ),
    ),
    "3": (
        "Time and counters",
        (
            "the wall clock steps back",
            "the wall clock steps far forward",
            "a job is slower than its interval",
            "a job raises",
            "a server restarts between polls",
            "a counter steps back without a restart",
            "NaN in a counter",
            "the model is swapped on the same port",
            "two daemons' clocks differ",
            "time zones and daylight saving",
        ),
    ),
    "4": (
        "Storage",
        (
            "the database is away",
            "a Postgres backend hangs",
            "the network to Postgres is cut",
            "Postgres restarts or cuts connections",
            "Postgres' disk is full",
            "SQLite's disk is full",
            "a kill in the middle of a write",
            "the database is busy",
            "SQLite's WAL-reset bug",
            "a corrupt, empty or foreign file",
            "a damaged block of sealed samples",
            "a database on a network file system",
            "unbounded growth",
            "a crash in the middle of a migration",
            "several daemons migrate at once",
            "an older or a newer schema",
            "two daemons on one database",
        ),
    ),
    "5": (
        "Our own HTTP side, secrets and the process",
        (
            "one silent connection to the TLS port",
            "requests held open half-way",
            "listening beyond loopback",
            "a client without credentials",
            "an endpoint that changes something",
            "a script in a label",
            "health endpoints that lie",
            "a secret in a configuration error",
            "a secret in a log, page, metric or file",
            "SIGTERM",
            "a memory limit",
            "file descriptors run out",
            "a verdict on missing data",
            "the receiver of a notification is down",
            "the daemon ends while it sends a notification",
        ),
    ),
}
"""Section -> its title and its faults. A test names its fault with `pytest.mark.fault(section, fault, promise=...)`."""

NOT_PRODUCED: Mapping[str, str] = {
    "two daemons' clocks differ": "clocks that differ by more than a scrape interval: the mixed samples of both would "
    "count some of what lies between twice, so machines' clocks are to be kept by NTP; a takeover by a daemon whose "
    "clock differs is a step of the wall clock, which has its own row, and whose turn it is to analyse rests on no "
    "clock but each one's own",
    "SQLite's WAL-reset bug": "the damage itself takes two writing connections at one instant, which do not exist",
    "a memory limit": "beyond a container's limit the kernel kills the process, which is a kill in the middle of a "
    "write; what could grow has bounds: pages, connections, samples that wait, the process that asks the GPU driver",
}
"""Fault -> why it, or which part of it, no test produces."""
