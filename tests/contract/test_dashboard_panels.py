"""Each panel's queries, legends, overrides and columns fit one another and the metric catalogue."""

from __future__ import annotations

import re
from typing import Any

import pytest

from collector.export.catalogue import by_name
from tests.fakes.panel_queries import load, replaced, targets
from tests.fakes.promql import grouped, scraped_labels, selectors

BOARDS = {name: load(name) for name in ("overview", "drilldown")}
TABLES = [
    (f"{name}: {panel['title']}", panel)
    for name, board in BOARDS.items()
    for panel in board["panels"]
    if panel["type"] in ("table", "barchart")
]
QUERIES = [
    (f"{name}: {panel['title']} {target['refId']}", panel, target)
    for name, board in BOARDS.items()
    for panel, target in targets(board)
]
NARROWS = {"job", "instance", "deployment", "target", "scheme"}

by_query = pytest.mark.parametrize("query", [one["expr"] for *_, one in QUERIES], ids=[name for name, *_ in QUERIES])
by_table = pytest.mark.parametrize("panel", [panel for _, panel in TABLES], ids=[name for name, _ in TABLES])


@by_query
def test_a_query_keeps_the_rules(query: str) -> None:
    """Known metrics and labels, narrowed by every variable, counters within a rate, estimates picked by their bound."""
    found = selectors(replaced(query))
    for selector in found:
        assert selector.metric in by_name()
        assert selector.matchers.keys() <= scraped_labels(selector.metric)
        counted = bool({"rate", "increase"} & set(selector.within))
        assert counted == (by_name()[selector.metric].kind == "counter")
        if "bound" in by_name()[selector.metric].labels:
            assert selector.matchers["bound"] in ("p10", "p50", "p90")
    for labels, metrics in grouped(replaced(query)):
        assert labels <= set().union(*(scraped_labels(metric) for metric in metrics))
    for text in re.findall(r"breakeven_\w+(?:\{[^}]*\})?", query):
        metric, _, matchers = text.partition("{")
        wanted = scraped_labels(metric) & NARROWS
        assert {name for name in wanted if f'{name}=~"${name}"' in matchers} == wanted
    assert set(re.findall(r"\[([^\]]*)\]", query)) <= {"$__rate_interval", "$__range"}


def test_a_legend_names_labels_that_the_result_has() -> None:
    for name, _, target in QUERIES:
        expression = replaced(target["expr"])
        found = grouped(expression)
        outermost = found[0][0] if expression.startswith(("sum", "max", "avg")) and found else None
        labels = set().union(*(scraped_labels(one.metric) for one in selectors(expression)))
        named = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))

        assert named <= (labels if outermost is None else outermost), name


def test_overrides_name_lines_and_columns_that_exist() -> None:
    for board in BOARDS.values():
        for panel in board["panels"]:
            overrides = panel.get("fieldConfig", {}).get("overrides", ())
            if panel["type"] == "table":
                names = set(_organize(panel)["renameByName"].values())
            else:
                names = {target["legendFormat"] for target in panel.get("targets", ())}
            assert {one["matcher"]["options"] for one in overrides if one["matcher"]["id"] == "byName"} <= names


@by_table
def test_a_tables_columns_are_exactly_what_its_queries_give(panel: dict[str, Any]) -> None:
    """A field that no column names would appear by itself; a column that no query gives never appears."""
    given = {"Time"}
    for target in panel["targets"]:
        given.add("Value" if len(panel["targets"]) == 1 else f"Value #{target['refId']}")
        # The group that is left at the end: of what stands before ` or on`, else of the outermost grouping.
        kept = target["expr"].rpartition(" or on ")[0] or target["expr"]
        given |= (
            max((labels for labels, _ in grouped(replaced(kept))[:1]), key=len)
            if kept.startswith(("max", "sum", "avg"))
            else max((labels for labels, _ in grouped(replaced(kept))), key=len)
        )

    assert set(_organize(panel)["indexByName"]) == given


def _organize(panel: dict[str, Any]) -> dict[str, Any]:
    return dict(next(one["options"] for one in panel["transformations"] if one["id"] == "organize"))


def test_nan_is_not_reported_in_number_columns_alone() -> None:
    """Grafana's mapping of NaN takes any text for NaN."""
    for _, panel in TABLES:
        for override in panel["fieldConfig"]["overrides"]:
            mappings = [one for prop in override["properties"] if prop["id"] == "mappings" for one in prop["value"]]
            if any(one["type"] == "special" for one in mappings):
                matcher = override["matcher"]
                fields = {column: field for field, column in _organize(panel)["renameByName"].items()}
                by_type = matcher == {"id": "byType", "options": "number"}
                assert by_type or fields[matcher["options"]].startswith("Value")


def test_text_columns_are_shown_as_text() -> None:
    """Else a version such as 0.10 would be formatted as a number."""
    texts = {"matcher": {"id": "byType", "options": "string"}, "properties": [{"id": "unit", "value": "string"}]}

    assert all(texts in panel["fieldConfig"]["overrides"] for _, panel in TABLES if panel["type"] == "table")
