"""The verdict: `worth_it`, `evaluate`, `no` or `insufficient_data`; and how a new one replaces the one shown."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from analyzer.assumptions import Policy


class Verdict(StrEnum):
    """The answer for one scheme in one deployment."""

    WORTH_IT = "worth_it"
    EVALUATE = "evaluate"
    NO = "no"
    INSUFFICIENT_DATA = "insufficient_data"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict as today's figures give it, the strongest reason first on either side."""

    verdict: Verdict
    reasons_for: tuple[str, ...]
    reasons_against: tuple[str, ...]
    would_change: tuple[str, ...]
    settled: bool = False
    """A fact that no traffic changes, such as failed quality: it replaces the former verdict at once."""


@dataclass(frozen=True, slots=True)
class VerdictState:
    """The verdict that is shown, since when, the one that would replace it, and when data last allowed one."""

    verdict: Verdict
    since_s: float
    last_data_s: float | None
    candidate: Verdict | None = None
    candidate_since_s: float | None = None


def settle(
    former: VerdictState | None, judged: Verdict, now_s: float, policy: Policy, *, at_once: bool = False
) -> VerdictState:
    """The verdict to show: a new one must hold for `dwell_s`; missing data keep the former one for `hold_s`.

    Time without data does not count towards the dwell. `at_once` adopts a different verdict without any.
    """
    missing = judged is Verdict.INSUFFICIENT_DATA
    last_data_s = (former.last_data_s if former is not None else None) if missing else now_s
    adopted = VerdictState(judged, now_s, last_data_s)
    if former is None or former.verdict is Verdict.INSUFFICIENT_DATA:
        return adopted if former is None or judged is not former.verdict else replace(former, last_data_s=last_data_s)
    if judged is former.verdict:
        return VerdictState(former.verdict, former.since_s, last_data_s)
    if missing:
        held = former.last_data_s is not None and now_s - former.last_data_s < policy.hold_s
        return replace(former, candidate=None, candidate_since_s=None) if held else adopted
    if at_once:
        return adopted
    if former.candidate is judged and former.candidate_since_s is not None:
        if now_s - former.candidate_since_s >= policy.dwell_s:
            return adopted
        return replace(former, last_data_s=last_data_s)
    return replace(former, last_data_s=last_data_s, candidate=judged, candidate_since_s=now_s)
