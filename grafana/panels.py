"""Panels as plain dicts of Grafana's classic dashboard JSON; sizes are set here, places by the layout."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Panel = dict[str, Any]
Override = dict[str, Any]
Steps = Sequence[tuple[float | None, str]]
"""Thresholds as (from, colour), the first from None on."""

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
NOT_REPORTED = "not reported"
BY_ENGINE = "not reported by this engine"
NOT_NOW = "not known now: see the row on what Breakeven hears"
PLAIN: Steps = ((None, "green"),)
_MADE_FOR = "10.4.0"
"""Grafana's panel migrations start from this version; the lowest that writes schema 39."""
NAN = [{"type": "special", "options": {"match": "nan", "result": {"text": NOT_REPORTED, "index": 0}}}]


@dataclass(frozen=True, slots=True)
class Query:
    """One query of a panel, PromQL; `legend` is what its lines are called."""

    expression: str
    legend: str = ""

    @property
    def source(self) -> dict[str, str]:
        """The data source that it is for."""
        return DATASOURCE

    def asked(self, shape: str, *, instant: bool) -> dict[str, Any]:
        """How a panel's target holds it; `shape` is "table" or "time_series"."""
        return {
            "expr": self.expression,
            "legendFormat": self.legend,
            "format": shape,
            "instant": instant,
            "range": not instant,
        }


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
    absent: str = BY_ENGINE,
    steps: Steps = PLAIN,
) -> Panel:
    """Lines over time; a gap in the data stays a gap. `steps` beyond the first are drawn as dashed lines."""
    custom: dict[str, Any] = {
        "drawStyle": "line",
        "lineInterpolation": "linear",
        "lineWidth": 0 if stacked else 1,
        "fillOpacity": 75 if stacked else 0,
        "showPoints": "auto",
        "spanNulls": False,
        "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
        "thresholdsStyle": {"mode": "off" if len(steps) == 1 else "dashed"},
    }
    made = panel("timeseries", title, description, unit, queries, (width, height), absent, instant=False)
    defaults = made["fieldConfig"]["defaults"]
    defaults |= {"color": {"mode": "palette-classic"}, "custom": custom, "thresholds": thresholds(steps)}
    defaults |= {key: value for key, value in (("min", low), ("max", high)) if value is not None}
    made["fieldConfig"]["overrides"] = list(overrides)
    made["options"] = {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "none"},
    }
    return made


def stat(
    title: str,
    description: str,
    unit: str,
    expression: str,
    steps: Steps,
    *,
    words: Mapping[str, tuple[str, str]] | None = None,
    width: int = 4,
    height: int = 4,
    absent: str = NOT_NOW,
    decimals: int | None = None,
) -> Panel:
    """One figure of now, coloured by `steps`; `words` replace a value by (text, colour)."""
    made = panel("stat", title, description, unit, [Query(expression)], (width, height), absent, instant=True)
    made["fieldConfig"]["defaults"] |= {
        "color": {"mode": "thresholds"},
        "thresholds": thresholds(steps),
        "mappings": [] if words is None else [words_mapping(words)],
    }
    if decimals is not None:
        made["fieldConfig"]["defaults"]["decimals"] = decimals
    made["options"] = {
        "colorMode": "background",
        "graphMode": "none",
        "justifyMode": "center",
        "orientation": "auto",
        "textMode": "value",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    }
    return made


def states(
    title: str,
    description: str,
    queries: Sequence[Query],
    words: Mapping[str, tuple[str, str]],
    *,
    width: int = 24,
    height: int = 7,
    absent: str = NOT_NOW,
) -> Panel:
    """Words over time, one bar per line; where nothing was told the bar has a hole."""
    made = panel("state-timeline", title, description, "none", queries, (width, height), absent, instant=False)
    made["fieldConfig"]["defaults"] |= {
        "color": {"mode": "thresholds"},
        "custom": {"fillOpacity": 80, "lineWidth": 0, "spanNulls": False},
        "mappings": [words_mapping(words)],
        "thresholds": thresholds(PLAIN),
    }
    made["options"] = {
        "alignValue": "left",
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "mergeValues": True,
        "rowHeight": 0.9,
        "showValue": "auto",
        "tooltip": {"mode": "single", "sort": "none"},
    }
    return made


def bars(
    title: str,
    description: str,
    unit: str,
    queries: Sequence[Query],
    by: str,
    headings: Mapping[str, str],
    *,
    width: int = 12,
    height: int = 8,
    absent: str = BY_ENGINE,
) -> Panel:
    """Bars of now, one per value of the label `by`, sorted by it as a number; `headings` name the queries' fields."""
    made = panel("barchart", title, description, unit, queries, (width, height), absent, instant=True)
    made["fieldConfig"]["defaults"] |= {
        "color": {"mode": "palette-classic"},
        "custom": {"fillOpacity": 80, "lineWidth": 0},
        "thresholds": thresholds(PLAIN),
        "min": 0,
    }
    for target in made["targets"]:
        target["format"] = "table"
    made["options"] = {
        "xField": headings[by],
        "orientation": "vertical",
        "stacking": "none",
        "showValue": "auto",
        "barWidth": 0.9,
        "groupWidth": 0.8,
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "none"},
    }
    as_number = {"conversions": [{"targetField": by, "destinationType": "number"}], "fields": {}}
    organize = {
        "excludeByName": {"Time": True},
        "indexByName": {name: number for number, name in enumerate(["Time", *headings])},
        "renameByName": dict(headings),
    }
    made["transformations"] = [
        {"id": "merge", "options": {}},
        {"id": "convertFieldType", "options": as_number},
        {"id": "sortBy", "options": {"fields": {}, "sort": [{"field": by}]}},
        {"id": "convertFieldType", "options": {"conversions": [{"targetField": by, "destinationType": "string"}]}},
        {"id": "organize", "options": organize},
    ]
    return made


def row(title: str) -> Panel:
    """A heading over the panels that follow."""
    return {"type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": {"w": 24, "h": 1}}


def named(name: str, **properties: Any) -> Override:
    """Properties of the line or column of that name; `__` in a key stands for a dot."""
    made = [prop(key.replace("__", "."), value) for key, value in properties.items()]
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


def panel(
    kind: str,
    title: str,
    description: str,
    unit: str,
    queries: Sequence[Query],
    size: tuple[int, int],
    absent: str,
    *,
    instant: bool,
) -> Panel:
    """What panels of every kind have; `absent` is shown in place of an empty box."""
    return {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": queries[0].source,
        "pluginVersion": _MADE_FOR,
        "gridPos": {"w": size[0], "h": size[1]},
        "fieldConfig": {"defaults": {"unit": unit, "noValue": absent}, "overrides": []},
        "targets": [_target(chr(ord("A") + index), one, kind, instant) for index, one in enumerate(queries)],
    }


def _target(ref_id: str, query: Query, kind: str, instant: bool) -> dict[str, Any]:
    return {
        "refId": ref_id,
        "datasource": query.source,
        "editorMode": "code",
        **query.asked("table" if kind == "table" else "time_series", instant=instant),
    }


def thresholds(steps: Steps) -> dict[str, Any]:
    """Colours by value, as Grafana wants them."""
    return {"mode": "absolute", "steps": [{"value": value, "color": color} for value, color in steps]}


def prop(key: str, value: Any) -> dict[str, Any]:
    """One property of an override."""
    return {"id": key, "value": value}


def words_mapping(words: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    """A mapping of values to (text, colour)."""
    options = {
        value: {"text": text, "color": color, "index": index}
        for index, (value, (text, color)) in enumerate(words.items())
    }
    return {"type": "value", "options": options}
