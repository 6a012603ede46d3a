"""Every exported metric is named as Prometheus names metrics (https://prometheus.io/docs/practices/naming/)."""

from __future__ import annotations

import re
import subprocess
from collections import Counter

import pytest

from collector.export.catalogue import CATALOGUE, ESTIMATE, Metric
from tests.fakes.tools import require

SCALED = ("percent", "milli", "micro", "nano", "kilo", "mega", "giga", "kib", "mib", "gib", "kb", "mb", "gb")
SCALED += ("minutes", "hours", "days", "weeks", "ms", "us", "ns", "fahrenheit", "kelvin", "milliwatts", "mj")
"""Words for units that are no base units."""
TARGET_LABELS = ("instance", "region", "cluster", "env", "service", "host", "hostname", "namespace", "pod", "type")
"""Labels that belong to whoever scrapes, or say nothing."""

each = pytest.mark.parametrize("metric", CATALOGUE, ids=[metric.name for metric in CATALOGUE])


def _words(metric: Metric) -> list[str]:
    return metric.name.split("_")


def test_names_are_unique() -> None:
    assert [name for name, number in Counter(metric.name for metric in CATALOGUE).items() if number > 1] == []


@each
def test_a_name_begins_with_our_prefix_and_is_in_snake_case(metric: Metric) -> None:
    assert re.fullmatch(r"breakeven(_[a-z0-9]+)+", metric.name)


@each
def test_units_are_base_units(metric: Metric) -> None:
    """Money per hour and payback in months are what people price in; those are named in full."""
    words = _words(metric)
    said_in_full = metric.name.endswith(("_usd_per_hour", "_payback_months", "_usd_per_month"))

    assert not set(words) & set(SCALED)
    assert said_in_full or not set(words) & {"hour", "months", "month", "day", "week", "minute"}


@each
def test_total_stands_on_counters_alone_and_info_on_infos_alone(metric: Metric) -> None:
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert metric.name.endswith("_info") == (metric.kind == "info")


@each
def test_a_moment_is_a_timestamp_in_seconds(metric: Metric) -> None:
    assert ("Unix time" in metric.help) == metric.name.endswith("_timestamp_seconds")


@each
def test_a_share_is_a_ratio(metric: Metric) -> None:
    """What the help calls a share must not look like a percentage or a count."""
    assert not re.match(r"(Mean s|S)hare of", metric.help) or metric.name.endswith("_ratio")


@each
def test_labels_are_in_snake_case_and_are_ours(metric: Metric) -> None:
    assert len(set(metric.labels)) == len(metric.labels)
    for label in metric.labels:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", label)
        assert label not in TARGET_LABELS
        assert label not in ("le", "quantile")


@each
def test_an_interval_has_its_evidence(metric: Metric) -> None:
    """An 80 % interval without its evidence would be believed more than it should."""
    assert "bound" not in metric.labels or metric.labels[-2:] == ESTIMATE


@each
def test_the_help_is_one_line_of_whole_sentences(metric: Metric) -> None:
    assert metric.help[0].isupper() or metric.help[0].isdigit()
    assert metric.help.endswith(".")
    assert "\n" not in metric.help


def test_no_label_stands_on_every_metric() -> None:
    assert set.intersection(*(set(metric.labels) for metric in CATALOGUE)) == set()


def test_promtool_finds_nothing_to_complain_about() -> None:
    """A page with one sample of each metric."""
    lines = []
    for metric in CATALOGUE:
        labels = ",".join(f'{label}="x"' for label in metric.labels)
        kind = "counter" if metric.kind == "counter" else "gauge"
        lines += [f"# HELP {metric.name} {metric.help}", f"# TYPE {metric.name} {kind}", f"{metric.name}{{{labels}}} 1"]
    promtool = require("promtool", "prometheus")

    result = subprocess.run(
        [promtool, "check", "metrics"], input="\n".join(lines) + "\n", capture_output=True, text=True
    )

    assert (result.returncode, result.stdout + result.stderr) == (0, "")
