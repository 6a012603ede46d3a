"""The form of an exported database: a folder with one compressed CSV file per table, and a manifest written last.

A field is a whole number, a double to its last digit, `\\x` and hexadecimal bytes, or text. An empty field is NULL, so
text that is empty or begins with a backslash has one put before it. Rows are in the order of their keys. Sealed samples
are rows among the others; exports of earlier releases have their blocks as they are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Double, LargeBinary, Table, Text

from collector.errors import StoreError
from collector.store.schema import BLOCKS, analyser, metadata

FORMAT = 1
MANIFEST = "manifest.json"
LEFT_OUT = (analyser,)
"""Whose turn it is to analyse is a matter of the daemons that run now."""
TABLES = tuple(table for table in metadata.sorted_tables if table not in LEFT_OUT)
"""Those that an export may have."""
WRITTEN = tuple(table for table in TABLES if table not in BLOCKS.values())
"""Those that it is given now."""


@dataclass(frozen=True, slots=True)
class Part:
    """One table's file: its columns in order, how many rows, and the days (start, unix ms) that samples are of."""

    file: str
    columns: tuple[str, ...]
    rows: int
    days: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Manifest:
    """What was exported: of which schema revision, by which release, when (unix time), and the tables by name."""

    schema: str
    release: str
    made_at_s: float
    tables: Mapping[str, Part]


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest whole or not at all. Raises OSError."""
    part = folder / f"{MANIFEST}.part"
    body = {"format": FORMAT, **asdict(manifest)}
    part.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
    part.replace(folder / MANIFEST)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of an export. Raises StoreError where there is none, or not one that can be read here."""
    path = folder / MANIFEST
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        what = "holds no finished export" if folder.is_dir() else "is no folder"
        raise StoreError(f"{folder} {what}: `breakeven db export` makes one, and writes {MANIFEST} last") from None
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} cannot be read: {error}") from error
    if not isinstance(body, dict) or body.get("format") != FORMAT:
        found = body.get("format") if isinstance(body, dict) else None
        raise StoreError(f"{path} is of format {found}, this release reads {FORMAT}: use the one that made it")
    try:
        return Manifest(
            schema=str(body["schema"]),
            release=str(body["release"]),
            made_at_s=float(body["made_at_s"]),
            tables={name: _part(one) for name, one in body["tables"].items()},
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{path} is no manifest of an export: {error!r}") from error


def _part(body: Mapping[str, Any]) -> Part:
    file = str(body["file"])
    if Path(file).name != file:
        raise ValueError(f"{file} lies elsewhere")
    return Part(file, tuple(map(str, body["columns"])), int(body["rows"]), tuple(map(int, body["days"])))


def is_numbers(table: Table) -> bool:
    """Whether no column holds text: such a file is exactly what Postgres reads and writes by itself."""
    return not any(isinstance(column.type, Text) for column in table.columns)


def shown(column: Column[Any], dialect: str) -> str:
    """The expression by which a database gives a column's field."""
    name = column.name
    if isinstance(column.type, Text):
        escaped = "E'\\\\'" if dialect == "postgresql" else "'\\'"
        return f"CASE WHEN {name} = '' OR substr({name}, 1, 1) = {escaped} THEN {escaped} || {name} ELSE {name} END"
    if isinstance(column.type, LargeBinary) and dialect == "sqlite":
        return f"CASE WHEN {name} IS NOT NULL THEN '\\x' || hex({name}) END"
    return name


def readers(columns: Sequence[Column[Any]]) -> list[Callable[[str], Any]]:
    """What makes a value of each column's field, where it is not empty. They raise ValueError."""
    return [_reader(column) for column in columns]


def _reader(column: Column[Any]) -> Callable[[str], Any]:
    if isinstance(column.type, LargeBinary):
        return _bytes
    if isinstance(column.type, Text):
        return _text
    return float if isinstance(column.type, Double) else int


def _bytes(field: str) -> bytes:
    if not field.startswith("\\x"):
        raise ValueError(f"no bytes: {field[:20]!r}")
    return bytes.fromhex(field[2:])


def _text(field: str) -> str:
    return field.removeprefix("\\")
