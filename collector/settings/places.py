"""A YAML document and the line of every key and item in it, so that a problem can name its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml

from collector.errors import ConfigError, Problem

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """The parsed value, the line of each path, and keys that stand twice."""

    name: str
    value: Any
    lines: dict[Path, int]
    duplicates: tuple[Path, ...]

    def place(self, path: Path) -> str:
        """`file:line path` of the path, or of its nearest parent that stands in the file."""
        known = path
        while known and known not in self.lines:
            known = known[:-1]
        line = self.lines.get(known, 1)
        return f"{self.name}:{line} {dotted(path)}" if path else f"{self.name}:{line}"


def dotted(path: Path) -> str:
    """`scrape_configs[0].job_name` for the path ("scrape_configs", 0, "job_name")."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def read_document(text: str, name: str) -> Document:
    """The document of one YAML text. Raises ConfigError with the line when it is no YAML."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        value = yaml.safe_load(text)
    except RecursionError:
        raise ConfigError([Problem(f"{name}:1", "nested too deeply", "write a plain mapping of keys")]) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = 1 if mark is None else mark.line + 1
        what = getattr(error, "problem", None) or "not readable as YAML"
        raise ConfigError([Problem(f"{name}:{line}", f"not valid YAML: {what}", "mend the syntax")]) from None
    lines: dict[Path, int] = {}
    duplicates: list[Path] = []
    if node is not None:
        _walk(node, (), lines, duplicates)
    return Document(name, value, lines, tuple(duplicates))


def _walk(node: yaml.Node, path: Path, lines: dict[Path, int], duplicates: list[Path]) -> None:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, item in node.value:
            inner = (*path, str(key.value))
            if inner in lines:
                duplicates.append(inner)
            lines[inner] = key.start_mark.line + 1
            _walk(item, inner, lines, duplicates)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _walk(item, (*path, index), lines, duplicates)
