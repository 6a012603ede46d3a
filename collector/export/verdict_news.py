"""A report beside what a receiver was told last -> what is news, in words for Slack and whole for a webhook."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from analyzer.deployments import DeploymentReport
from analyzer.evidence import Estimate, Figure
from analyzer.report import Report, as_plain
from analyzer.scheme_report import SchemeReport
from analyzer.verdict import Verdict
from collector.export.words import WORDS

Told = Mapping[tuple[str, str], Verdict]
"""By (deployment, scheme)."""
LONGEST = 3_500
"""Characters of a message's text; Slack cuts at 4,000."""
LONGEST_REASON = 300
TEST_TEXT = "A test of Breakeven's notifications: nothing has changed. Verdict changes will be told here."


@dataclass(frozen=True, slots=True)
class Change:
    """One scheme's verdict that is another than the receiver knows."""

    scheme: SchemeReport
    former: Verdict


@dataclass(frozen=True, slots=True)
class News:
    """What changed in one deployment. `id` is the same whenever the same changes are told."""

    deployment: DeploymentReport
    changes: tuple[Change, ...]

    @property
    def id(self) -> str:
        """Of these verdicts, since these moments."""
        parts = [self.deployment.name]
        parts += [f"{one.scheme.scheme} {one.scheme.verdict} {one.scheme.state.since_s:.6f}" for one in self.changes]
        return hashlib.sha256("\n".join(parts).encode(errors="replace")).hexdigest()[:32]

    @property
    def verdicts(self) -> dict[tuple[str, str], Verdict]:
        """What the receiver knows once this is told."""
        return {(self.deployment.name, one.scheme.scheme): one.scheme.verdict for one in self.changes}

    @property
    def former(self) -> dict[tuple[str, str], Verdict]:
        """What it knew before."""
        return {(self.deployment.name, one.scheme.scheme): one.former for one in self.changes}


def standing(report: Report) -> dict[tuple[str, str], Verdict]:
    """Every verdict that stands, of deployments that are not simulated."""
    return {
        (deployment.name, scheme.scheme): scheme.verdict
        for deployment in report.deployments
        if not deployment.simulated
        for scheme in deployment.schemes
    }


def news_of(report: Report, told: Told, wanted: Collection[str]) -> list[News]:
    """What the receiver does not know yet, deployment by deployment; nothing of simulated ones.

    Only a settled verdict is news: the one shown, while the newest figures agree with it and `dwell` is over.
    """
    found = []
    for deployment in report.deployments:
        if deployment.simulated:
            continue
        changes = tuple(
            Change(scheme, former)
            for scheme in deployment.schemes
            if (former := told.get((deployment.name, scheme.scheme))) is not None
            and former is not scheme.verdict
            and scheme.verdict.value in wanted
            and scheme.judged.verdict is scheme.verdict
        )
        if changes:
            found.append(News(deployment, changes))
    return found


def slack_body(news: News) -> dict[str, Any]:
    """As Slack's incoming webhooks take it."""
    return {"text": _shortened("\n".join(_lines(news, _marked)), LONGEST)}


def webhook_body(news: News) -> dict[str, Any]:
    """Every figure that a script may want; a missing one is `{"missing": reason}`."""
    one = news.deployment
    return {
        "version": 1,
        "kind": "verdict_change",
        "id": news.id,
        "deployment": one.name,
        "model": one.model,
        "gpu": one.gpu,
        "gpus": one.gpus,
        "replicas": one.replicas,
        "text": _shortened("\n".join(_lines(news, str)), LONGEST),
        "changes": [_plain(change) for change in news.changes],
    }


def trial_body(kind: str) -> dict[str, Any]:
    """A message that says that it is a test."""
    return {"text": TEST_TEXT} if kind == "slack" else {"version": 1, "kind": "test", "text": TEST_TEXT}


def reasons(scheme: SchemeReport) -> tuple[str | None, str | None]:
    """What decided the verdict, and the strongest reason against that; None where there is none."""
    strongest = [side[0] if side else None for side in (scheme.judged.reasons_for, scheme.judged.reasons_against)]
    decided, counter = strongest if scheme.verdict is Verdict.WORTH_IT else reversed(strongest)
    return decided, counter


def _plain(change: Change) -> dict[str, Any]:
    one = change.scheme
    decided, counter = reasons(one)
    return {
        "scheme": one.scheme,
        "verdict": one.verdict.value,
        "former_verdict": change.former.value,
        "since": datetime.fromtimestamp(one.state.since_s, UTC).isoformat(timespec="seconds"),
        "reason": decided,
        "counter_reason": counter,
        "reasons_for": list(one.judged.reasons_for),
        "reasons_against": list(one.judged.reasons_against),
        "step_speedup": as_plain(one.speedup),
        "gpus_released": as_plain(one.money.gpus_released),
        "saving_usd_per_month": as_plain(one.money.saving_usd_per_month),
        "payback_months": as_plain(one.money.payback_months),
    }


def _lines(news: News, shown: Any) -> list[str]:
    one = news.deployment
    hardware = "GPU not known" if one.gpu is None else f"{one.gpus} x {one.gpu}"
    lines = [f"{shown(one.name)}: {shown(one.model or 'model not reported')}, {shown(hardware)}"]
    for change in news.changes:
        scheme = change.scheme
        decided, counter = reasons(scheme)
        verdict, former = (WORDS[verdict.value][0] for verdict in (scheme.verdict, change.former))
        lines.append(f"{shown(scheme.scheme)} is now: {verdict} (you were told: {former})")
        if decided is not None:
            lines.append(f"  because: {shown(_shortened(decided, LONGEST_REASON))}")
        if counter is not None:
            lines.append(f"  yet: {shown(_shortened(counter, LONGEST_REASON))}")
        lines.append(f"  step speed-up {_ratio(scheme.speedup)}")
    lines.append("All reasons and figures: `breakeven report`, or the daemon's page.")
    return lines


def _ratio(figure: Figure) -> str:
    if not isinstance(figure, Estimate):
        return "not known"
    return f"{figure.value:.2f}x ({figure.low:.2f}-{figure.high:.2f}, {figure.evidence.value})"


def _marked(text: str) -> str:
    """Text that Slack shows as it is: no name may ping a channel or make a link."""
    plain = "".join(one if one.isprintable() else " " for one in text)
    return plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _shortened(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 3] + "..."
