"""Lines of a report: options elsewhere and the article's answers, by hand."""

from __future__ import annotations

from typing import Any

import pytest

from collector.export.article_lines import article_lines, beside_line
from collector.export.option_lines import option_lines


def option(count: int, scheme: str | None, saving: float | None) -> dict[str, Any]:
    told: dict[str, Any] = {"missing": "no price of H200 SXM"}
    if saving is not None:
        told = {"value": saving, "low": saving - 100, "high": saving, "evidence": "modelled"}
    return {
        "gpu": "H200 SXM",
        "gpus_per_replica": count,
        "scheme": scheme,
        "replicas": {"value": 3.0},
        "saving_usd_per_month": told,
    }


def test_of_each_place_the_best_saving_is_told() -> None:
    told = list(option_lines([option(1, None, -50.0), option(1, "w4a16", 900.0), option(2, "fp8-w8a8", None)]))

    assert told == [
        "on 1 x H200 SXM a replica: w4a16, 3 replica(s), saves $900 a month ($800 to $900; modelled)",
        "on 2 x H200 SXM a replica: no price of H200 SXM",
    ]


def test_no_options_no_lines() -> None:
    assert list(option_lines([])) == []


CHECKLIST = [
    {"name": "quality_is_differentiator", "holds": True},
    {"name": "compute_small", "holds": False},
    {"name": "latency_met", "holds": None},
    {"name": "small_team", "holds": None},
    {"name": "models_change_often", "holds": False},
]


def test_the_checklist_is_told_by_answer() -> None:
    scenario = {"name": "decode_heavy", "high_roi": True, "typical_speedup": "1.3-1.5x"}
    told = list(article_lines({"scenario": scenario, "decision": "Evaluate", "checklist": CHECKLIST}))

    assert told == [
        "the article's nearest scenario: decode heavy (high benefit, 1.3-1.5x); its decision matrix: Evaluate",
        (
            "its reasons to skip: hold: quality is the main differentiator; do not: compute is a small part of the "
            "cost, models change often; not known: latency targets are met already, the team is small"
        ),
    ]


def test_a_scenario_that_is_not_known_says_why() -> None:
    told = list(article_lines({"scenario": {"missing": "no GPU"}, "decision": "Evaluate", "checklist": []}))

    assert told[0] == "the article's scenario: no GPU"


@pytest.mark.parametrize(
    ("costs", "line"),
    [
        ({"missing": "no costs"}, "by the article 1.40x, worth it"),
        ({"monthly_savings": 1234.4}, "by the article 1.40x, worth it, saves $1,234 a month"),
    ],
)
def test_the_article_beside_a_scheme(costs: dict[str, Any], line: str) -> None:
    assert beside_line({"roi": {"speedup": 1.4, "recommendation": "worth_it"}, "costs": costs}) == line


def test_without_an_input_the_article_says_nothing() -> None:
    assert beside_line({"roi": {"missing": "no price"}, "costs": {"missing": "no price"}}) is None
