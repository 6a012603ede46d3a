"""The shape of the configuration, in Prometheus' vocabulary: unknown keys are errors, secrets never show."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from collector.settings.units import Date, Duration, Size

Ratio = Annotated[float, Field(ge=0, le=1)]
NAME = r"^[A-Za-z0-9][A-Za-z0-9_.:/-]*$"


class Section(BaseModel):
    """A part of the file: unknown keys refused, nothing coerced in silence, no input echoed in errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, allow_inf_nan=False)


class Global(Section):
    """Defaults for every scrape job."""

    scrape_interval: Duration = Field(15.0, description="Distance between two polls of a target.")
    scrape_timeout: Duration = Field(10.0, description="One deadline for the whole poll; at most the interval.")
    evaluation_interval: Duration = Field(60.0, description="Distance between two recomputations of the report.")


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


class TlsConfig(Section):
    """How a target's certificate is checked and which one we show."""

    ca_file: Path | None = Field(None, description="Certificate authority to trust instead of the system's.")
    cert_file: Path | None = Field(None, description="Our certificate.")
    key_file: Path | None = Field(None, description="Key of our certificate.")
    server_name: str | None = Field(None, description="Name the certificate must carry.")
    insecure_skip_verify: bool = Field(False, description="Do not check the certificate at all.")


def _host_and_port(target: str) -> str:
    host, separator, port = target.rpartition(":")
    if "/" in target or not separator or not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"write {target!r} as host:port; the path goes into metrics_path")
    return target


class StaticConfig(Section):
    """Targets written down here."""

    targets: tuple[Annotated[str, AfterValidator(_host_and_port)], ...] = Field(
        description="host:port of each target.", min_length=1
    )
    labels: dict[str, str] = Field({}, description="Labels of these targets; `gpu_uuid` joins GPUs to them.")


class FileSdConfig(Section):
    """Targets in files of Prometheus' file_sd format."""

    files: tuple[str, ...] = Field(description="Patterns of JSON or YAML files.", min_length=1)
    refresh_interval: Duration = Field(300.0, description="How often the files are read again.")


class ScrapeConfig(Section):
    """One job: targets of one kind, polled alike. A job of prometheus.yml can be pasted here."""

    job_name: str = Field(description="Name of the job.", min_length=1)
    engine: str = Field("auto", description="Engine on these targets; `auto` tells it from the page.")
    scrape_interval: Duration | None = Field(None, description="Overrides global.scrape_interval.")
    scrape_timeout: Duration | None = Field(None, description="Overrides global.scrape_timeout.")
    metrics_path: str = Field("/metrics", description="Path of the metrics page.", pattern="^/")
    scheme: Literal["http", "https"] = Field("http", description="http or https.")
    static_configs: tuple[StaticConfig, ...] = Field((), description="Targets written down here.")
    file_sd_configs: tuple[FileSdConfig, ...] = Field((), description="Targets from files.")
    basic_auth: BasicAuth | None = Field(None, description="Basic authentication towards the targets.")
    authorization: Authorization | None = Field(None, description="Authorization header towards the targets.")
    tls_config: TlsConfig | None = Field(None, description="TLS towards the targets.")
    body_size_limit: Size = Field(10 * 1024**2, description="Largest page, uncompressed; a larger one fails.")
    sample_limit: int = Field(50_000, description="Most samples on a page; more fail the poll.", gt=0)
    label_limit: int = Field(64, description="Most labels of a series; more fail the poll.", gt=0)
    label_name_length_limit: int = Field(256, description="Longest label name.", gt=0)
    label_value_length_limit: int = Field(4096, description="Longest label value.", gt=0)
    target_limit: int = Field(1000, description="Most targets of the job; more are refused.", gt=0)
    name_filter: bool = Field(True, description="Ask only for the series we read, where the server honours it.")
    exclusive: bool = Field(
        False, description="Nobody else reads these servers: read what they give away only once (TensorRT-LLM)."
    )

    @model_validator(mode="after")
    def _has_targets(self) -> ScrapeConfig:
        if not self.static_configs and not self.file_sd_configs:
            raise ValueError("a job needs targets: add static_configs or file_sd_configs")
        if self.basic_auth is not None and self.authorization is not None:
            raise ValueError("basic_auth and authorization exclude each other: keep one")
        return self


class Match(Section):
    """Which replicas belong to a deployment: every stated pattern must match (`*` and `?` as in a shell)."""

    job: str | None = Field(None, description="Pattern for the job's name.")
    model: str | None = Field(None, description="Pattern for the served model's name.")
    target: str | None = Field(None, description="Pattern for the target's host:port.")

    @model_validator(mode="after")
    def _something(self) -> Match:
        if self.job is None and self.model is None and self.target is None:
            raise ValueError("state at least one of job, model and target")
        return self


class PriceConfig(Section):
    """What a GPU-hour costs, from where, and when that was true."""

    usd_per_gpu_hour: float = Field(description="Price of one GPU-hour in US dollars.", ge=0)
    source: str = Field(description="Where the price is from, such as a contract's name.", min_length=1)
    date: Date = Field(description="Date of the price; flagged once it is older than 90 days.")


class CostsConfig(Section):
    """The one-off work to quantize."""

    engineering_hours: float | None = Field(None, description="Hours of work.", ge=0)
    engineering_usd_per_hour: float | None = Field(None, description="Cost of an hour of work.", ge=0)


class QualityConfig(Section):
    """Your own evaluation of the model under one scheme."""

    result: Literal["pass", "fail", "pending"] = Field(description="pass, fail or pending.")
    metric: str = Field(description="What was measured.", min_length=1)
    owner: str = Field(description="Who judged.", min_length=1)
    date: Date = Field(description="When.")
    relative_loss: Annotated[float, Field(ge=-1, le=1)] | None = Field(
        None, description="Relative loss of the metric as a ratio: 0.01 is one percent."
    )


class ContextConfig(Section):
    """Facts that no counter shows; leave out what you do not know."""

    quality_is_differentiator: bool | None = Field(None, description="Quality is why users choose you.")
    compute_is_small_part_of_cost: bool | None = Field(None, description="GPUs are a small part of the bill.")
    latency_targets_met: bool | None = Field(None, description="Latency objectives are met today.")
    small_team: bool | None = Field(None, description="The team is small, with many priorities.")
    models_change_often: bool | None = Field(None, description="Models change often; each needs quantizing anew.")
    memory_constrained: bool | None = Field(None, description="The model barely fits into GPU memory.")


class DeploymentConfig(Section):
    """The replicas that serve one model in one role, and what the decision rests on."""

    name: str = Field(description="Name of the deployment.", pattern=NAME)
    match: Match = Field(description="Which replicas belong to it.")
    gpu: str | None = Field(None, description="GPU model, such as `H100 SXM 80GB`.")
    gpus_per_replica: int | None = Field(None, description="GPUs of one replica (tensor parallel size).", ge=1)
    model: str | None = Field(None, description="Model, such as `meta-llama/Llama-3.1-8B-Instruct`.")
    weight_bits: float | None = Field(None, description="Bits per weight served now: 16 for BF16.", gt=0, le=32)
    price: PriceConfig | None = Field(None, description="Price of a GPU-hour.")
    minimum_replicas: int = Field(1, description="Fewest replicas that high availability allows.", ge=1)
    schemes: tuple[str, ...] = Field((), description="Schemes to judge; empty for the usual ones.")
    costs: CostsConfig = Field(CostsConfig(), description="One-off work to quantize.")
    quality: dict[str, QualityConfig] = Field({}, description="Your evaluations, by scheme.")
    context: ContextConfig = Field(ContextConfig(), description="Facts that no counter shows.")


class Retention(Section):
    """How long what is kept."""

    samples: Duration = Field(7 * 86400.0, description="Raw samples.")
    totals: Duration = Field(400 * 86400.0, description="Five-minute totals and reports.")


class Storage(Section):
    """Where samples, totals and reports are kept."""

    url: SecretStr | None = Field(None, description="`sqlite:///file` or `postgresql://user:password@host/name`.")
    url_file: Path | None = Field(None, description="File that holds the URL.")
    retention: Retention = Field(Retention(), description="How long what is kept.")

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

    @field_validator("nvml", mode="before")
    @classmethod
    def _yaml_reads_off_as_false(cls, value: Any) -> Any:
        return "off" if value is False else value


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
    log: Log = Field(Log(), description="Logging.")

    @field_validator("scrape_configs", "deployments", mode="before")
    @classmethod
    def _empty_list(cls, value: Any) -> Any:
        return () if value is None else value
