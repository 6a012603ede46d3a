"""Alert rules as Prometheus reads them: where the shipped ones lie, and which look at nothing but given metrics."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from collector.errors import BreakevenError

Group = Mapping[str, Any]
PROMETHEUS_OWN = frozenset({"ALERTS", "ALERTS_FOR_STATE"})
"""Series that evaluating the rules makes."""
_TEXT = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|`[^`]*`|#[^\n]*", re.DOTALL)
_ASIDE = re.compile(r"\{[^}]*\}|\[[^\]]*\]|\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")
_NAME = re.compile(r"(?<![\w:.])[a-zA-Z_:][\w:]*(?!\s*\()(?![\w:])")
_WORDS = frozenset(
    re.findall(
        r"\w+",
        "and or unless offset bool by without on ignoring group_left group_right atan2 inf nan sum min max avg count "
        "group stddev stdvar topk bottomk quantile count_values limitk limit_ratio",
    )
)


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert rule: its name, its labels as written, and the metrics it looks at, recording rules looked through."""

    name: str
    labels: Mapping[str, str]
    metrics: frozenset[str]

    @property
    def title(self) -> str:
        """The name, with the label `reason` where several rules share it."""
        reason = self.labels.get("reason")
        return self.name if reason is None else f"{self.name} ({reason})"


@dataclass(frozen=True, slots=True)
class RuleFile:
    """The groups of one file of rules, and its alerts in their order."""

    groups: Sequence[Group]
    alerts: Sequence[Alert]

    def looking_at(self, known: Set[str]) -> RuleFile:
        """The part of it whose rules look at no other metrics than these."""
        recorded = _recorded(self.groups)
        groups = []
        for group in self.groups:
            rules = [one for one in group["rules"] if _metrics(str(one["expr"]), recorded) <= known]
            if rules:
                groups.append({**group, "rules": rules})
        return RuleFile(groups, [one for one in self.alerts if one.metrics <= known])


def shipped_rules() -> Path:
    """The rules beside the installed package, else those of the checkout."""
    package = Path(__file__).parent.parent
    installed = package / "_rules" / "alerts.yml"
    return installed if installed.is_file() else package.parent / "deploy" / "prometheus" / "alerts.yml"


def read_rules(file: Path) -> RuleFile:
    """The rules of a file. Raises BreakevenError when it cannot be read or holds no groups of rules."""
    try:
        groups = yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        recorded = _recorded(groups)
        alerts = [
            Alert(str(rule["alert"]), dict(rule.get("labels") or {}), _metrics(str(rule["expr"]), recorded))
            for rule in rules
            if "alert" in rule
        ]
    except OSError as error:
        raise BreakevenError(f"{file} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, AttributeError):
        raise BreakevenError(f"{file} is no file of Prometheus rules: `promtool check rules` says why") from None
    return RuleFile(groups, alerts)


def metrics_named(expression: str) -> frozenset[str]:
    """The metrics that an expression of PromQL names, but for those that Prometheus makes of the rules itself."""
    bare = _ASIDE.sub(" ", _TEXT.sub('""', expression))
    return frozenset(_NAME.findall(bare)) - _WORDS - PROMETHEUS_OWN


def _recorded(groups: Sequence[Group]) -> Mapping[str, str]:
    return {one["record"]: str(one["expr"]) for group in groups for one in group["rules"] if "record" in one}


def _metrics(expression: str, recorded: Mapping[str, str]) -> frozenset[str]:
    """What an expression looks at in the end: a recording rule stands for what it is made of."""
    found: set[str] = set()
    seen: set[str] = set()
    left = [expression]
    while left:
        for name in metrics_named(left.pop()):
            if name not in recorded:
                found.add(name)
            elif name not in seen:
                seen.add(name)
                left.append(recorded[name])
    return frozenset(found)
