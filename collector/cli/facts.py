"""Which facts about what is served nobody told, and the key of the configuration that states each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from analyzer.facts.models import find_model
from collector.scrape.bare import BareEngine
from collector.scrape.spec import EngineSpec
from collector.settings.deployments import DeploymentConfig
from collector.settings.jobs import ScrapeConfig
from collector.settings.model import Settings

_MODEL, _PRECISION, _GPUS = "model", "weight_bits", "gpus_per_replica"
_WHAT = {
    _MODEL: "which model it serves",
    _PRECISION: "the precision of its weights (16 bits are assumed)",
    _GPUS: "on how many GPUs a replica runs (those joined to it are taken, else one)",
}
"""By key of a deployment."""
_TELLING = {
    _MODEL: ("model_path",),
    _PRECISION: ("dtype", "quantization", "weight_bytes"),
    _GPUS: ("tensor_parallel",),
}
"""The fields of `Identity` of which one makes the key needless."""
_DECISIVE = {_MODEL: "model_path", _PRECISION: "dtype", _GPUS: "tensor_parallel"}
"""The field without which an engine leaves the fact open: a name may state a quantization, but often does not."""


def untold(identity: Mapping[str, Any], stated: Iterable[DeploymentConfig]) -> Iterator[tuple[str, str]]:
    """What neither a server's `identity` nor any of the deployments it may belong to says: (what, remedy)."""
    deployments = list(stated)
    for key, what in _WHAT.items():
        told = any(identity.get(field) is not None for field in _TELLING[key])
        if key == _MODEL and told:
            told = find_model(str(identity["model_path"])) is not None
        if not told and not any(getattr(one, key) is not None for one in deployments):
            path = identity.get("model_path") if key == _MODEL else None
            shape = f"the shape of {path!r}, which is no known model"
            yield what if path is None else shape, f"set deployments[].{key}"


def deployments_of(
    settings: Settings, job: ScrapeConfig, address: str | None, model: str | None
) -> list[DeploymentConfig]:
    """The deployments that a target's replica belongs to, or (`model` None) may belong to."""

    def fits(pattern: str | None, value: str | None) -> bool:
        return pattern is None or value is None or fnmatchcase(value, pattern)

    return [
        one
        for one in settings.deployments
        if fits(one.match.job, job.job_name) and fits(one.match.target, address) and fits(one.match.model, model)
    ]


def never_told(spec: EngineSpec | BareEngine) -> Iterator[tuple[str, str]]:
    """What servers of an engine leave open: (what, remedy)."""
    for key, what in _WHAT.items():
        if _DECISIVE[key] in spec.not_told:
            unless = ", unless its name states it" if key == _PRECISION and "quantization" not in spec.not_told else ""
            yield f"{what}{unless}", f"set deployments[].{key}"


def never_told_by_jobs(settings: Settings, specs: Mapping[str, EngineSpec | BareEngine]) -> Iterator[str]:
    """One line for each thing that the servers of a job's stated engine leave open and no deployment states."""
    for job in settings.scrape_configs:
        spec = specs.get(job.engine)
        addresses: list[str | None] = [address for group in job.static_configs for address in group.targets]
        stated = [one for address in addresses or [None] for one in deployments_of(settings, job, address, None)]
        for what, remedy in () if spec is None else never_told(spec):
            if all(getattr(one, remedy.rpartition(".")[2]) is None for one in stated):
                yield f"job {job.job_name}: {spec.title if spec else job.engine} does not tell {what}; {remedy}"
