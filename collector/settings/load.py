"""A configuration file -> `Settings`, or all its problems at once, each with its place and its remedy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from difflib import get_close_matches
from pathlib import Path as FilePath
from typing import Any

from pydantic import BaseModel, ValidationError

from collector.errors import ConfigError, Problem
from collector.settings.model import Settings
from collector.settings.places import Document, Path, dotted, read_document

_FOREIGN = {
    "relabel_configs": "Breakeven does not relabel; remove the key",
    "metric_relabel_configs": "Breakeven reads only the series it knows; remove the key",
    "kubernetes_sd_configs": "name the pods with dns_sd_configs (a headless service), or by file_sd_configs",
    "honor_labels": "a target's own labels never win here; remove the key",
    "follow_redirects": "redirects are never followed; remove the key",
    "rule_files": "rules belong to Prometheus; remove the key",
    "alerting": "alerts belong to Prometheus; remove the key",
    "remote_write": "Breakeven is scraped; remove the key",
    "external_labels": "labels for other systems belong to Prometheus; remove the key",
    "params": "write the query into metrics_path",
    "enable_http2": "HTTP/1.1 is used; remove the key",
    "honor_timestamps": "our own clock counts; remove the key",
    "enable_compression": "pages are asked for uncompressed; remove the key",
    "proxy_url": "proxies are not supported; remove the key",
    "ec2_sd_configs": "write the targets with static_configs, file_sd_configs or http_sd_configs",
    "consul_sd_configs": "write the targets with static_configs, file_sd_configs or http_sd_configs",
}
"""Keys of prometheus.yml that a pasted job may bring along, with what to do about them."""

Check = Callable[[Settings], Iterator[tuple[Path, str, str]]]


def load_settings(file: FilePath, checks: tuple[Check, ...] = ()) -> Settings:
    """The settings of a file. Raises ConfigError with every problem found.

    `checks` find what is well-formed but cannot work; each yields (path, what, remedy).
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ConfigError([Problem(str(file), f"cannot be read: {why}", "name a readable file")]) from None
    return parse_settings(text, str(file), checks)


def parse_settings(text: str, name: str, checks: tuple[Check, ...] = ()) -> Settings:
    """The settings of a text; `name` stands for the file in problems. Raises ConfigError."""
    document = read_document(text, name)
    problems = [
        Problem(document.place(path), f"the key {path[-1]!r} stands twice", "keep one of them")
        for path in document.duplicates
    ]
    value = {} if document.value is None else document.value
    if not isinstance(value, dict):
        raise ConfigError([Problem(f"{name}:1", "the file is no mapping of keys", "start with `scrape_configs:`")])
    problems += [Problem(document.place(path), what, remedy) for path, what, remedy in _repeated_names(value)]
    found, settings, origins = _validated(value)
    problems += [_problem(document, one) for one in sorted(found, key=_position)]
    if settings is not None:
        for check in (_intervals, _limits, *checks):
            for path, what, remedy in check(settings):
                problems.append(Problem(document.place(_origin(path, origins)), what, remedy))
    if problems or settings is None:
        raise ConfigError(sorted(problems, key=_line))
    return settings


Origins = dict[str, list[int]]


def _validated(value: dict[str, Any]) -> tuple[list[Any], Settings | None, Origins]:
    """All errors of the shape, and the settings of what is left without them, for the checks that need settings.

    `Origins` gives, per top-level list, the original index of each item that is left.
    """
    value = deepcopy(value)
    found: list[Any] = []
    while True:  # each pass takes at least one key or item out of the value
        origins = {key: [i for i, item in enumerate(items) if item is not _DROPPED] for key, items in _lists(value)}
        kept = value | {key: [items[i] for i in origins[key]] for key, items in _lists(value)}
        try:
            return found, Settings.model_validate(kept), origins
        except ValidationError as error:
            news = [one | {"loc": _origin(one["loc"], origins)} for one in error.errors(include_url=False)]
        # Deepest and last first: what they leave behind, such as an empty list, is a consequence and no news.
        moved = False
        for one in sorted(news, key=_position, reverse=True):
            if not any(old["loc"][: len(one["loc"])] == one["loc"] for old in found):
                found.append(one)
            moved |= _drop(value, one["loc"], one["type"] == "missing")
        if not moved:
            return found, None, origins


def _position(error: Any) -> list[tuple[bool, int | str]]:
    """An order of places in which items follow one another by index."""
    return [(isinstance(part, str), part) for part in error["loc"]]


_DROPPED = object()


def _lists(value: dict[str, Any]) -> list[tuple[str, list[Any]]]:
    return [(key, items) for key, items in value.items() if isinstance(items, list)]


def _origin(path: Path, origins: Origins) -> Path:
    if len(path) > 1 and path[0] in origins and isinstance(path[1], int):
        return (path[0], origins[str(path[0])][path[1]], *path[2:])
    return path


def _drop(value: Any, path: Path, parent: bool) -> bool:
    """Take what is wrong out of the raw value; False when there is nothing to take.

    A missing key takes its section along. Items of the outer lists leave a mark: places are told by their index.
    """
    path = path[:-1] if parent else path
    outer = len(path) == 2
    for part in path[:-1]:
        if (isinstance(value, dict) and part in value) or (isinstance(value, list) and isinstance(part, int)):
            value = value[part]  # type: ignore[index]
        else:
            return False
    if not path:
        return False
    last = path[-1]
    if isinstance(value, list) and isinstance(last, int) and last < len(value):
        known = value[last] is not _DROPPED
        if outer:
            value[last] = _DROPPED
        else:
            del value[last]
        return known
    if isinstance(value, dict) and last in value:
        del value[last]
        return True
    return False


def _line(problem: Problem) -> int:
    number = problem.place.split(" ")[0].rpartition(":")[2]
    return int(number) if number.isdigit() else 0


def _problem(document: Document, error: Any) -> Problem:
    path: Path = tuple(error["loc"])
    place, kind, message = document.place(path), error["type"], error["msg"]
    if kind == "extra_forbidden":
        key = str(path[-1])
        known = _known_keys(path[:-1])
        near = get_close_matches(key, known, n=1)
        remedy = _FOREIGN.get(key) or (f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}")
        return Problem(place, f"unknown key {key!r}", remedy)
    if kind == "missing":
        return Problem(place, f"the key {path[-1]!r} is missing", "add it")
    if kind == "value_error":
        what, _, remedy = message.removeprefix("Value error, ").partition(": ")
        return Problem(place, what, remedy) if remedy else Problem(place, "not usable", what)
    return Problem(place, "not usable", message[:1].lower() + message[1:])


def _known_keys(path: Path) -> list[str]:
    """The keys that the section at a path knows."""
    model: type[BaseModel] = Settings
    for part in path:
        fields = {field.alias or name: field.annotation for name, field in model.model_fields.items()}
        inner = _section_of(fields.get(str(part)))
        if isinstance(part, str) and inner is not None:
            model = inner
    return [field.alias or name for name, field in model.model_fields.items()]


def _section_of(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _section_of(inner)
        if found is not None:
            return found
    return None


def _intervals(settings: Settings) -> Iterator[tuple[Path, str, str]]:
    whole = settings.global_
    if whole.scrape_timeout > whole.scrape_interval and "scrape_timeout" in whole.model_fields_set:
        yield ("global", "scrape_timeout"), "longer than scrape_interval", "make it at most the interval"
    for index, job in enumerate(settings.scrape_configs):
        interval = whole.scrape_interval if job.scrape_interval is None else job.scrape_interval
        if job.scrape_timeout is not None and job.scrape_timeout > interval:
            path: Path = ("scrape_configs", index, "scrape_timeout")
            yield path, f"longer than the job's interval of {interval:g} s", "make it at most the interval"


def _repeated_names(value: dict[str, Any]) -> Iterator[tuple[Path, str, str]]:
    """Works on the raw value, so that an item's other mistakes do not hide that its name is taken."""
    for section, key in (("scrape_configs", "job_name"), ("deployments", "name"), ("notifications", "name")):
        items = value.get(section)
        names = [one.get(key) if isinstance(one, dict) else None for one in items] if isinstance(items, list) else []
        for index, name in enumerate(names):
            if name is not None and name in names[:index]:
                first = dotted((section, names.index(name)))
                yield (section, index, key), f"{name!r} is also the name of {first}", "give each its own name"


def _limits(settings: Settings) -> Iterator[tuple[Path, str, str]]:
    for index, job in enumerate(settings.scrape_configs):
        count = sum(len(group.targets) for group in job.static_configs)
        if count > job.target_limit:
            path: Path = ("scrape_configs", index, "static_configs")
            yield path, f"{count} targets exceed target_limit {job.target_limit}", "raise the limit or split the job"
