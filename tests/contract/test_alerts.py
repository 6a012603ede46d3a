"""The alert rules: promtool's own checks and unit tests, and what every alert of ours must carry."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from collector.export.catalogue import by_name
from collector.settings.model import Analysis
from collector.settings.units import duration_s
from tests.fakes.promql import Selector, grouped, scraped_labels, selectors
from tests.fakes.tools import require

FOLDER = Path(__file__).parents[2] / "deploy" / "prometheus"
COMPOSE = FOLDER.parent / "docker" / "prometheus.yml"
BOTH: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"] for rule in group["rules"]
]
RULES = [rule for rule in BOTH if "alert" in rule]
RECORDED = {rule["record"]: rule["expr"] for rule in BOTH if "record" in rule}
UNIT_TESTS = sorted(FOLDER.glob("alerts*_test.yml"))
NAMES = {rule["alert"] for rule in RULES}
PROMETHEUS_OWN = {"up", "ALERTS"}
AS_IT_STANDS = {"breakeven_store_recovered_total", "breakeven_store_damaged_blocks_total"}
"""Counters read without a rate: the one moves before anything is scraped, the other says what there is to be read."""

each = pytest.mark.parametrize(
    "rule", RULES, ids=[f"{rule['alert']}-{rule['labels'].get('reason', '')}".rstrip("-") for rule in RULES]
)


every = pytest.mark.parametrize(
    "rule", BOTH, ids=[f"{n}-{one.get('alert') or one['record']}" for n, one in enumerate(BOTH)]
)


def _labels(metric: str) -> set[str]:
    """The labels of a metric of ours, of a recorded one (those that its aggregation keeps), or of Prometheus' own."""
    if metric == "ALERTS":
        return {"alertname", "alertstate"}.union(*(_labels(one.metric) for rule in RULES for one in _inner(rule)))
    if metric in PROMETHEUS_OWN:
        return {"job", "instance"}
    if metric not in RECORDED:
        return scraped_labels(metric)
    kept = next((labels for labels, _ in grouped(RECORDED[metric]) if labels), None)
    return _labels(selectors(RECORDED[metric])[0].metric) if kept is None else kept


def _inner(rule: dict[str, Any]) -> list[Selector]:
    return [one for one in selectors(rule["expr"]) if one.metric != "ALERTS"]


def _promtool(*arguments: str | Path) -> str:
    result = subprocess.run([require("promtool", "prometheus"), *arguments], capture_output=True, text=True)
    return "" if result.returncode == 0 else result.stdout + result.stderr


def test_promtool_accepts_the_rules() -> None:
    assert _promtool("check", "rules", FOLDER / "alerts.yml") == ""


@pytest.mark.fault("5", "a verdict on missing data", promise="no alert of a verdict fires from a gap")
@pytest.mark.parametrize("file", UNIT_TESTS, ids=[file.stem for file in UNIT_TESTS])
def test_the_rules_pass_their_unit_tests(file: Path) -> None:
    assert _promtool("test", "rules", file) == ""


def test_promtool_accepts_the_scrape_job() -> None:
    assert _promtool("check", "config", FOLDER / "scrape.yml") == ""


def test_promtool_accepts_the_compose_files_configuration_with_our_rules(tmp_path: Path) -> None:
    text = COMPOSE.read_text().replace("/etc/prometheus/rules", str(tmp_path))
    (tmp_path / "alerts.yml").write_text((FOLDER / "alerts.yml").read_text())
    (tmp_path / "prometheus.yaml").write_text(text)

    assert _promtool("check", "config", tmp_path / "prometheus.yaml") == ""


@each
def test_the_example_routes_every_alert_to_the_right_receiver(rule: dict[str, Any]) -> None:
    """By Alertmanager's own tool, which checks the file as well."""
    amtool, labels = require("amtool", "prometheus-alertmanager"), rule["labels"]
    told = [f"alertname={rule['alert']}", *(f"{name}={value}" for name, value in labels.items())]
    command = [amtool, "config", "routes", "test", f"--config.file={FOLDER / 'alertmanager.yml'}", *told]
    result = subprocess.run(command, capture_output=True, text=True)

    receiver = {"info": "breakeven-weekly", "warning": "breakeven-work-queue"}[labels["severity"]]
    assert (result.returncode, result.stdout.strip()) == (0, receiver), result.stderr


@pytest.mark.parametrize("file", [FOLDER / "scrape.yml", COMPOSE], ids=["scrape", "compose"])
def test_the_scrape_job_has_the_name_that_the_rules_look_for_and_leaves_labels_alone(file: Path) -> None:
    (job,) = yaml.safe_load(file.read_text())["scrape_configs"]
    wanted = {one.matchers["job"] for rule in RULES for one in selectors(rule["expr"]) if one.metric == "up"}

    assert {job["job_name"]} == wanted
    assert "honor_labels" not in job


@every
def test_a_rule_names_only_metrics_and_labels_that_exist(rule: dict[str, Any]) -> None:
    for selector in selectors(rule["expr"]):
        if selector.metric not in PROMETHEUS_OWN:
            assert selector.matchers.keys() <= _labels(selector.metric)
    for labels, metrics in grouped(rule["expr"]):
        for metric in metrics - PROMETHEUS_OWN:
            assert labels <= set().union(*(_labels(one) for one in metrics - PROMETHEUS_OWN)), metric


@every
def test_counters_stand_within_increase(rule: dict[str, Any]) -> None:
    for selector in selectors(rule["expr"]):
        if selector.metric not in PROMETHEUS_OWN | AS_IT_STANDS | RECORDED.keys():
            counter = by_name()[selector.metric].kind == "counter"
            assert ("increase" in selector.within) == counter, selector.metric


@each
def test_nobody_is_woken(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("info", "warning")
    assert (rule["alert"] == "QuantizationWorthIt") <= (rule["labels"]["severity"] == "info")


@each
def test_an_alert_says_what_it_is_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["annotations"].keys() == {"summary", "description", "action", "runbook_url"}
    assert all(text == text.strip() and "\n" not in text.strip() for text in rule["annotations"].values())
    assert rule["annotations"]["description"].endswith(".")
    assert rule["annotations"]["action"].endswith(".")


@each
def test_an_alert_has_its_runbook(rule: dict[str, Any]) -> None:
    path, _, anchor = rule["annotations"]["runbook_url"].partition("#")

    assert path == "deploy/prometheus/RUNBOOKS.md"
    assert anchor == rule["alert"].lower()
    assert f"\n## {rule['alert']}\n" in (FOLDER / "RUNBOOKS.md").read_text()


def test_a_runbook_belongs_to_an_alert_and_names_every_reason() -> None:
    text = (FOLDER / "RUNBOOKS.md").read_text()
    reasons = {rule["labels"]["reason"] for rule in RULES if "reason" in rule["labels"]}

    assert set(re.findall(r"^## (\w+)$", text, re.MULTILINE)) == NAMES
    assert len(reasons) == sum("reason" in rule["labels"] for rule in RULES)
    assert set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)) == reasons


@each
def test_a_template_asks_for_series_and_labels_that_exist(rule: dict[str, Any]) -> None:
    """A query in an annotation that fails is only seen when the alert fires."""
    labels = {label for one in selectors(rule["expr"]) for label in _labels(one.metric)}
    for text in rule["annotations"].values():
        assert set(re.findall(r"\$labels\.(\w+)", text)) <= labels
        for query in re.findall(r"printf `([^`]*)`", text):
            for selector in selectors(query.replace("%q", '"x"')):
                assert selector.matchers.keys() <= _labels(selector.metric)
                assert ("bound" in _labels(selector.metric)) == ("bound" in selector.matchers)
        assert len(re.findall(r"%q", text)) == len(
            re.findall(r"\$labels\.\w+", re.sub(r"\{\{ \$labels.*?\}\}", "", text))
        )


def test_every_alert_is_shown_to_fire_and_not_to_fire() -> None:
    cases = [
        (one["alertname"], bool(one.get("exp_alerts")))
        for file in UNIT_TESTS
        for test in yaml.safe_load(file.read_text())["tests"]
        for one in test["alert_rule_test"]
    ]

    assert {name for name, fires in cases if fires} == NAMES
    quiet_beside_one_that_fires = {
        "BreakevenTargetUnreliable",
        "BreakevenDeploymentSilent",
        "BreakevenCounterAnomalies",
    }
    quiet_beside_one_that_fires |= {"BreakevenGpuSourceDown", "BreakevenGpuDown"}
    assert {name for name, fires in cases if not fires} == NAMES - quiet_beside_one_that_fires


def test_the_verdict_is_held_as_long_as_the_daemon_holds_it() -> None:
    (rule,) = [one for one in RULES if one["alert"] == "QuantizationWorthIt"]
    held = set(re.findall(r"last_over_time\([^[]*\[(\w+)\]\)", rule["expr"]))

    assert {duration_s(one) for one in held} == {Analysis.model_fields["hold"].default}
    assert duration_s(rule["for"]) > 0
    assert duration_s(rule["keep_firing_for"]) > 0
