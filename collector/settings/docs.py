"""The settings' shape -> CONFIG.md: every key with its type, unit, default and description."""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from collector.settings.model import Settings
from collector.settings.units import Date, Duration, Network, Size
from collector.settings.web_config import WebConfig

_UNITS = {
    get_args(unit)[1]: name
    for unit, name in ((Duration, "duration"), (Size, "size"), (Date, "date"), (Network, "network"))
}
_LIMITS = (("ge", "from"), ("gt", "more than"), ("le", "to"), ("lt", "less than"))
_WORDS: Mapping[type, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "`true` or `false`",
    Path: "file name",
    SecretStr: "secret",
}
_DURATION_STEPS = ((86400_000, "d"), (3600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms"))
_SIZE_STEPS = ((1024**4, "TB"), (1024**3, "GB"), (1024**2, "MB"), (1024, "KB"), (1, "B"))

INTRODUCTION = """\
# Configuration

Made from `collector/settings/` by `python -m collector.export.docs deploy/`; a test compares the two.

One YAML file, in Prometheus' vocabulary: a job of `prometheus.yml` can be pasted under `scrape_configs`.
An unknown key is an error. `breakeven check-config FILE` names every problem at once, with its line and its remedy.
[`config.example.yaml`](config.example.yaml) is a commented file that loads.

| written as | is |
|---|---|
| duration | a number with its unit, longer than zero: `500ms`, `15s`, `5m`, `1h30m`, `7d` |
| size | bytes, or a number with its unit in powers of 1024, as Prometheus counts: `512KB`, `10MB` |
| date | `2026-11-23`, its start in UTC |
| network | an address and the length of its part that counts: `10.0.0.0/8`, `fd00::/8` |
| ratio | a number from 0 to 1, never a percentage |
| secret | text that appears in no log, error, page or metric; the `..._file` key beside it keeps it out of this file |

A default of *none* means that nothing is assumed: what follows from the key is then left out and said to be missing.
"""


def config_markdown() -> str:
    """CONFIG.md as a whole, ending in a newline."""
    return "\n".join((INTRODUCTION, *_sections(Settings, ""), *_sections(WebConfig, "web-config.yml")))


def _sections(model: type[BaseModel], path: str) -> Iterator[str]:
    """The section of `model` at `path`, then those below it in the order of their keys."""
    if path:
        yield f"## `{path}`\n"
        yield f"{_sentence(model.__doc__)}\n"
    else:
        yield "## Top level\n"
    yield "| key | type | default | description |\n|---|---|---|---|"
    inner: list[tuple[type[BaseModel], str]] = []
    for name, info in model.model_fields.items():
        key = info.alias or name
        below = _section(info.annotation, f"{path}.{key}" if path else key)
        if below is not None:
            inner.append(below)
        described = None if below is None else f"section [`{below[1]}`](#{_anchor(below[1])})"
        what = _cell(described or _type(info.annotation, tuple(info.metadata)))
        yield f"| `{key}` | {what} | {_cell(_default(info))} | {_cell(_sentence(info.description))} |"
    yield ""
    for section, where in inner:
        yield from _sections(section, where)


def _section(annotation: Any, path: str) -> tuple[type[BaseModel], str] | None:
    """The section that a key holds, with the path of its own keys; None for a plain value."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, path
    origin, args = get_origin(annotation), get_args(annotation)
    suffix = "[]" if origin is tuple else ".NAME" if origin is dict else ""
    inner = args[1:] if origin is dict else args
    return next((found for one in inner if (found := _section(one, path + suffix)) is not None), None)


def _type(annotation: Any, metadata: tuple[Any, ...] = ()) -> str:
    """Words for a plain value's type, its unit and its bounds."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(args[0], (*args[1:], *metadata))
    if origin in (Union, types.UnionType):
        return _type(next(one for one in args if one is not type(None)), metadata)
    if origin is Literal:
        return " or ".join(f"`{one}`" for one in args)
    if origin is tuple:
        return f"list of {_type(args[0])}{_bounds(metadata)}"
    if origin is dict:
        return f"mapping of {_type(args[0])} to {_type(args[1])}"
    unit, bounds = _unit(metadata), _bounds(metadata)
    if unit is None and bounds == ", from 0, to 1":
        return "ratio"
    return (unit or _WORDS[annotation]) + bounds


def _unit(metadata: Iterable[Any]) -> str | None:
    return next((name for one in metadata for unit, name in _UNITS.items() if one == unit), None)


def _bounds(metadata: Iterable[Any]) -> str:
    """Words for what a value must keep to, which pydantic holds in objects of several kinds."""
    flat = [inner for one in metadata for inner in (one.metadata if isinstance(one, FieldInfo) else (one,))]
    words = []
    for one in flat:
        words += [f"{word} {getattr(one, name)}" for name, word in _LIMITS if getattr(one, name, None) is not None]
        if getattr(one, "min_length", None) is not None:
            words.append("not empty")
        if getattr(one, "pattern", None) is not None:
            words.append(f"matches `{one.pattern}`")
    return "".join(f", {word}" for word in words)


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    value = info.default
    if isinstance(value, BaseModel):
        return ""
    if value is None or value in ((), {}):
        return "none"
    unit = _unit(info.metadata)
    if unit == "duration":
        return f"`{_in_steps(round(value * 1000), _DURATION_STEPS)}`"
    if unit == "size":
        return f"`{_in_steps(value, _SIZE_STEPS)}`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`"


def _in_steps(whole: int, steps: tuple[tuple[int, str], ...]) -> str:
    """`1h30m` for 5400000 ms: the amount in the largest units that hold it without a rest."""
    text = ""
    for step, unit in steps:
        count, whole = divmod(whole, step)
        text += f"{count}{unit}" if count else ""
    return text


def _sentence(text: str | None) -> str:
    """Raises ValueError for a section or key without a description: it would be a hole in CONFIG.md."""
    if not text:
        raise ValueError("a section or key has no description")
    return " ".join(text.split())


def _anchor(heading: str) -> str:
    return "".join(one for one in heading.lower() if one.isalnum() or one in "-_")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
