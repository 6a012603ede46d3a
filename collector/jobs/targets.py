"""The targets that the configuration names: from static lists and from file_sd files, with how to ask each."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from glob import glob
from pathlib import Path

import yaml

from collector.errors import Kind, SourceError
from collector.scrape.limits import Limits
from collector.settings.jobs import Authorization, BasicAuth, ScrapeConfig, StaticConfig, TlsConfig
from collector.settings.model import Settings

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


def make_target(job: ScrapeConfig, settings: Settings, address: str, labels: Mapping[str, str]) -> Target:
    """The target of one address, the job's settings before the global ones."""
    interval_s = settings.global_.scrape_interval if job.scrape_interval is None else job.scrape_interval
    timeout_s = settings.global_.scrape_timeout if job.scrape_timeout is None else job.scrape_timeout
    url = f"{job.scheme}://{address}{job.metrics_path}"
    return Target(url, address, job, interval_s, min(timeout_s, interval_s), dict(labels))


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


class TargetFiles:
    """The file_sd files: a file that cannot be read keeps the targets it named last."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._last: dict[str, list[tuple[str, Mapping[str, str]]]] = {}

    def read(self) -> tuple[list[Target], list[str]]:
        """The targets in all files now, and one line for each file that could not be read."""
        found: dict[str, Target] = {}
        problems: list[str] = []
        for job in self._settings.scrape_configs:
            mine = {target.url: target for target in self._of_job(job, problems)}
            for url in list(mine)[job.target_limit :]:
                del mine[url]
            found = {**mine, **found}
        return list(found.values()), problems

    def _of_job(self, job: ScrapeConfig, problems: list[str]) -> list[Target]:
        names = sorted({path for one in job.file_sd_configs for pattern in one.files for path in glob(pattern)})
        targets = []
        for name in names:
            try:
                self._last[name] = list(_file_groups(Path(name)))
            except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
                problems.append(f"{name}: not a usable file_sd file: {error}")
            groups = self._last.get(name, [])
            targets += [make_target(job, self._settings, address, labels) for address, labels in groups]
        if len(targets) > job.target_limit:
            text = f"{len(targets)} targets exceed target_limit {job.target_limit}; the rest is left out"
            problems.append(f"job {job.job_name}: {text}")
        return targets


def _file_groups(path: Path) -> Iterator[tuple[str, Mapping[str, str]]]:
    text = path.read_text(encoding="utf-8")
    groups = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    if not isinstance(groups, list):
        raise ValueError("the file is no list of target groups")  # noqa: TRY004 - one kind of mistake for the caller
    for group in groups:
        if not isinstance(group, dict) or not isinstance(group.get("targets"), list):
            raise ValueError("a group has no list of targets")  # noqa: TRY004 - as above
        labels = group.get("labels", {})
        if not isinstance(labels, dict):
            raise ValueError("a group's labels are no mapping")  # noqa: TRY004 - as above
        if STEP_LOG_LABEL in labels and len(group["targets"]) > 1:
            raise ValueError("step_log names the log of one server: give each target a group of its own")
        for address in group["targets"]:
            if not isinstance(address, str) or "/" in address:
                raise ValueError(f"{address!r} is no host:port")
            yield address, {str(key): str(value) for key, value in labels.items()}


def auth_headers(job: ScrapeConfig) -> dict[str, str]:
    """The job's credentials as headers; secrets in files are read now, so that a rotated one is used at once.

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
