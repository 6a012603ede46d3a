"""The shape of a scrape job, in Prometheus' vocabulary."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, model_validator

from collector.settings.section import Section
from collector.settings.units import Duration, Size

RECORDS_ENDPOINT = r"^tcp://(\[[0-9a-fA-F:.]+\]|\{host\}|[A-Za-z0-9._-]+):[0-9]{1,5}$"


class BasicAuth(Section):
    """HTTP basic authentication towards a target."""

    username: str = Field(description="User name.")
    password: SecretStr | None = Field(None, description="Password.")
    password_file: Path | None = Field(None, description="File that holds the password; read at every poll.")

    @model_validator(mode="after")
    def _one_source(self) -> BasicAuth:
        if (self.password is None) == (self.password_file is None):
            raise ValueError("state exactly one of password and password_file")
        return self


class Authorization(Section):
    """An Authorization header towards a target."""

    type: str = Field("Bearer", description="Scheme of the header.")
    credentials: SecretStr | None = Field(None, description="The secret after the scheme.")
    credentials_file: Path | None = Field(None, description="File that holds the secret; read at every poll.")

    @model_validator(mode="after")
    def _one_source(self) -> Authorization:
        if (self.credentials is None) == (self.credentials_file is None):
            raise ValueError("state exactly one of credentials and credentials_file")
        return self


def require_one_authentication(basic_auth: BasicAuth | None, authorization: Authorization | None) -> None:
    """Raises ValueError when both are stated."""
    if basic_auth is not None and authorization is not None:
        raise ValueError("basic_auth and authorization exclude each other: keep one")


class TlsConfig(Section):
    """How a target's certificate is checked and which one we show."""

    ca_file: Path | None = Field(None, description="Certificate authority to trust instead of the system's.")
    cert_file: Path | None = Field(None, description="Our certificate.")
    key_file: Path | None = Field(None, description="Key of our certificate.")
    server_name: str | None = Field(None, description="Name the certificate must carry.")
    insecure_skip_verify: bool = Field(False, description="Do not check the certificate at all.")


def _host_and_port(target: str) -> str:
    if "@" in target:
        raise ValueError("an address is shown everywhere: take the credentials out of it and state basic_auth")
    host, separator, port = target.rpartition(":")
    if "/" in target or not separator or not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"write {target!r} as host:port; the path goes into metrics_path")
    return target


class StaticConfig(Section):
    """Targets written down here."""

    targets: tuple[Annotated[str, AfterValidator(_host_and_port)], ...] = Field(
        description="host:port of each target.", min_length=1
    )
    labels: dict[str, str] = Field(
        {},
        description="Labels of these targets; `gpu_uuid` joins GPUs to them, `step_log` names a vLLM server's log.",
    )

    @model_validator(mode="after")
    def _one_log_per_server(self) -> StaticConfig:
        if "step_log" in self.labels and len(self.targets) > 1:
            raise ValueError("step_log names the log of one server: give each target a group of its own")
        return self


class FileSdConfig(Section):
    """Targets in files of Prometheus' file_sd format."""

    files: tuple[str, ...] = Field(description="Patterns of JSON or YAML files.", min_length=1)
    refresh_interval: Duration = Field(300.0, description="How often the files are read again.")


class HttpSdConfig(Section):
    """Targets from a server that answers in Prometheus' http_sd format."""

    url: str = Field(description="Where the list of target groups is.", pattern=r"^https?://[^/@]+(/.*)?$")
    refresh_interval: Duration = Field(60.0, description="How often it is asked.")
    basic_auth: BasicAuth | None = Field(None, description="Basic authentication towards this server.")
    authorization: Authorization | None = Field(None, description="Authorization header towards this server.")
    tls_config: TlsConfig | None = Field(None, description="TLS towards this server.")


class DnsSdConfig(Section):
    """Targets from DNS records."""

    names: tuple[str, ...] = Field(description="Names that are looked up.", min_length=1)
    type: Literal["SRV", "A", "AAAA"] = Field("SRV", description="Kind of record.")
    port: int | None = Field(None, description="Port of the targets; SRV records have their own.", gt=0, lt=65536)
    refresh_interval: Duration = Field(30.0, description="How often they are looked up.")

    @model_validator(mode="after")
    def _port_fits(self) -> DnsSdConfig:
        if (self.type == "SRV") != (self.port is None):
            raise ValueError("SRV records have a port, A and AAAA have none: state port for those alone")
        return self


class ScrapeConfig(Section):
    """One job: targets of one kind, polled alike. A job of prometheus.yml can be pasted here."""

    job_name: str = Field(description="Name of the job.", min_length=1)
    engine: str = Field(
        "auto", description="Engine on these targets, or `dcgm` for a dcgm-exporter; `auto` tells it from the page."
    )
    scrape_interval: Duration | None = Field(None, description="Overrides global.scrape_interval.")
    scrape_timeout: Duration | None = Field(None, description="Overrides global.scrape_timeout.")
    metrics_path: str = Field("/metrics", description="Path of the metrics page.", pattern="^/")
    scheme: Literal["http", "https"] = Field("http", description="http or https.")
    static_configs: tuple[StaticConfig, ...] = Field((), description="Targets written down here.")
    file_sd_configs: tuple[FileSdConfig, ...] = Field((), description="Targets from files.")
    http_sd_configs: tuple[HttpSdConfig, ...] = Field((), description="Targets from HTTP servers.")
    dns_sd_configs: tuple[DnsSdConfig, ...] = Field((), description="Targets from DNS.")
    basic_auth: BasicAuth | None = Field(None, description="Basic authentication towards the targets.")
    authorization: Authorization | None = Field(None, description="Authorization header towards the targets.")
    tls_config: TlsConfig | None = Field(
        None, description="TLS towards the targets; its files may be renewed, they are looked at with every poll."
    )
    credentials_to_discovered: bool | None = Field(
        None,
        description="Whether targets that files, HTTP or DNS name get the job's credentials, its client certificate "
        "included: whoever may name targets can then have them. To be stated where a job has both.",
    )
    body_size_limit: Size = Field(10 * 1024**2, description="Largest page, uncompressed; a larger one fails.")
    sample_limit: int = Field(50_000, description="Most samples on a page; more fail the poll.", gt=0)
    label_limit: int = Field(64, description="Most labels of a series; more fail the poll.", gt=0)
    label_name_length_limit: int = Field(256, description="Longest label name.", gt=0)
    label_value_length_limit: int = Field(4096, description="Longest label value.", gt=0)
    target_limit: int = Field(1000, description="Most targets of the job; more are refused.", gt=0)
    frozen_after: Duration = Field(
        300.0, description="A server whose counters stand still for this long while requests run is taken to be down."
    )
    name_filter: bool = Field(True, description="Ask only for the series we read, where the server honours it.")
    exclusive: bool = Field(
        False, description="Nobody else reads these servers: read what they give away only once (TensorRT-LLM)."
    )

    forward_pass_endpoint: str | None = Field(
        None,
        pattern=RECORDS_ENDPOINT,
        description="Where Dynamo's vLLM scheduler publishes forward-pass records, such as `tcp://{host}:20380`; "
        "`{host}` is each target's own. Needs `breakeven[dynamo]`.",
    )
    forward_pass_ranks: int = Field(
        1, description="Data-parallel ranks that publish, each at the next port.", ge=1, le=256
    )

    @property
    def discovers(self) -> bool:
        """Whether something outside the configuration names targets of this job."""
        return bool(self.file_sd_configs or self.http_sd_configs or self.dns_sd_configs)

    @model_validator(mode="after")
    def _credentials_stay(self) -> ScrapeConfig:
        secret = self.basic_auth or self.authorization or (self.tls_config and self.tls_config.cert_file)
        if secret and self.discovers and self.credentials_to_discovered is None:
            raise ValueError(
                "would send credentials to hosts that others may name: state credentials_to_discovered, true or false"
            )
        return self

    @model_validator(mode="after")
    def _own_records(self) -> ScrapeConfig:
        several = len(self.static_configs) > 1 or any(len(group.targets) > 1 for group in self.static_configs)
        shared = self.forward_pass_endpoint is not None and "{host}" not in self.forward_pass_endpoint
        if shared and (several or self.discovers):
            raise ValueError("forward_pass_endpoint is one server's: write {host} for the host, or a job per server")
        return self

    @model_validator(mode="after")
    def _has_targets(self) -> ScrapeConfig:
        if not self.static_configs and not self.discovers:
            raise ValueError(
                "a job needs targets: add static_configs, file_sd_configs, http_sd_configs or dns_sd_configs"
            )
        require_one_authentication(self.basic_auth, self.authorization)
        return self
