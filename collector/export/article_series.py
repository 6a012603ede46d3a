"""The article's answers as metrics: what is exported, and its series."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from analyzer.article_answers import ArticleAnswers
from analyzer.article_beside import Beside
from analyzer.evidence import Missing
from collector.export.health_series import Series
from collector.export.metric import Metric

ARTICLE: tuple[Metric, ...] = (
    Metric(
        "breakeven_article_scenario_info",
        "info",
        ("deployment", "scenario"),
        "The article's scenario that is nearest to the workload.",
    ),
    Metric(
        "breakeven_article_decision_info",
        "info",
        ("deployment", "answer"),
        "What the article's decision matrix answers for the boxes that telemetry and configuration tick.",
    ),
    Metric(
        "breakeven_article_skip_reason",
        "gauge",
        ("deployment", "condition", "evidence"),
        "1 when a line of the article's checklist against quantizing holds, 0 when not; absent while unknown.",
    ),
    Metric(
        "breakeven_scheme_article_saving_usd_per_month",
        "gauge",
        ("deployment", "scheme"),
        "What the article's `total_cost_analysis` calls the monthly saving: a share of the bill, no whole GPUs.",
    ),
)


def answer_series(answers: ArticleAnswers, labels: Mapping[str, str]) -> Iterator[Series]:
    """One deployment's."""
    if not isinstance(answers.scenario, Missing):
        yield "breakeven_article_scenario_info", {**labels, "scenario": answers.scenario.name}, 1.0
    yield "breakeven_article_decision_info", {**labels, "answer": answers.decision}, 1.0
    for line in answers.checklist:
        if line.holds is not None and line.evidence is not None:
            with_line = {**labels, "condition": line.name, "evidence": line.evidence.value}
            yield "breakeven_article_skip_reason", with_line, float(line.holds)


def beside_series(article: Beside, labels: Mapping[str, str]) -> Iterator[Series]:
    """One scheme's."""
    if not isinstance(article.costs, Missing):
        yield "breakeven_scheme_article_saving_usd_per_month", labels, article.costs["monthly_savings"]
