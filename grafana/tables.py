"""Tables: the rows of several queries merged where their common labels agree, a word for what a cell lacks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from panels import NAN, NOT_NOW, Override, Panel, Query, panel, prop, words_mapping


@dataclass(frozen=True, slots=True)
class Column:
    """A table's column: the query result's field, its heading, and how it is shown. No heading hides it.

    `link` leads elsewhere from the cell, `tab` says whether in a tab of its own.
    """

    field: str
    heading: str = ""
    unit: str | None = None
    decimals: int | None = None
    width: int | None = None
    words: Mapping[str, tuple[str, str]] | None = None
    link: str | None = None
    tab: bool = True


def table(
    title: str,
    description: str,
    queries: Sequence[Query],
    columns: Sequence[Column],
    *,
    width: int = 24,
    height: int = 8,
    absent: str = NOT_NOW,
) -> Panel:
    """A table of now: the queries' rows are merged where their common labels agree."""
    made = panel("table", title, description, "short", queries, (width, height), absent, instant=True)
    made["fieldConfig"]["defaults"] |= {
        "custom": {"align": "auto", "filterable": True},
        "thresholds": {"mode": "absolute", "steps": [{"value": None, "color": "text"}]},
    }
    shown = [column for column in columns if column.heading]
    # By type, since Grafana takes any text for NaN as well.
    numbers: Override = {"matcher": {"id": "byType", "options": "number"}, "properties": [prop("mappings", NAN)]}
    # Grafana formats a text that reads as a number, such as a version, unless its unit says that it is text.
    texts: Override = {"matcher": {"id": "byType", "options": "string"}, "properties": [prop("unit", "string")]}
    made["fieldConfig"]["overrides"] = [
        texts,
        numbers,
        *(one for column in shown if (one := _override(column)) is not None),
    ]
    made["options"] = {"showHeader": True, "cellHeight": "sm", "footer": {"show": False, "reducer": ["sum"]}}
    organize = {
        "excludeByName": {column.field: True for column in columns if not column.heading},
        "indexByName": {column.field: index for index, column in enumerate(columns)},
        "renameByName": {column.field: column.heading for column in shown},
    }
    made["transformations"] = [{"id": "merge", "options": {}}, {"id": "organize", "options": organize}]
    return made


def _override(column: Column) -> Override | None:
    properties = [
        prop(key, value)
        for key, value in (("unit", column.unit), ("decimals", column.decimals), ("custom.width", column.width))
        if value is not None
    ]
    if column.words is not None:
        number = column.field.startswith("Value")
        properties.append(prop("mappings", [words_mapping(column.words), *(NAN if number else ())]))
        properties.append(prop("custom.cellOptions", {"type": "color-text"}))
    if column.link is not None:
        link = {"title": column.heading, "url": column.link, "targetBlank": column.tab}
        properties.append(prop("links", [link]))
    if not properties:
        return None
    return {"matcher": {"id": "byName", "options": column.heading}, "properties": properties}
