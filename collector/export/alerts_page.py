"""The shipped alert rules -> ALERTS.md: what each says, when it fires, what to do, and what it looks at."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from collector.export.alert_rules import Alert, RuleFile, metrics_named, read_rules, shipped_rules
from collector.export.kept_series import KEPT

INTRODUCTION = """\
# Alerts

Made from `deploy/prometheus/alerts.yml` by `python -m collector.export.docs deploy/`; a test compares the two.

Nothing here is critical. `info` is for the weekly look, `warning` for the work queue. An alert **fires** once its
condition has held for the time named, and is **held** for another time after it went, so that it does not flap. Words
in *slanted* letters are filled in. [RUNBOOKS.md](prometheus/RUNBOOKS.md) says what to do at length.

`breakeven alerts replay` runs stored reports through those that are marked **replayed**: it says how often, when and
for whom each would have fired. The others look at what no report tells.

| alert | severity | fires after | held for | says | do |
|---|---|---|---|---|---|"""
_LOOKS = """\

## What each looks at

Every metric is in [METRICS.md](METRICS.md); `up` is Prometheus' own. Recording rules are looked through.

| alert | replayed | metrics |
|---|---|---|"""
_RECORDED = """\

## Recorded series

| series | of |
|---|---|"""


def alerts_markdown() -> str:
    """ALERTS.md as a whole, ending in a newline. Raises BreakevenError when the rules cannot be read."""
    rules = read_rules(shipped_rules())
    lines = [INTRODUCTION, *_alerts(rules), _LOOKS, *map(_looks, rules.alerts), _RECORDED, *_recorded(rules)]
    return "\n".join(lines) + "\n"


def _alerts(rules: RuleFile) -> Iterator[str]:
    written = [rule for group in rules.groups for rule in group["rules"] if "alert" in rule]
    for alert, rule in zip(rules.alerts, written, strict=True):
        told: Mapping[str, str] = rule["annotations"]
        cells = [
            f"[{_title(alert)}](prometheus/RUNBOOKS.md#{alert.name.lower()})",
            str(rule["labels"]["severity"]),
            str(rule.get("for", "at once")),
            str(rule.get("keep_firing_for", "not held")),
            _words(told["summary"]),
            _words(told["action"]),
        ]
        yield f"| {' | '.join(cells)} |"


def _looks(alert: Alert) -> str:
    replayed = "yes" if alert.metrics <= KEPT else "no"
    return f"| {_title(alert)} | {replayed} | {_names(alert.metrics)} |"


def _recorded(rules: RuleFile) -> Iterator[str]:
    for group in rules.groups:
        for rule in group["rules"]:
            if "record" in rule:
                yield f"| `{rule['record']}` | {_names(metrics_named(str(rule['expr'])))} |"


def _title(alert: Alert) -> str:
    reason = alert.labels.get("reason")
    return f"`{alert.name}`" + ("" if reason is None else f" ({reason})")


def _names(metrics: Any) -> str:
    return ", ".join(f"`{name}`" for name in sorted(metrics))


def _words(text: str) -> str:
    """An annotation without its template language: what is filled in is named."""
    text = re.sub(r"\{\{ \$labels\.(\w+) \}\}", r"*\1*", text)
    text = re.sub(r"\{\{ \$value.*?\}\}", "*value*", text)
    return text.replace("|", "\\|")
