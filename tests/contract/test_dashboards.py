"""The dashboards keep Grafana's and our own rules: `grafana/README.md` names those about queries."""

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
from tests.fakes.panel_queries import MAY_BE_EMPTY, load, replaced, targets, variables
from tests.fakes.promql import scraped_labels, selectors

Dashboard = dict[str, Any]
Panel = dict[str, Any]
GRAFANA = Path(__file__).parents[2] / "grafana"
DASHBOARDS: dict[str, Dashboard] = {name: load(name) for name in ("overview", "drilldown")}
PANELS = [(name, panel) for name, board in DASHBOARDS.items() for panel in board["panels"] if panel["type"] != "row"]
QUERIES = {
    f"{name}: {panel['title']} {target['refId']}": target["expr"]
    for name, board in DASHBOARDS.items()
    for panel, target in targets(board)
}
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
NOT_SHOWN = {
    "breakeven_build_info": "names the daemons in the variables",
    "breakeven_start_timestamp_seconds": "for alerts: the age of a start says little on a dashboard",
    "breakeven_analysis_runs_total": "the age and duration of the last one say more",
    "breakeven_store_damaged_blocks_total": "happens on a failing disk; an alert says so, and the log names each block",
    "breakeven_store_recovered_total": "happens at the start; an alert says so for a day",
    "breakeven_store_bytes": "for alerts: what is kept and how much is the operator's choice",
    "breakeven_store_max_bytes": "as above",
    "breakeven_disk_free_bytes": "for an alert; node_exporter draws disks better",
    "breakeven_disk_min_free_bytes": "as above",
    "breakeven_disk_nearly_full": "as above",
    "breakeven_spool_up": "its failures are in the log, and samples that are lost on the panel",
    "breakeven_spool_samples": "the panel shows what goes to the spool; an alert says when it is nearly full",
    "breakeven_spool_bytes": "as above",
    "breakeven_spool_max_bytes": "as above",
    "breakeven_spool_oldest_timestamp_seconds": "as above",
    "breakeven_spool_samples_replayed_total": "the panel shows what is written, wherever it comes from",
    "breakeven_notifications_sent_total": "for those without Grafana; the log and /api/v1/health say how it went",
    "breakeven_notification_failures_total": "as above",
    "breakeven_notification_verdicts_waiting": "as above",
    "breakeven_notification_last_success_timestamp_seconds": "as above",
    "breakeven_clock_steps_total": "rare, and in the log",
    "breakeven_config_last_reload_successful": "whoever reloads looks at the log",
    "breakeven_config_last_reload_success_timestamp_seconds": "as above",
    "breakeven_gpu_process_resident_memory_bytes": "of the daemon, not of inference",
    "breakeven_gpu_process_starts_total": "as above",
    "breakeven_discovery_failures_total": "rare, and in the log",
    "breakeven_web_connections": "about the daemon's port, not about inference",
    "breakeven_web_connections_refused_total": "as above",
    "breakeven_web_accept_failures_total": "as above",
    "breakeven_capacity_requests_per_second": "of each replica; the panels show the deployment's mean",
    "breakeven_deployment_capacity_bound_info": "the panel shows what binds under the scheme; `report` has both",
    "breakeven_deployment_concurrent_sequences": "said in `report`; whether it counts is on the panel",
    "breakeven_deployment_kv_tokens": "as above",
    "breakeven_scheme_concurrent_sequences": "as above",
    "breakeven_scheme_kv_tokens": "as above",
    "breakeven_deployment_load_imbalance_ratio": "counted in the load over capacity",
    "breakeven_kv_limited": "the panel shows whether that counts for the scheme",
    "breakeven_load_requests_per_second": "of each replica; the panels show the deployment's",
    "breakeven_deployment_price_info": "a price's source is read once, in `report` and on the page",
    "breakeven_deployment_replicas_needed": "said in the verdict's reasons, in `report` and on the page",
    "breakeven_deployment_token_cost_usd_per_million_tokens": "for a bill; the panels show cost per generated token",
    "breakeven_article_decision_info": "the article's words are in `report` and on the page",
    "breakeven_article_scenario_info": "as above",
    "breakeven_article_skip_reason": "as above",
    "breakeven_scheme_article_saving_usd_per_month": "beside ours in `report`; a panel would suggest it",
    "breakeven_scheme_avoided_usd_per_month": "for a bill; what a verdict rests on is in its reasons",
    "breakeven_scheme_break_even_ratio": "said in what would change the verdict",
    "breakeven_scheme_gpus_avoided": "said in the verdict's reasons",
    "breakeven_scheme_replicas_needed": "said in the verdict's reasons",
    "breakeven_scheme_saving_info": "said in the verdict's reasons",
    "breakeven_scheme_year_1_net_usd": "the payback on the panel says the same in months",
}
"""Metrics that no panel shows, and why."""

ALL = {**DASHBOARDS, "history": load("history")}
"""With the one that asks Postgres, not Prometheus: `test_dashboard_history.py` tests its queries."""
each = pytest.mark.parametrize("board", DASHBOARDS.values(), ids=list(DASHBOARDS))
each_of_all = pytest.mark.parametrize("board", ALL.values(), ids=list(ALL))


def _of(board: Dashboard, *kinds: str) -> list[Panel]:
    return [one for one in board["panels"] if one["type"] != "row" and (not kinds or one["type"] in kinds)]


def _variables(board: Dashboard) -> dict[str, Any]:
    return {one["name"]: one for one in board["templating"]["list"]}


@pytest.mark.parametrize("name", list(ALL))
def test_the_file_is_what_the_generator_makes(name: str) -> None:
    """Else run `python grafana/generate.py`."""
    made = subprocess.run(
        [sys.executable, GRAFANA / "generate.py", "--print", name], capture_output=True, text=True, check=True
    )

    assert made.stdout == (GRAFANA / "dashboards" / f"{name}.json").read_text(encoding="utf-8")


@each_of_all
def test_it_can_be_provisioned_into_grafana_9_to_13(board: Dashboard) -> None:
    assert re.fullmatch(r"breakeven(-[a-z]+)?", board["uid"])
    assert board["id"] is None
    assert 39 <= board["schemaVersion"] <= 42
    assert board["editable"] is False
    assert "__inputs" not in board


def test_uids_and_titles_of_dashboards_are_unique() -> None:
    assert len({board["uid"] for board in ALL.values()}) == len(ALL)
    assert len({board["title"] for board in ALL.values()}) == len(ALL)


@each_of_all
def test_ids_and_titles_are_unique(board: Dashboard) -> None:
    panels = board["panels"]

    assert len(panels) == len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels})


def test_the_overview_answers_the_six_questions_from_top_to_bottom() -> None:
    rows = [panel["title"] for panel in DASHBOARDS["overview"]["panels"] if panel["type"] == "row"]

    assert rows == [
        "Is it worth it?",
        "Why, or why not?",
        "What is the workload?",
        "How sure are we, and how do we know?",
        "What would it save?",
        "Is Breakeven itself healthy?",
    ]


@each_of_all
def test_the_dashboards_link_to_one_another_with_their_selection(board: Dashboard) -> None:
    (link,) = board["links"]
    tagged = [one for one in ALL.values() if set(link["tags"]) <= set(one["tags"])]

    assert (link["type"], link["includeVars"], link["keepTime"]) == ("dashboards", True, True)
    assert len(tagged) == len(ALL)


def test_a_link_from_a_cell_leads_to_a_dashboard_that_exists_with_variables_it_has() -> None:
    found = 0
    for _, panel in PANELS:
        columns = set(_organize(panel)["renameByName"].values()) if panel["type"] == "table" else set()
        for path in re.findall(r'"/d/[^"]*"', json.dumps(panel)):
            uid, _, asked = path.strip('"').removeprefix("/d/").partition("?")
            (board,) = [one for one in DASHBOARDS.values() if one["uid"] == uid]
            assert set(re.findall(r"var-(\w+)=", asked)) <= _variables(board).keys()
            assert set(re.findall(r"__data\.fields\.(\w+)", asked)) <= columns
            found += 1
    assert found >= 1


@each
def test_annotations_mark_verdict_changes_and_epochs_by_the_moment_in_the_value(board: Dashboard) -> None:
    marks = {one["name"]: one for one in board["annotations"]["list"]}

    assert marks.keys() == {"Verdicts", "Epochs"}
    for one in marks.values():
        found = selectors(replaced(one["expr"]))
        assert one["useValueForTime"] is True
        assert {selector.metric for selector in found} <= by_name().keys()
        assert any(selector.metric.endswith("_timestamp_seconds") for selector in found)
        assert "* 1000" in one["expr"]
        labels = set().union(*(scraped_labels(selector.metric) for selector in found))
        assert set(re.findall(r"\{\{(\w+)\}\}", one["titleFormat"])) <= labels


@each_of_all
def test_panels_do_not_overlap(board: Dashboard) -> None:
    def cells(panel: Panel) -> set[tuple[int, int]]:
        place = panel["gridPos"]
        return {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }

    overlapping = [
        (one["title"], other["title"]) for one, other in combinations(board["panels"], 2) if cells(one) & cells(other)
    ]

    assert overlapping == []


@each_of_all
def test_every_line_is_filled_from_edge_to_edge_with_panels_of_one_height(board: Dashboard) -> None:
    lines: dict[int, list[dict[str, int]]] = {}
    for panel in board["panels"]:
        lines.setdefault(panel["gridPos"]["y"], []).append(panel["gridPos"])

    next_y = 0
    for y, places in sorted(lines.items()):
        assert y == next_y
        assert sum(place["w"] for place in places) == 24
        assert len({place["h"] for place in places}) == 1
        next_y = y + places[0]["h"]


@each_of_all
def test_a_panel_says_what_it_shows_in_which_unit_with_thresholds_and_why_it_may_be_empty(board: Dashboard) -> None:
    for panel in _of(board):
        defaults = panel["fieldConfig"]["defaults"]
        steps = defaults["thresholds"]["steps"]

        assert len(panel["description"].split()) >= 5, panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert defaults["unit"], panel["title"]
        assert len(defaults["noValue"]) >= len("not reported"), panel["title"]
        assert steps[0]["value"] is None
        assert [one["value"] for one in steps[1:]] == sorted(one["value"] for one in steps[1:])
        assert len(panel["targets"]) >= 1
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


@each
def test_everything_asks_the_chosen_data_source(board: Dashboard) -> None:
    found = [value for key, value in _items(board) if key == "datasource"]

    assert len(found) > 2 * len(_of(board))
    assert all(value == DATASOURCE for value in found)
    assert all(panel["datasource"] == DATASOURCE for panel in _of(board))
    assert all(target["datasource"] == DATASOURCE for _, target in targets(board))


def _items(value: Any) -> list[tuple[str, Any]]:
    inner = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    )
    return [(key, one) for key, one in inner if isinstance(key, str)] + [
        pair for _, one in inner for pair in _items(one)
    ]


@each
def test_variables_choose_several_values_and_follow_the_time_range(board: Dashboard) -> None:
    found = _variables(board)
    assert list(found) == ["datasource", "job", "instance", "deployment", "target", "scheme"]
    assert found.pop("datasource")["type"] == "datasource"
    for name, variable in found.items():
        assert variable["label"]
        assert (variable["type"], variable["multi"], variable["includeAll"]) == ("query", True, True)
        assert variable["refresh"] == 2
        asked = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
        assert asked is not None
        (selector,) = selectors(replaced(asked.group(1)))
        assert asked.group(2) == name
        assert {name, *selector.matchers} <= scraped_labels(selector.metric)


@each
def test_every_variable_is_used_and_every_used_one_exists(board: Dashboard) -> None:
    asked = variables(" ".join(target["expr"] for _, target in targets(board)) + json.dumps(board["templating"]))

    assert asked | {"datasource"} == set(_variables(board))


@each
def test_lines_are_not_joined_over_gaps_and_figures_of_now_are_asked_now(board: Dashboard) -> None:
    """A range query would show the last value of a daemon that is gone."""
    for panel in _of(board):
        over_time = panel["type"] in ("timeseries", "state-timeline")
        assert {(one["instant"], one["range"]) for one in panel["targets"]} == {(not over_time, over_time)}
        assert not over_time or panel["fieldConfig"]["defaults"]["custom"]["spanNulls"] is False


def test_simulated_stands_at_the_top_in_red() -> None:
    panel = _of(DASHBOARDS["overview"])[0]
    (words,) = panel["fieldConfig"]["defaults"]["mappings"]

    assert [one.metric for one in selectors(replaced(panel["targets"][0]["expr"]))] == ["breakeven_simulated"]
    assert (words["options"]["1"]["text"], words["options"]["1"]["color"]) == ("SIMULATED", "red")
    assert panel["options"]["colorMode"] == "background"


@each
def test_a_band_is_drawn_between_lines_of_its_own_panel(board: Dashboard) -> None:
    found = 0
    for panel in _of(board):
        for override in panel["fieldConfig"]["overrides"]:
            below = [one["value"] for one in override["properties"] if one["id"] == "custom.fillBelowTo"]
            assert set(below) <= {target["legendFormat"] for target in panel["targets"]}
            found += len(below)
    assert found == 2


def test_every_metric_is_shown_or_left_out_for_a_reason() -> None:
    shown = {selector.metric for query in QUERIES.values() for selector in selectors(replaced(query))}

    assert by_name().keys() - shown == NOT_SHOWN.keys()


def test_queries_that_may_be_empty_exist() -> None:
    known = {(panel["title"], target["refId"]) for board in DASHBOARDS.values() for panel, target in targets(board)}

    assert MAY_BE_EMPTY.keys() <= known


def _organize(panel: Panel) -> dict[str, Any]:
    return dict(next(one["options"] for one in panel["transformations"] if one["id"] == "organize"))
