"""The dashboard keeps Grafana's and our own rules: `grafana/README.md` names those about queries."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from collector.export.catalogue import by_name
from tests.fakes.panel_queries import MAY_BE_EMPTY, replaced, targets, variables
from tests.fakes.promql import grouped, scraped_labels, selectors

GRAFANA = Path(__file__).parents[2] / "grafana"
TEXT = (GRAFANA / "dashboards" / "breakeven.json").read_text(encoding="utf-8")
DASHBOARD: dict[str, Any] = json.loads(TEXT)
PANELS: list[dict[str, Any]] = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [(f"{panel['title']} {target['refId']}", target["expr"]) for panel, target in targets(DASHBOARD)]
VARIABLES: dict[str, dict[str, Any]] = {one["name"]: one for one in DASHBOARD["templating"]["list"]}
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
NOT_SHOWN = {
    "breakeven_build_info": "names the daemons in the variables",
    "breakeven_start_timestamp_seconds": "for alerts: the age of a start says little on a dashboard",
    "breakeven_analysis_runs_total": "the age and duration of the last one say more",
    "breakeven_store_recovered_total": "happens at the start; an alert says so for a day",
    "breakeven_clock_steps_total": "rare, and in the log",
    "breakeven_scheme_already_served": "for alerts: a scheme that was rolled out is no news",
    "breakeven_scheme_quality_timestamp_seconds": "for alerts",
    "breakeven_prediction_realised_ratio": "for alerts",
    "breakeven_deployment_price_timestamp_seconds": "for alerts; the table says whether the price is old",
    "breakeven_preemptions_per_request": "for alerts",
    "breakeven_calibration_timestamp_seconds": "for alerts",
    "breakeven_epoch_start_timestamp_seconds": "for alerts",
    "breakeven_facts_timestamp_seconds": "for alerts",
    "breakeven_config_last_reload_successful": "whoever reloads looks at the log",
    "breakeven_config_last_reload_success_timestamp_seconds": "as above",
    "breakeven_discovery_failures_total": "rare, and in the log",
    "breakeven_web_connections": "about the daemon's port, not about inference",
    "breakeven_web_connections_refused_total": "as above",
    "breakeven_web_accept_failures_total": "as above",
    "breakeven_deployment_price_info": "a price's source is read once, in `report` and on the page",
    "breakeven_deployment_replicas_needed": "said in the verdict's reasons, in `report` and on the page",
    "breakeven_deployment_token_cost_usd_per_million_tokens": "for a bill; the panels show cost per generated token",
    "breakeven_scheme_avoided_usd_per_month": "for a bill; what a verdict rests on is in its reasons",
    "breakeven_scheme_break_even_ratio": "said in what would change the verdict",
    "breakeven_scheme_gpus_avoided": "said in the verdict's reasons",
    "breakeven_scheme_replicas_needed": "said in the verdict's reasons",
    "breakeven_scheme_saving_info": "said in the verdict's reasons",
    "breakeven_scheme_year_1_net_usd": "the payback on the panel says the same in months",
}
"""Metrics that no panel shows, and why."""

by_title = pytest.mark.parametrize("panel", PANELS, ids=[panel["title"] for panel in PANELS])
by_query = pytest.mark.parametrize("query", [query for _, query in QUERIES], ids=[name for name, _ in QUERIES])


def test_the_file_is_what_the_generator_makes() -> None:
    """Else run `python grafana/generate.py`."""
    made = subprocess.run(
        [sys.executable, GRAFANA / "generate.py", "--print"], capture_output=True, text=True, check=True
    )

    assert made.stdout == TEXT


def test_it_can_be_provisioned_into_grafana_9_to_13() -> None:
    assert DASHBOARD["uid"] == "breakeven"
    assert DASHBOARD["id"] is None
    assert 39 <= DASHBOARD["schemaVersion"] <= 42
    assert DASHBOARD["editable"] is False
    assert "__inputs" not in DASHBOARD


def test_ids_and_titles_are_unique() -> None:
    panels = DASHBOARD["panels"]

    assert len(panels) == len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels})


def test_panels_do_not_overlap() -> None:
    def cells(panel: dict[str, Any]) -> set[tuple[int, int]]:
        place = panel["gridPos"]
        return {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }

    overlapping = [
        (one["title"], other["title"])
        for one, other in combinations(DASHBOARD["panels"], 2)
        if cells(one) & cells(other)
    ]

    assert overlapping == []


def test_every_line_is_filled_from_edge_to_edge_with_panels_of_one_height() -> None:
    lines: dict[int, list[dict[str, int]]] = {}
    for panel in DASHBOARD["panels"]:
        lines.setdefault(panel["gridPos"]["y"], []).append(panel["gridPos"])

    next_y = 0
    for y, places in sorted(lines.items()):
        assert y == next_y
        assert sum(place["w"] for place in places) == 24
        assert len({place["h"] for place in places}) == 1
        next_y = y + places[0]["h"]


@by_title
def test_a_panel_says_what_it_shows_in_which_unit_and_when_there_is_nothing(panel: dict[str, Any]) -> None:
    defaults = panel["fieldConfig"]["defaults"]

    assert len(panel["description"].split()) >= 5
    assert panel["description"].endswith(".")
    assert defaults["unit"]
    assert defaults["noValue"] == "not reported"
    assert len(panel["targets"]) >= 1
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


def test_everything_asks_the_chosen_data_source() -> None:
    found = [value for key, value in _items(DASHBOARD) if key == "datasource"]

    assert len(found) > 2 * len(PANELS)
    assert all(value == DATASOURCE for value in found)
    assert all(panel["datasource"] == DATASOURCE for panel in PANELS)
    assert all(target["datasource"] == DATASOURCE for _, target in targets(DASHBOARD))


def _items(value: Any) -> list[tuple[str, Any]]:
    inner = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    )
    return [(key, one) for key, one in inner if isinstance(key, str)] + [
        pair for _, one in inner for pair in _items(one)
    ]


def test_variables_choose_several_values_and_follow_the_time_range() -> None:
    assert list(VARIABLES) == ["datasource", "job", "instance", "deployment", "target", "scheme"]
    assert VARIABLES["datasource"]["type"] == "datasource"
    for name, variable in VARIABLES.items():
        assert variable["label"]
        if name != "datasource":
            assert (variable["type"], variable["multi"], variable["includeAll"]) == ("query", True, True)
            assert variable["refresh"] == 2
            assert variable["datasource"] == DATASOURCE


@pytest.mark.parametrize("name", [name for name in VARIABLES if name != "datasource"])
def test_a_variable_lists_a_label_that_its_metric_has(name: str) -> None:
    query = VARIABLES[name]["query"]["query"]
    found = re.fullmatch(r"label_values\((.+), (\w+)\)", query)
    assert found is not None
    (selector,) = selectors(replaced(found.group(1)))

    assert found.group(2) == name
    assert {name, *selector.matchers} <= scraped_labels(selector.metric)


def test_every_variable_is_used_and_every_used_one_exists() -> None:
    asked = variables(" ".join([query for _, query in QUERIES] + [json.dumps(DASHBOARD["templating"])]))

    assert asked | {"datasource"} == set(VARIABLES)


@by_query
def test_a_query_names_only_metrics_and_labels_that_exist(query: str) -> None:
    for selector in selectors(replaced(query)):
        assert selector.metric in by_name()
        assert selector.matchers.keys() <= scraped_labels(selector.metric)
    for labels, metrics in grouped(replaced(query)):
        assert labels <= set().union(*(scraped_labels(metric) for metric in metrics))


@by_query
def test_a_query_is_narrowed_by_every_variable_its_metric_has_a_label_for(query: str) -> None:
    for text in re.findall(r"breakeven_\w+(?:\{[^}]*\})?", query):
        metric, _, matchers = text.partition("{")
        wanted = scraped_labels(metric) & set(VARIABLES)
        assert {name for name in wanted if f'{name}=~"${name}"' in matchers} == wanted


@by_query
def test_counters_stand_within_a_rate_over_grafanas_interval_and_gauges_do_not(query: str) -> None:
    for selector in selectors(replaced(query)):
        counted = bool({"rate", "increase"} & set(selector.within))
        assert counted == (by_name()[selector.metric].kind == "counter")
    assert set(re.findall(r"\[([^\]]*)\]", query)) <= {"$__rate_interval", "$__range"}


@by_query
def test_an_estimate_is_picked_by_its_bound(query: str) -> None:
    for selector in selectors(replaced(query)):
        if "bound" in by_name()[selector.metric].labels:
            assert selector.matchers["bound"] in ("p10", "p50", "p90")


@pytest.mark.parametrize(("panel", "target"), list(targets(DASHBOARD)), ids=[name for name, _ in QUERIES])
def test_a_legend_names_labels_that_the_result_has(panel: dict[str, Any], target: dict[str, Any]) -> None:
    expression = replaced(target["expr"])
    found = grouped(expression)
    outermost = found[0][0] if expression.startswith(("sum", "max", "avg")) and found else None
    labels = set().union(*(scraped_labels(one.metric) for one in selectors(expression)))

    named = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))

    assert named <= (labels if outermost is None else outermost), panel["title"]


@by_title
def test_figures_of_now_are_asked_now_and_lines_over_time(panel: dict[str, Any]) -> None:
    """A range query would show the last value of a daemon that is gone."""
    over_time = panel["type"] == "timeseries"

    assert {(one["instant"], one["range"]) for one in panel["targets"]} == {(not over_time, over_time)}


@by_title
def test_lines_are_not_joined_over_gaps(panel: dict[str, Any]) -> None:
    custom = panel["fieldConfig"]["defaults"].get("custom", {})

    assert panel["type"] != "timeseries" or custom["spanNulls"] is False


@by_title
def test_overrides_name_lines_and_columns_that_exist(panel: dict[str, Any]) -> None:
    if panel["type"] == "table":
        names = set(_organize(panel)["renameByName"].values())
    else:
        names = {target["legendFormat"] for target in panel["targets"]}
    named = {one["matcher"]["options"] for one in panel["fieldConfig"]["overrides"] if one["matcher"]["id"] == "byName"}

    assert named <= names


TABLES = [panel for panel in PANELS if panel["type"] == "table"]


@pytest.mark.parametrize("panel", TABLES, ids=[panel["title"] for panel in TABLES])
def test_a_tables_columns_are_exactly_what_its_queries_give(panel: dict[str, Any]) -> None:
    """A field that no column names would appear by itself; a column that no query gives never appears."""
    given = {"Time"}
    for target in panel["targets"]:
        given.add("Value" if len(panel["targets"]) == 1 else f"Value #{target['refId']}")
        given |= grouped(replaced(target["expr"]))[-1][0] if "or on" in target["expr"] else set()
        given |= max((labels for labels, _ in grouped(replaced(target["expr"]))), key=len)

    assert set(_organize(panel)["indexByName"]) == given


def _organize(panel: dict[str, Any]) -> dict[str, Any]:
    return dict(next(one["options"] for one in panel["transformations"] if one["id"] == "organize"))


@pytest.mark.parametrize("panel", TABLES, ids=[panel["title"] for panel in TABLES])
def test_nan_is_not_reported_in_number_columns_alone(panel: dict[str, Any]) -> None:
    """Grafana's mapping of NaN takes any text for NaN."""
    for override in panel["fieldConfig"]["overrides"]:
        mappings = [one for prop in override["properties"] if prop["id"] == "mappings" for one in prop["value"]]
        if any(one["type"] == "special" for one in mappings):
            matcher = override["matcher"]
            fields = {column: field for field, column in _organize(panel)["renameByName"].items()}
            assert matcher == {"id": "byType", "options": "number"} or fields[matcher["options"]].startswith("Value")


@pytest.mark.parametrize("panel", TABLES, ids=[panel["title"] for panel in TABLES])
def test_text_columns_are_shown_as_text(panel: dict[str, Any]) -> None:
    """Else a version such as 0.10 would be formatted as a number."""
    texts = {"matcher": {"id": "byType", "options": "string"}, "properties": [{"id": "unit", "value": "string"}]}

    assert texts in panel["fieldConfig"]["overrides"]


def test_simulated_stands_at_the_top_in_red() -> None:
    panel = PANELS[0]
    (words,) = panel["fieldConfig"]["defaults"]["mappings"]

    assert [one.metric for one in selectors(replaced(panel["targets"][0]["expr"]))] == ["breakeven_simulated"]
    assert (words["options"]["1"]["text"], words["options"]["1"]["color"]) == ("SIMULATED", "red")
    assert panel["options"]["colorMode"] == "background"


def test_the_band_is_drawn_between_lines_of_its_own_panel() -> None:
    bands = {
        panel["title"]: (override["matcher"]["options"], prop["value"])
        for panel in PANELS
        for override in panel["fieldConfig"]["overrides"]
        for prop in override["properties"]
        if prop["id"] == "custom.fillBelowTo"
    }

    assert bands == {"Memory-bound share": ("P90", "P10"), "Decode batch": ("P90", "P10")}


def test_every_metric_is_shown_or_left_out_for_a_reason() -> None:
    shown = {selector.metric for _, query in QUERIES for selector in selectors(replaced(query))}

    assert by_name().keys() - shown == NOT_SHOWN.keys()


def test_queries_that_may_be_empty_exist() -> None:
    assert MAY_BE_EMPTY.keys() <= {(panel["title"], target["refId"]) for panel, target in targets(DASHBOARD)}
