"""What a step costs and how large steps are: the series on the page, and the line in the printed report."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console

from analyzer.evidence import Missing
from analyzer.report import Report, as_plain
from analyzer.stepsizes import StepSizes
from analyzer.steptime.account import StepTime
from collector.export.snapshot import State
from collector.export.step_line import duration, evidence_line, model_line, significant, span
from collector.export.text import print_report
from collector.health import DaemonHealth
from tests.fakes.hand_clock import HandClock
from tests.fakes.histories import decode_heavy, replica
from tests.fakes.metrics_text import served_text
from tests.fakes.modelled import modelled, modelled_report

Found = dict[str, list[tuple[dict[str, str], float]]]


def shown(report: Report) -> Found:
    """The page's samples by name."""
    clock = HandClock()
    state = State(version="1", health=DaemonHealth(started_s=clock.wall_s()), ready=True)
    state.report = replace(report, made_at_s=clock.wall_s())
    page = served_text(state, clock)
    found: Found = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def printed(report: Report) -> str:
    console = Console(width=400, record=True, file=io.StringIO())
    print_report(as_plain(report), console, now_s=report.made_at_s)
    return console.export_text()


def test_each_coefficient_has_three_bounds_its_evidence_and_whether_live_data_decide_it() -> None:
    report = modelled_report(modelled())
    model = report.replicas[0].step_time
    assert isinstance(model, StepTime)
    found = shown(report)

    values = {
        (labels["coefficient"], labels["bound"]): (value, labels["evidence"])
        for labels, value in found["breakeven_step_coefficient_seconds"]
    }
    decided = {labels["coefficient"]: value for labels, value in found["breakeven_step_coefficient_identified"]}
    for name, known in model.coefficients.items():
        one = known.estimate
        for bound, value in (("p10", one.low), ("p50", one.value), ("p90", one.high)):
            assert values[name, bound] == (pytest.approx(value), one.evidence.value)
        assert decided[name] == float(known.identified)
    assert [value for _, value in found["breakeven_step_held_out_error_ratio"]] == [pytest.approx(model.held_out_error)]
    assert [value for _, value in found["breakeven_step_overlapped_weight_ratio"]] == [pytest.approx(model.overlapped)]


def test_the_shares_by_size_sum_to_one_and_a_size_without_steps_is_zero() -> None:
    found = shown(modelled_report(modelled()))
    steps = {labels["tokens"]: value for labels, value in found["breakeven_step_size_steps_ratio"]}
    time = {labels["tokens"]: value for labels, value in found["breakeven_step_size_time_ratio"]}

    assert sum(steps.values()) == pytest.approx(1)
    assert sum(time.values()) == pytest.approx(1)
    assert (steps["8"], steps["256"], steps["+Inf"]) == (pytest.approx(0.99), pytest.approx(0.01), 0.0)
    assert time["256"] > steps["256"]


def test_without_a_model_and_a_histogram_there_are_no_such_series() -> None:
    """What is not known has no series: a 0 would be believed."""
    found = shown(modelled_report(replica(decode_heavy())))

    assert [name for name in found if name.startswith("breakeven_step_")] == []
    assert "breakeven_decode_batch_size" in found


def test_steps_are_counted_where_no_model_tells_their_time() -> None:
    found = shown(modelled_report(replace(modelled(), model=Missing("not yet"))))

    assert "breakeven_step_size_steps_ratio" in found
    assert "breakeven_step_size_time_ratio" not in found
    assert "breakeven_step_coefficient_seconds" not in found


def test_the_live_and_the_decision_span_have_their_own_sizes() -> None:
    one = modelled_report(replace(modelled(), recent=decode_heavy())).replicas[0]

    assert isinstance(one.step_sizes, Missing)
    assert isinstance(one.history_step_sizes, StepSizes)


def a_model(error: float | None = 0.012, identified: tuple[bool, ...] = (True, True, True, True)) -> dict[str, Any]:
    values = (7.9e-3, 4e-5, 5.02e-8, 3.07e-5)
    names = ("step_s", "sequence_s", "kv_token_s", "prefill_token_s")
    known = {
        name: {"estimate": {"value": value}, "identified": one}
        for name, value, one in zip(names, values, identified, strict=True)
    }
    return {"coefficients": known, "held_out_error": error, "covered_s": 23 * 3600.0}


def test_a_step_is_priced_in_a_line() -> None:
    assert model_line(a_model()) == (
        "a step costs 7.90 ms + 40.0 us per sequence + 50.2 ns per KV token + 30.7 us per prompt token; "
        "fitted on 23 h of traffic, held-out error 1.2%"
    )


def test_the_line_says_what_live_data_do_not_decide_and_what_could_not_be_tested() -> None:
    line = model_line(a_model(None, (False, True, False, True)))

    assert line.endswith("too little of it to test the model; live data do not decide: the step itself, per KV token")


def test_without_a_model_the_line_says_why() -> None:
    assert model_line({"missing": "only 3 minutes of traffic"}) == "no step model: only 3 minutes of traffic"


def test_the_evidence_is_that_of_the_decision_span_and_else_of_the_live_one() -> None:
    live = {"prefill_marginal": {"evidence": "modelled", "method": "roofline"}}
    absent = {"prefill_marginal": {"missing": "no window"}}
    model = {"missing": "not yet"}

    for account, said in (
        ({"phases": live, "decision": absent}, "phase mix modelled (roofline)"),
        ({"phases": absent, "decision": absent}, "phase mix not known (no window)"),
    ):
        assert evidence_line({**account, "step_time": model}) == f"{said}; no step model: not yet"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (12.34, "12.3 s"),
        (0.0079, "7.90 ms"),
        (4e-5, "40.0 us"),
        (5e-8, "50.0 ns"),
        (5e-12, "0.00500 ns"),
        (0.0, "0 ns"),
    ],
)
def test_durations_have_three_digits_in_the_unit_that_suits(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_numbers_and_spans_are_plain() -> None:
    assert (significant(1234.5), significant(0.012345), significant(0)) == ("1,234", "0.0123", "0")
    assert (span(600), span(23 * 3600), span(72 * 3600)) == ("10 min", "23 h", "3.0 days")


def test_the_report_gives_each_replica_its_line() -> None:
    """One with a model, one without."""
    text = printed(modelled_report(modelled(), replica(decode_heavy(), number=1)))
    lines = [line.strip() for line in text.splitlines()]

    (first,) = [line for line in lines if line.startswith("127.0.0.1:8000: ")]
    (second,) = [line for line in lines if line.startswith("127.0.0.1:8001: ")]
    assert "a step costs " in first
    assert "held-out error" in first
    assert second == (
        "127.0.0.1:8001: phase mix modelled (roofline); no step model: no step-time model is fitted to this replica yet"
    )
