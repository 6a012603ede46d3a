"""The article's answers on live figures, as lines of a report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Plain = Mapping[str, Any]
CONDITIONS = {
    "quality_is_differentiator": "quality is the main differentiator",
    "compute_small": "compute is a small part of the cost",
    "latency_met": "latency targets are met already",
    "small_team": "the team is small",
    "models_change_often": "models change often",
}
"""The skip checklist's conditions in words."""


def article_lines(article: Plain) -> Iterator[str]:
    """The nearest scenario, the decision matrix's answer, and which reasons to skip hold, do not, or are not known."""
    scenario = article["scenario"]
    if "missing" in scenario:
        yield f"the article's scenario: {scenario['missing']}"
    else:
        benefit = "high" if scenario["high_roi"] else "low"
        name, typical = scenario["name"].replace("_", " "), scenario["typical_speedup"]
        near = f"{name} ({benefit} benefit, {typical})"
        yield f"the article's nearest scenario: {near}; its decision matrix: {article['decision']}"
    by_answer: dict[bool | None, list[str]] = {True: [], False: [], None: []}
    for line in article["checklist"]:
        by_answer[line["holds"]].append(CONDITIONS[line["name"]])
    told = [
        f"{word}: {', '.join(by_answer[answer])}"
        for word, answer in (("hold", True), ("do not", False), ("not known", None))
        if by_answer[answer]
    ]
    yield f"its reasons to skip: {'; '.join(told)}"


def beside_line(article: Plain) -> str | None:
    """What the article would say of a scheme; None where an input is missing."""
    roi, costs = article["roi"], article["costs"]
    if "missing" in roi:
        return None
    line = f"by the article {roi['speedup']:.2f}x, {roi['recommendation'].replace('_', ' ')}"
    if "missing" not in costs:
        line += f", saves ${costs['monthly_savings']:,.0f} a month"
    return line
