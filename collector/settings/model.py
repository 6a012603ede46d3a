"""The shape of the configuration, in Prometheus' vocabulary: unknown keys are errors, secrets never show."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from collector.settings.deployments import DeploymentConfig
from collector.settings.jobs import ScrapeConfig
from collector.settings.notifications import NotificationConfig
from collector.settings.section import Ratio, Section
from collector.settings.units import Duration, Network, Size

SMALLEST_SPOOL_BYTES = 16 * 1024 * 1024
"""Half of it is for the file's write-ahead log."""


class Global(Section):
    """Defaults for every scrape job."""

    scrape_interval: Duration = Field(15.0, description="Distance between two polls of a target.")
    scrape_timeout: Duration = Field(10.0, description="One deadline for the whole poll; at most the interval.")
    evaluation_interval: Duration = Field(60.0, description="Distance between two recomputations of the report.")
    allowed_networks: tuple[Network, ...] = Field(
        (),
        description="Networks, such as `10.0.0.0/8`, that polls and `http_sd_configs` may connect to, whatever name "
        "leads there; else all but link-local addresses, which no poll ever connects to.",
    )


class Retention(Section):
    """How long what is kept, and how much."""

    samples: Duration = Field(7 * 86400.0, description="Raw samples.")
    totals: Duration = Field(30 * 86400.0, description="Five-minute totals.")
    hours: Duration = Field(
        400 * 86400.0, description="Hourly totals and the last report of each day; at least as long as `totals`."
    )
    max_bytes: Size | None = Field(
        None,
        description="Most bytes in all; beyond it the oldest samples go before their time, in SQLite then the oldest "
        "totals and hours, in Postgres whole days. The last hour stays. Without it there is no limit.",
        gt=0,
    )

    @model_validator(mode="after")
    def _hours_outlive_totals(self) -> Retention:
        if self.hours < self.totals:
            raise ValueError("hours must be kept at least as long as totals: raise hours or lower totals")
        return self


class SpoolConfig(Section):
    """Where samples wait on disk while Postgres cannot be reached; SQLite has no use for it.

    They are written in order, each once, as soon as it is back. With the file of an earlier run, the daemon also starts
    without Postgres; a first start needs it.
    """

    path: Path = Field(Path("var/spool.db"), description="SQLite file of its own; its folder is made.")
    max_bytes: Size = Field(
        512 * 1024 * 1024,
        description="Largest size; beyond it the oldest samples are dropped and counted. 0 goes without a spool.",
    )

    @field_validator("max_bytes")
    @classmethod
    def _room_for_something(cls, value: int) -> int:
        if 0 < value < SMALLEST_SPOOL_BYTES:
            raise ValueError("too small for a spool: write 16MB or more, or 0 to go without")
        return value


class Storage(Section):
    """Where samples, totals and reports are kept."""

    url: SecretStr | None = Field(None, description="`sqlite:///file` or `postgresql://user:password@host/name`.")
    url_file: Path | None = Field(None, description="File that holds the URL.")
    retention: Retention = Field(Retention(), description="How long what is kept.")
    min_free_bytes: Size = Field(
        128 * 1024 * 1024,
        description="Samples stop while the disk of the SQLite file, or of the spool, has less room; roll-ups go on.",
    )
    min_free_ratio: Ratio = Field(0.0, description="The same as a share of that disk; the larger of the two counts.")
    spool: SpoolConfig = Field(SpoolConfig(), description="Where samples wait while Postgres cannot be reached.")

    @model_validator(mode="after")
    def _one_source(self) -> Storage:
        if self.url is not None and self.url_file is not None:
            raise ValueError("url and url_file exclude each other: keep one")
        return self


class Analysis(Section):
    """Over which spans, and when a verdict may be given and change."""

    recent: Duration = Field(300.0, description="Span of the live figures.")
    history: Duration = Field(7 * 86400.0, description="Span that verdicts rest on, within the current epoch.")
    min_history: Duration = Field(86400.0, description="Shortest history for a verdict: a daily cycle.")
    min_coverage: Ratio = Field(0.5, description="Smallest covered share of that history.")
    dwell: Duration = Field(1800.0, description="How long a new verdict must hold before it is shown.")
    hold: Duration = Field(86400.0, description="How long the former verdict stands while data are missing.")


class Web(Section):
    """Our own HTTP side."""

    listen_address: str = Field("127.0.0.1:9877", description="host:port to listen on; loopback by default.")
    config_file: Path | None = Field(
        None, description="Prometheus' `web-config.yml` for TLS and basic auth, see [below](#web-configyml)."
    )
    max_connections: int = Field(
        128,
        description="Most open connections; beyond it the longest silent one is ended, else the one answered longest "
        "ago; where all are being answered, 503 is.",
        ge=4,
    )

    @field_validator("listen_address")
    @classmethod
    def _host_and_port(cls, value: str) -> str:
        host, separator, port = value.rpartition(":")
        if not separator or not host or not port.isdigit() or int(port) > 65535:
            raise ValueError("write host:port, such as 127.0.0.1:9877")
        return value


class Gpu(Section):
    """Local GPUs through NVML."""

    nvml: Literal["auto", "off"] = Field("auto", description="auto reads NVML where there is a driver.")
    interval: Duration = Field(5.0, description="Distance between two readings.")
    timeout: Duration = Field(1.0, description="Deadline of one reading.")
    gpm: bool = Field(
        False, description="Also read Hopper's and newer GPUs' profiling counters: DRAM, tensor and SM activity."
    )

    exit_after: Duration | None = Field(
        None,
        description="End with status 1 once GPUs that were read could not be for this long, so that whoever started "
        "the daemon starts it anew: a container that lost its GPUs gets them back in no other way. Never by default.",
    )

    @field_validator("nvml", mode="before")
    @classmethod
    def _yaml_reads_off_as_false(cls, value: Any) -> Any:
        return "off" if value is False else value


class GpuJoinConfig(Section):
    """GPUs of a target, stated: this goes before the label `gpu_uuid` and all that is found by itself."""

    target: str = Field(description="Pattern for the target's host:port.", min_length=1)
    uuids: tuple[str, ...] = Field(description="UUIDs of its GPUs, as NVML or dcgm-exporter give them.", min_length=1)


class Log(Section):
    """What is logged to standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")
    format: Literal["logfmt", "json"] = Field("logfmt", description="logfmt or json.")


class Settings(Section):
    """The whole file."""

    global_: Global = Field(Global(), alias="global", description="Defaults for every scrape job.")
    scrape_configs: tuple[ScrapeConfig, ...] = Field((), description="What is polled.")
    deployments: tuple[DeploymentConfig, ...] = Field((), description="What is decided about.")
    storage: Storage = Field(Storage(), description="Where things are kept.")
    analysis: Analysis = Field(Analysis(), description="When and over what is judged.")
    web: Web = Field(Web(), description="Our own HTTP side.")
    gpu: Gpu = Field(Gpu(), description="Local GPUs.")
    gpu_joins: tuple[GpuJoinConfig, ...] = Field((), description="Which GPUs belong to which target.")
    notifications: tuple[NotificationConfig, ...] = Field(
        (), description="Who is told when a verdict changes; nobody by default. Alertmanager can do it as well."
    )
    log: Log = Field(Log(), description="Logging.")

    @field_validator("scrape_configs", "deployments", "gpu_joins", "notifications", mode="before")
    @classmethod
    def _empty_list(cls, value: Any) -> Any:
        return () if value is None else value
