"""A target, how it is asked, and those that stand in the configuration itself."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from collector.errors import Kind, SourceError
from collector.scrape.limits import Limits
from collector.settings.jobs import Authorization, BasicAuth, HttpSdConfig, ScrapeConfig, StaticConfig, TlsConfig
from collector.settings.model import Settings
from collector.settings.notifications import NotificationConfig

GPU_LABEL = "gpu_uuid"
"""The label of a target group that joins GPUs to its replicas: UUIDs, separated by commas."""
STEP_LOG_LABEL = "step_log"
"""The label of a target group that names the file to which its one target logs its steps."""


@dataclass(frozen=True, slots=True)
class Target:
    """One URL to poll, and how."""

    url: str
    address: str
    job: ScrapeConfig
    interval_s: float
    timeout_s: float
    labels: Mapping[str, str] = field(default_factory=dict)
    simulated: bool = False
    discovered: bool = False
    """Whether something outside the configuration named it."""

    @property
    def gpu_uuids(self) -> tuple[str, ...]:
        """GPUs that the labels join to this target."""
        return tuple(uuid.strip() for uuid in self.labels.get(GPU_LABEL, "").split(",") if uuid.strip())

    @property
    def step_log(self) -> Path | None:
        """The file to which the engine logs its steps, where a label names it."""
        name = self.labels.get(STEP_LOG_LABEL, "").strip()
        return Path(name) if name else None

    def limits(self) -> Limits:
        """The job's limits for one poll."""
        return Limits(
            timeout_s=self.timeout_s,
            body_size_limit_bytes=self.job.body_size_limit,
            sample_limit=self.job.sample_limit,
            label_limit=self.job.label_limit,
            label_name_length_limit=self.job.label_name_length_limit,
            label_value_length_limit=self.job.label_value_length_limit,
        )


def make_target(
    job: ScrapeConfig, settings: Settings, address: str, labels: Mapping[str, str], *, discovered: bool = False
) -> Target:
    """The target of one address, the job's settings before the global ones."""
    interval_s = settings.global_.scrape_interval if job.scrape_interval is None else job.scrape_interval
    timeout_s = settings.global_.scrape_timeout if job.scrape_timeout is None else job.scrape_timeout
    url = f"{job.scheme}://{address}{job.metrics_path}"
    return Target(url, address, job, interval_s, min(timeout_s, interval_s), dict(labels), discovered=discovered)


def found_target(
    job_name: str, settings: Settings, address: str, labels: Mapping[str, str], engine: str = "auto"
) -> Target:
    """A target that no configuration names, of a job with the default settings."""
    job = ScrapeConfig(job_name=job_name, engine=engine, static_configs=(StaticConfig(targets=(address,)),))
    return make_target(job, settings, address, labels)


def static_targets(settings: Settings) -> list[Target]:
    """Targets written in the configuration; a URL that stands twice is polled once, for the first job."""
    found: dict[str, Target] = {}
    for job in settings.scrape_configs:
        for group in job.static_configs:
            for address in group.targets:
                target = make_target(job, settings, address, group.labels)
                found.setdefault(target.url, target)
    return list(found.values())


def target_headers(target: Target) -> dict[str, str]:
    """The credentials that a target is sent: its job's, unless discovery named the host and the job says no.

    Raises SourceError as `auth_headers` does.
    """
    if target.discovered and not target.job.credentials_to_discovered:
        return {}
    return auth_headers(target.job)


def auth_headers(job: ScrapeConfig | HttpSdConfig | NotificationConfig) -> dict[str, str]:
    """Credentials as headers; secrets in files are read now, so that a rotated one is used at once.

    Raises SourceError when a file cannot be read.
    """
    if job.basic_auth is not None:
        secret = _secret(job.basic_auth)
        pair = base64.b64encode(f"{job.basic_auth.username}:{secret}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}
    if job.authorization is not None:
        return {"Authorization": f"{job.authorization.type} {_secret(job.authorization)}"}
    return {}


def _secret(section: BasicAuth | Authorization) -> str:
    stated = section.password if isinstance(section, BasicAuth) else section.credentials
    file = section.password_file if isinstance(section, BasicAuth) else section.credentials_file
    if stated is not None:
        return stated.get_secret_value()
    assert file is not None
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise SourceError(Kind.UNAUTHORIZED, f"the secret in {file} cannot be read") from None


def tls_context(config: TlsConfig | None) -> ssl.SSLContext | bool:
    """How to check the target's certificate: False for not at all. Raises SourceError for unusable files."""
    if config is None:
        return True
    try:
        context = ssl.create_default_context(cafile=None if config.ca_file is None else str(config.ca_file))
        if config.cert_file is not None:
            context.load_cert_chain(config.cert_file, config.key_file)
    except (OSError, ssl.SSLError) as error:
        raise SourceError(Kind.TLS, f"tls_config cannot be used: {error.strerror or error}") from None
    if config.insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
