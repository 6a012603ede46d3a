"""Panels as plain dicts of Grafana's classic dashboard JSON; sizes are set here, places by the layout."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Panel = dict[str, Any]
Override = dict[str, Any]

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
NOT_REPORTED = "not reported"
_MADE_FOR = "10.4.0"
"""Grafana's panel migrations start from this version; the lowest that writes schema 39."""
_NAN = [{"type": "special", "options": {"match": "nan", "result": {"text": NOT_REPORTED, "index": 0}}}]


@dataclass(frozen=True, slots=True)
class Query:
    """One query of a panel; `legend` is what its lines are called."""

    expression: str
    legend: str = ""


def timeseries(
    title: str,
    description: str,
    unit: str,
    queries: Sequence[Query],
    *,
    width: int = 12,
    height: int = 8,
    stacked: bool = False,
    low: float | None = None,
    high: float | None = None,
    overrides: Iterable[Override] = (),
) -> Panel:
    """Lines over time; a gap in the data stays a gap."""
    custom: dict[str, Any] = {
        "drawStyle": "line",
        "lineInterpolation": "linear",
        "lineWidth": 0 if stacked else 1,
        "fillOpacity": 75 if stacked else 0,
        "showPoints": "never",
        "spanNulls": False,
        "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
    }
    panel = _panel("timeseries", title, description, unit, queries, width, height, instant=False)
    defaults = panel["fieldConfig"]["defaults"]
    defaults |= {"color": {"mode": "palette-classic"}, "custom": custom}
    defaults |= {key: value for key, value in (("min", low), ("max", high)) if value is not None}
    panel["fieldConfig"]["overrides"] = list(overrides)
    panel["options"] = {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "none"},
    }
    return panel


def stat(
    title: str,
    description: str,
    unit: str,
    expression: str,
    steps: Sequence[tuple[float | None, str]],
    *,
    words: Mapping[str, tuple[str, str]] | None = None,
    width: int = 4,
    height: int = 4,
) -> Panel:
    """One figure of now: `steps` are (from, colour), `words` replace a value by (text, colour)."""
    panel = _panel("stat", title, description, unit, [Query(expression)], width, height, instant=True)
    panel["fieldConfig"]["defaults"] |= {
        "color": {"mode": "thresholds"},
        "thresholds": {"mode": "absolute", "steps": [{"value": value, "color": color} for value, color in steps]},
        "mappings": [] if words is None else [_words(words)],
    }
    panel["options"] = {
        "colorMode": "background",
        "graphMode": "none",
        "justifyMode": "center",
        "orientation": "auto",
        "textMode": "value",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    }
    return panel


@dataclass(frozen=True, slots=True)
class Column:
    """A table's column: the query result's field, its heading, and how it is shown. No heading hides it."""

    field: str
    heading: str = ""
    unit: str | None = None
    decimals: int | None = None
    width: int | None = None
    words: Mapping[str, tuple[str, str]] | None = None
    link: str | None = None


def table(
    title: str,
    description: str,
    queries: Sequence[Query],
    columns: Sequence[Column],
    *,
    width: int = 24,
    height: int = 8,
) -> Panel:
    """A table of now: the queries' rows are merged where their common labels agree."""
    panel = _panel("table", title, description, "short", queries, width, height, instant=True)
    panel["fieldConfig"]["defaults"]["custom"] = {"align": "auto", "filterable": True}
    shown = [column for column in columns if column.heading]
    # By type, since Grafana takes any text for NaN as well.
    numbers: Override = {"matcher": {"id": "byType", "options": "number"}, "properties": [_property("mappings", _NAN)]}
    # Grafana formats a text that reads as a number, such as a version, unless its unit says that it is text.
    texts: Override = {"matcher": {"id": "byType", "options": "string"}, "properties": [_property("unit", "string")]}
    panel["fieldConfig"]["overrides"] = [
        texts,
        numbers,
        *(one for column in shown if (one := _override(column)) is not None),
    ]
    panel["options"] = {"showHeader": True, "cellHeight": "sm", "footer": {"show": False, "reducer": ["sum"]}}
    organize = {
        "excludeByName": {column.field: True for column in columns if not column.heading},
        "indexByName": {column.field: index for index, column in enumerate(columns)},
        "renameByName": {column.field: column.heading for column in shown},
    }
    panel["transformations"] = [{"id": "merge", "options": {}}, {"id": "organize", "options": organize}]
    return panel


def row(title: str) -> Panel:
    """A heading over the panels that follow."""
    return {"type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": {"w": 24, "h": 1}}


def named(name: str, **properties: Any) -> Override:
    """Properties of the line or column of that name; `__` in a key stands for a dot."""
    made = [_property(key.replace("__", "."), value) for key, value in properties.items()]
    return {"matcher": {"id": "byName", "options": name}, "properties": made}


def coloured(name: str, color: str) -> Override:
    """The line of that name in that colour."""
    return named(name, color={"mode": "fixed", "fixedColor": color})


def band_overrides() -> list[Override]:
    """The lines P10 and P90 as the edges of a grey band, P50 as a line within."""
    edge = {"mode": "fixed", "fixedColor": "#8e8e8e"}
    thin: dict[str, Any] = {"color": edge, "custom__lineWidth": 0}
    return [
        named("P90", **thin, custom__fillBelowTo="P10", custom__fillOpacity=20),
        named("P10", **thin),
        named("P50", color={"mode": "fixed", "fixedColor": "blue"}, custom__lineWidth=2),
    ]


def _panel(
    kind: str,
    title: str,
    description: str,
    unit: str,
    queries: Sequence[Query],
    width: int,
    height: int,
    *,
    instant: bool,
) -> Panel:
    return {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": DATASOURCE,
        "pluginVersion": _MADE_FOR,
        "gridPos": {"w": width, "h": height},
        "fieldConfig": {"defaults": {"unit": unit, "noValue": NOT_REPORTED}, "overrides": []},
        "targets": [_target(chr(ord("A") + index), one, kind, instant) for index, one in enumerate(queries)],
    }


def _target(ref_id: str, query: Query, kind: str, instant: bool) -> dict[str, Any]:
    return {
        "refId": ref_id,
        "datasource": DATASOURCE,
        "editorMode": "code",
        "expr": query.expression,
        "legendFormat": query.legend,
        "format": "table" if kind == "table" else "time_series",
        "instant": instant,
        "range": not instant,
    }


def _override(column: Column) -> Override | None:
    properties = [
        _property(key, value)
        for key, value in (("unit", column.unit), ("decimals", column.decimals), ("custom.width", column.width))
        if value is not None
    ]
    if column.words is not None:
        number = column.field.startswith("Value")
        properties.append(_property("mappings", [_words(column.words), *(_NAN if number else ())]))
        properties.append(_property("custom.cellOptions", {"type": "color-text"}))
    if column.link is not None:
        link = {"title": column.heading, "url": column.link, "targetBlank": True}
        properties.append(_property("links", [link]))
    if not properties:
        return None
    return {"matcher": {"id": "byName", "options": column.heading}, "properties": properties}


def _property(key: str, value: Any) -> dict[str, Any]:
    return {"id": key, "value": value}


def _words(words: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    options = {
        value: {"text": text, "color": color, "index": index}
        for index, (value, (text, color)) in enumerate(words.items())
    }
    return {"type": "value", "options": options}
