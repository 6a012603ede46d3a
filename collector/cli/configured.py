"""The configuration as the commands want it: loaded, checked against what exists, with the database it names."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from importlib.metadata import distributions
from pathlib import Path

import click

from analyzer.facts.gpus import find_gpu, gpu_candidates
from analyzer.facts.models import find_model
from analyzer.facts.schemes import SCHEMES, is_scheme
from collector.errors import ConfigError, Problem, StoreError
from collector.export.access import Access
from collector.gpu.dcgm import ENGINE as GPU_PAGES
from collector.scrape.listen import missing_packages
from collector.servers import all_engines
from collector.settings import Settings, load_settings
from collector.settings.places import Path as ConfigPath
from collector.store import place

DEFAULT_DATABASE = "var/breakeven.db"
DEMO_DATABASE = "var/demo.db"
Found = Iterator[tuple[ConfigPath, str, str]]

config_option = click.option(
    "--config.file",
    "config_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Configuration file; without one, servers on loopback are looked for.",
)


def configured(file: Path) -> Settings:
    """The settings of a file, everything in it known to exist. Raises ConfigError with all problems."""
    return load_settings(file, (_engines, _extras, _facts, _schemes, _storage, _web))


def database_url(settings: Settings | None, default: str = DEFAULT_DATABASE) -> str:
    """The database that the settings name. Raises StoreError when the file with its URL cannot be read."""
    storage = None if settings is None else settings.storage
    if storage is not None and storage.url is not None:
        return storage.url.get_secret_value()
    if storage is not None and storage.url_file is not None:
        try:
            return storage.url_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            raise StoreError(f"storage.url_file {storage.url_file} cannot be read") from None
    return default


def refuse_shared_names() -> None:
    """`collector` and `analyzer` are common names: another distribution's files would be mixed with ours."""
    owners = {name: _owners(name) - {"breakeven"} for name in ("collector", "analyzer")}
    remedy = "install breakeven in an environment of its own"
    problems = [
        Problem(f"import name {name!r}", f"is shared with {', '.join(sorted(others))}", remedy)
        for name, others in owners.items()
        if others
    ]
    if problems:
        raise ConfigError(problems)


def _owners(name: str) -> set[str]:
    """The distributions that have files under an import name.

    `packages_distributions` tells it too, of all names at once: that leaves 4 MB behind.
    """
    found = set()
    for one in distributions():
        declared, files = one.read_text("top_level.txt") or "", one.read_text("RECORD") or ""
        if name in declared.split() or f"\n{name}/" in f"\n{files}":
            found.add(one.name)
    return found


def _engines(settings: Settings) -> Found:
    known = ["auto", GPU_PAGES, *all_engines()]
    for index, job in enumerate(settings.scrape_configs):
        if job.engine not in known:
            yield ("scrape_configs", index, "engine"), f"unknown engine {job.engine!r}", _near(job.engine, known)


def _extras(settings: Settings) -> Found:
    packages = missing_packages()
    for index, job in enumerate(settings.scrape_configs):
        if packages and job.forward_pass_endpoint is not None:
            what = f"{' and '.join(packages)} not installed"
            yield ("scrape_configs", index, "forward_pass_endpoint"), what, "pip install 'breakeven[dynamo]'"


def _facts(settings: Settings) -> Found:
    for index, one in enumerate(settings.deployments):
        if one.gpu is not None and find_gpu(one.gpu) is None:
            near = [gpu.name for gpu in gpu_candidates(one.gpu)]
            remedy = f"write one of: {', '.join(near)}" if near else "`breakeven servers --gpus` lists the known ones"
            yield ("deployments", index, "gpu"), f"no facts about the GPU {one.gpu!r}", remedy
        if one.model is not None and find_model(one.model) is None:
            remedy = "`breakeven servers --models` lists the known ones"
            yield ("deployments", index, "model"), f"no facts about the model {one.model!r}", remedy


def _schemes(settings: Settings) -> Found:
    for index, one in enumerate(settings.deployments):
        named: list[tuple[ConfigPath, str]] = [
            (("deployments", index, "schemes", number), scheme) for number, scheme in enumerate(one.schemes)
        ]
        named += [(("deployments", index, "quality", scheme), scheme) for scheme in one.quality]
        for path, scheme in named:
            unknown = [part for part in scheme.split("+") if part not in SCHEMES]
            if unknown:
                yield path, f"unknown scheme {unknown[0]!r}", _near(unknown[0], list(SCHEMES))
            elif not is_scheme(scheme):
                yield path, f"no combination {scheme!r}", "join one scheme for weights and one for the KV cache, with +"


def _storage(settings: Settings) -> Found:
    if settings.storage.url is not None:
        try:
            place(settings.storage.url.get_secret_value())
        except StoreError as error:
            yield ("storage", "url"), "not usable", str(error)


def _web(settings: Settings) -> Found:
    try:
        Access(settings.web.config_file).close()
    except ConfigError as error:
        for problem in error.problems:
            yield ("web", "config_file"), f"{problem.place}: {problem.what}", problem.remedy


def _near(word: str, known: list[str]) -> str:
    near = get_close_matches(word, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"write one of: {', '.join(known)}"
