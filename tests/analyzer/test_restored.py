"""A report that went through JSON is the report again: the same plain form, the same series, the same shares."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from analyzer.assumptions import Policy
from analyzer.evidence import Missing
from analyzer.report import Report, analyse, as_plain
from analyzer.restored import restored
from collector.export.render import report_series
from tests.fakes.histories import CHAT, DAY_S, decode_heavy, replica
from tests.fakes.modelled import modelled, modelled_report


def judged() -> Report:
    fleet = [replica(decode_heavy(), number=number) for number in range(2)]
    return analyse(fleet, [CHAT], {}, Policy(), now_s=DAY_S + 1, recent_s=300, history_s=7 * DAY_S)


def empty() -> Report:
    return analyse([], [CHAT], {}, Policy(), now_s=DAY_S, recent_s=300, history_s=7 * DAY_S)


def through_json(report: Report) -> Any:
    return json.loads(json.dumps(as_plain(report), allow_nan=False))


@pytest.mark.parametrize("make", [judged, empty, lambda: modelled_report(modelled(), modelled(1))])
def test_a_restored_report_is_plain_the_same_and_has_the_same_series(make: Any) -> None:
    report = make()
    again = restored(through_json(report), "kept elsewhere")

    assert as_plain(again) == as_plain(report)
    assert list(report_series(again)) == list(report_series(report))
    for name, known in report.workloads.items():
        shown = again.workloads[name]
        assert (shown.now, shown.decision, shown.step_sizes) == (known.now, known.decision, known.step_sizes)


def test_what_is_left_out_is_missing_with_the_reason() -> None:
    again = restored(through_json(judged()), "kept elsewhere")

    assert again.replicas[0].hours == Missing("kept elsewhere")
    hours = again.workloads["chat"].hours
    assert isinstance(hours, Missing)


def test_infinity_comes_back_and_is_not_text() -> None:
    report = judged()
    again = restored(through_json(replace(report, recent_s=float("inf"), history_s=float("-inf"))), "kept elsewhere")

    assert (again.recent_s, again.history_s) == (float("inf"), float("-inf"))


@pytest.mark.parametrize("change", [{"made_at_s": "soon"}, {"replicas": [{}]}, {"simulated": 3}, {"deployments": None}])
def test_what_another_release_wrote_is_refused_in_one_line(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no report of this release") as refused:
        restored({**through_json(judged()), **change}, "kept elsewhere")
    assert "\n" not in str(refused.value)
