"""Reports and verdict states come back as they were kept."""

from __future__ import annotations

import pytest

from analyzer.verdict import Verdict, VerdictState
from collector.store import Store, StoredReport
from tests.contract.store_samples import START_S


def test_the_newest_report_is_the_latest_one(store: Store) -> None:
    body = {"deployments": [{"name": "chat", "figure": {"missing": "no data"}, "ratio": 0.1, "none": None}], "é": []}
    store.writer.append_report(START_S + 60.25, body)
    store.writer.append_report(START_S, {"older": True})
    assert StoredReport(START_S + 60.25, body) == store.reader.latest_report()


def test_a_report_may_be_kept_twice(store: Store) -> None:
    for _ in range(2):
        store.writer.append_report(START_S, {"a": 1})
    assert StoredReport(START_S, {"a": 1}) == store.reader.latest_report()


def test_one_report_a_quarter_of_an_hour_stays_and_the_newest_always(store: Store) -> None:
    """Every minute for 31 minutes: those of minutes 0, 15 and 30 stay, and the newest, of minute 30."""
    for minute in range(31):
        store.writer.append_report(START_S + 60 * minute, {"minute": minute})
    kept = store.reader.report_times()

    assert [round((one - START_S) / 60) for one in kept] == [0, 15, 30]
    assert store.reader.latest_report() == StoredReport(START_S + 1800, {"minute": 30})


def test_a_nearly_full_disk_gets_no_further_report_but_the_newest(store: Store) -> None:
    """Four quarters of an hour: those of 0 and 15 were there, and each later one takes the newest's place."""
    for quarter in range(5):
        at_s = START_S + 900 * quarter
        store.writer.conclude({}, at_s, [f'{{"quarter": {quarter}}}'], lambda _connection: None, sparing=quarter > 1)

    assert store.reader.report_times() == [START_S, START_S + 3600]
    assert store.reader.latest_report() == StoredReport(START_S + 3600, {"quarter": 4})


def test_the_reports_of_a_span_come_one_by_one_with_its_start_and_without_its_end(store: Store) -> None:
    for quarter in range(4):
        store.writer.append_report(START_S + 900 * quarter, {"quarter": quarter})

    found = list(store.reader.reports(START_S + 900, START_S + 2700))
    assert found == [StoredReport(START_S + 900, {"quarter": 1}), StoredReport(START_S + 1800, {"quarter": 2})]


def test_a_report_that_json_has_no_word_for_is_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        store.writer.append_report(START_S, {"payback_months": float("inf")})
    assert store.reader.latest_report() is None


def test_verdict_states_are_replaced_by_deployment_and_scheme(store: Store) -> None:
    settled = VerdictState(Verdict.NO, START_S, START_S + 0.5)
    wavering = VerdictState(Verdict.NO, START_S, None, Verdict.WORTH_IT, START_S + 900)
    store.writer.save_verdicts({("chat", "fp8-w8a8"): settled, ("chat", "w4a16"): settled}, START_S)
    store.writer.save_verdicts({("chat", "fp8-w8a8"): wavering, ("code", "w4a16"): settled}, START_S)
    store.writer.save_verdicts({}, START_S)
    assert {
        ("chat", "fp8-w8a8"): wavering,
        ("chat", "w4a16"): settled,
        ("code", "w4a16"): settled,
    } == store.reader.verdicts()
    store.writer.save_verdicts({("chat", "fp8-w8a8"): settled}, START_S)
    assert settled == store.reader.verdicts()["chat", "fp8-w8a8"]


@pytest.mark.fault(
    "3", "the wall clock steps far forward", promise="a report that it made then is in no later one's way"
)
def test_a_report_of_the_future_is_not_the_newest_and_keeps_none(store: Store) -> None:
    """One a day ahead, then one a minute for 31 minutes: those of minutes 0, 15 and 30 stay, as without it."""
    ahead_s = START_S + 86_400
    store.writer.append_report(ahead_s, {"ahead": True})
    for minute in range(31):
        store.writer.append_report(START_S + 60 * minute, {"minute": minute})
    now_s = START_S + 1800

    assert store.reader.report_times() == [START_S, START_S + 900, now_s, ahead_s]
    assert store.reader.latest_report(now_s) == StoredReport(now_s, {"minute": 30})
    assert store.reader.latest_report_s(now_s) == now_s
    assert store.reader.latest_report_s() == ahead_s
