"""The dashboards' queries as Prometheus gets them from Grafana: variables replaced, every value selected."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "grafana" / "dashboards"

MAY_BE_EMPTY: Mapping[tuple[str, str], str] = {
    ("Failed polls", "A"): "there is no series for a failure that never happened",
    ("Recomputing the report", "B"): "there is no series for a failure that never happened",
    ("Samples stored", "C"): "SQLite has no spool beside it",
    ("Realised over predicted speed-up", "A"): "nobody tried a scheme on a canary",
    ("Realised over predicted speed-up", "B"): "nobody tried a scheme on a canary",
    ("Realised over predicted speed-up", "C"): "nobody tried a scheme on a canary",
    ("Figures that a GPU does not give", "A"): "a GPU that reports every figure has none that is missing",
}
"""Queries (panel title, refId) that honestly have no result in a healthy daemon, and why."""

_NAN = re.compile(r" or on \([^()]*\) \(max by \([^()]*\) \([^()]*\) \* NaN\)$")
_BUILT_IN = ("$__rate_interval", "$__range")
_VARIABLE = re.compile(r"\$\{?([a-z_]+)\}?")


def load(name: str) -> dict[str, Any]:
    """The dashboard of that name, from its file."""
    return dict(json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8")))


def panel_queries(dashboard: Mapping[str, Any], *, interval: str = "1m") -> list[tuple[str, str]]:
    """(panel title, PromQL) of every query that must have a result once the daemon has live figures.

    `interval` stands for `$__rate_interval` and `$__range`. The NaN that a table's query has for rows without a value
    is left out, since it would hide that there is none.
    """
    return [
        (panel["title"], _NAN.sub("", replaced(target["expr"], interval)))
        for panel, target in targets(dashboard)
        if (panel["title"], target["refId"]) not in MAY_BE_EMPTY
    ]


def targets(dashboard: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Every panel with each of its targets; rows have none."""
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield panel, target


def replaced(expression: str, interval: str = "1m") -> str:
    """The expression with all variables replaced: intervals by `interval`, the others by a pattern for everything."""
    for name in _BUILT_IN:
        expression = expression.replace(name, interval)
    return _VARIABLE.sub(".*", expression)


def variables(text: str) -> set[str]:
    """The dashboard's own variables that a text uses."""
    return {name for name in _VARIABLE.findall(text) if not name.startswith("__")}
