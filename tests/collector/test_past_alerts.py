"""`alerts replay`: stored reports through the shipped rules, evaluated by a real promtool."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from copy import deepcopy
from dataclasses import asdict, replace
from pathlib import Path
from time import time
from typing import Any

import pytest
from rich.console import Console

from analyzer.report import as_plain
from collector.errors import BreakevenError, StoreError
from collector.export.alert_rules import metrics_named, read_rules, shipped_rules
from collector.export.kept_series import KEPT, kept_series
from collector.export.past_alerts_text import print_replay
from collector.export.render import report_series
from collector.jobs.past_alerts import PastAlert, Replay, replay
from collector.jobs.promtool import Promtool
from collector.store import Store
from tests.fakes.daemon_process import cli
from tests.fakes.hand_clock import HandClock
from tests.fakes.histories import replica
from tests.fakes.modelled import modelled, modelled_report
from tests.fakes.promql import selectors
from tests.fakes.tools import require

BEGIN_S = 1_795_651_200.0
"""2026-11-26 00:00 UTC, a Thursday, on which Prometheus' weeks begin as unix time does."""
MINUTE_S, HOUR_S, DAY_S = 60.0, 3600.0, 86_400.0
WORTH_IT, EVALUATE, NO = "worth_it", "evaluate", "no"
Plain = dict[str, Any]


@pytest.fixture(scope="module")
def body() -> Plain:
    """A report of two replicas as it is stored: deployment `chat`, two schemes, both to be evaluated."""
    plain: Plain = json.loads(json.dumps(as_plain(modelled_report(modelled(), modelled(1)))))
    return plain


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store.open(str(tmp_path / "breakeven.db"), HandClock(BEGIN_S))) as opened:
        yield opened


@pytest.fixture(scope="module")
def promtool() -> Promtool:
    return Promtool(require("promtool", "prometheus"))


def changed(body: Plain, *, verdict: str | None = None, kv: float | None = None, name: str | None = None) -> Plain:
    """Another such report: w4a16's verdict, every replica's KV usage and preemptions, the deployment's name."""
    one = deepcopy(body)
    for scheme in one["deployments"][0]["schemes"]:
        if verdict is not None and scheme["scheme"] == "w4a16":
            scheme["state"]["verdict"] = verdict
    for replica_ in one["replicas"]:
        if kv is not None:
            replica_["kv_usage"] = {"value": kv, "low": kv, "high": kv, "evidence": "measured", "method": "counted"}
            replica_["waiting_requests"] = {**replica_["kv_usage"], "value": 3.0 if kv > 0.9 else 0.0}
        replica_["deployment"] = name or replica_["deployment"]
    one["deployments"][0]["name"] = name or one["deployments"][0]["name"]
    return one


def kept(store: Store, body: Plain, from_h: float, to_h: float) -> None:
    """The report, made every quarter of an hour from one hour until before another."""
    for quarter in range(round(from_h * 4), round(to_h * 4)):
        at_s = BEGIN_S + quarter * 15 * MINUTE_S
        store.writer.append_report(at_s, {**body, "made_at_s": at_s})


def replayed(store: Store, promtool: Promtool, to_h: float, rules: Path | None = None) -> Replay:
    return replay(store.reader, read_rules(rules or shipped_rules()), promtool, BEGIN_S, BEGIN_S + to_h * HOUR_S, 60.0)


def of(found: Replay, title: str) -> PastAlert:
    (one,) = [one for one in found.alerts if one.title == title]
    return one


def hours(alert: PastAlert) -> list[tuple[float, float | None]]:
    """When it fired, in hours from the begin."""
    return [
        ((one.since_s - BEGIN_S) / HOUR_S, None if one.until_s is None else (one.until_s - BEGIN_S) / HOUR_S)
        for one in alert.firings
    ]


def series(body: Mapping[str, Any]) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {(name, frozenset(labels.items())): value for name, labels, value in kept_series(body)}


def test_a_stored_report_has_the_series_that_metrics_showed(body: Plain) -> None:
    """Every series of the metrics that are kept, with the same labels and values, and no other."""
    silent = replace(replica(None, number=2, last_s=0.0), epoch_started_s=1.0)
    report = modelled_report(modelled(), modelled(1), silent)
    shown = {(name, frozenset(labels.items())): value for name, labels, value in report_series(report) if name in KEPT}
    told = {key: value for key, value in series(as_plain(report)).items() if not key[0].startswith("breakeven_facts")}

    assert told == pytest.approx(shown)
    assert len(told) > 100
    assert {name for name, _ in series(body)} <= KEPT


def test_a_verdict_fires_a_quarter_of_an_hour_late_and_clears_so(store: Store, promtool: Promtool, body: Plain) -> None:
    """Worth it from 2:00 to 8:00: `for` 15 min gives 2:15; at 8:00 it is false and held for 15 min, until 8:15.

    From 8:00 on it is no, after worth_it within the week: the other alert fires at 8:15 and still does.
    """
    kept(store, changed(body, verdict=EVALUATE), 0, 2)
    kept(store, changed(body, verdict=WORTH_IT), 2, 8)
    kept(store, changed(body, verdict=NO), 8, 12)
    found = replayed(store, promtool, 12)

    worth, no_longer = of(found, "QuantizationWorthIt"), of(found, "QuantizationNoLongerWorthIt")
    assert hours(worth) == [(2.25, 8.25)]
    assert worth.firings[0].labels == {"deployment": "chat", "scheme": "w4a16"}
    assert worth.fired_s == 6 * HOUR_S
    assert hours(no_longer) == [(8.25, None)]
    assert (found.reports, found.unread, found.gaps) == (48, 0, ())
    assert found.evaluated_by.startswith("promtool, version ")


def test_a_gap_neither_clears_nor_raises_a_verdict_and_is_named(store: Store, promtool: Promtool, body: Plain) -> None:
    """The last report before the gap is of 3:45; /metrics showed it for 15 min and five intervals: until 4:05."""
    kept(store, changed(body, verdict=WORTH_IT), 0, 4)
    kept(store, changed(body, verdict=WORTH_IT), 7, 9)
    found = replayed(store, promtool, 9)

    assert hours(of(found, "QuantizationWorthIt")) == [(0.25, None)]
    assert found.gaps == ((BEGIN_S + 4 * HOUR_S + 5 * MINUTE_S, BEGIN_S + 7 * HOUR_S),)


def test_each_deployment_fires_for_itself_and_as_often_as_it_happened(
    store: Store, promtool: Promtool, body: Plain
) -> None:
    """KV memory is full from 1:00 to 3:00 and from 6:00 to 7:00: means over 15 min, `for` and hold of 30 min each."""
    for from_h, to_h, kv in ((0, 1, 0.5), (1, 3, 0.99), (3, 6, 0.5), (6, 7, 0.99), (7, 12, 0.5)):
        one = changed(body, kv=kv)
        other = changed(body, kv=0.5, name="other")
        whole = {**one, "replicas": one["replicas"] + other["replicas"],
                 "deployments": one["deployments"] + other["deployments"]}  # fmt: skip
        kept(store, whole, from_h, to_h)
    bound = of(replayed(store, promtool, 12), "KvCacheBound")

    assert [one.labels for one in bound.firings] == [{"deployment": "chat"}] * 2
    (first_from, first_to), (second_from, second_to) = hours(bound)
    assert 1.5 <= first_from <= 1.75
    assert first_to is not None
    assert 3.5 <= first_to <= 3.75
    assert 6.5 <= second_from <= 6.75
    assert second_to is not None
    assert 7.5 <= second_to <= 7.75


def test_an_age_is_counted_by_the_time_of_then(store: Store, promtool: Promtool, body: Plain) -> None:
    """A price that becomes 90 days old at 3:00 and stands for an hour: 4:00. The day then is told as Thursday, 4 h."""
    old = changed(body)
    old["deployments"][0]["price_as_of_s"] = BEGIN_S + 3 * HOUR_S - 90 * DAY_S
    kept(store, old, 0, 6)
    found = of(replayed(store, promtool, 6), "PriceOrPriorStale (price)")

    assert [(round(since, 1), until) for since, until in hours(found)] == [(4.1, None)]


def test_the_hour_and_the_day_are_those_of_then(store: Store, promtool: Promtool, body: Plain, tmp_path: Path) -> None:
    rules = tmp_path / "mine.yml"
    expr = "breakeven_deployment_replicas > 1 and on () (hour() == 3) and on () (day_of_week() == 4)"
    rules.write_text(json.dumps({"groups": [{"name": "g", "rules": [{"alert": "Mine", "expr": expr}]}]}))
    kept(store, body, 0, 6)

    assert hours(of(replayed(store, promtool, 6, rules), "Mine")) == [(3.0, 4.0)]


def test_simulated_deployments_fire_nothing_and_are_told(store: Store, promtool: Promtool, body: Plain) -> None:
    made_up = changed(body, verdict=WORTH_IT, kv=0.99)
    made_up["simulated"] = made_up["deployments"][0]["simulated"] = True
    kept(store, made_up, 0, 3)
    found = replayed(store, promtool, 3)

    assert found.simulated
    assert not of(found, "QuantizationWorthIt").firings
    assert not of(found, "KvCacheBound").firings


@pytest.mark.parametrize("name", ['a "b" \\ {c}, d="e"', "zeile\neins\tä\u2028🙂", "{}} 1E+00"])
def test_a_hostile_name_comes_back_as_it_was(store: Store, promtool: Promtool, body: Plain, name: str) -> None:
    kept(store, changed(body, verdict=WORTH_IT, name=name), 0, 1)
    found = of(replayed(store, promtool, 1), "QuantizationWorthIt")

    assert [one.labels["deployment"] for one in found.firings] == [name]


def test_what_a_newer_or_broken_release_wrote_is_counted_and_stops_nothing(
    store: Store, promtool: Promtool, body: Plain
) -> None:
    kept(store, changed(body, verdict=WORTH_IT), 0, 2)
    kept(store, {"deployments": "none"}, 2, 2.25)
    kept(store, changed(body, verdict=WORTH_IT), 2.25, 3)
    found = replayed(store, promtool, 3)

    assert (found.reports, found.unread) == (12, 1)
    assert hours(of(found, "QuantizationWorthIt")) == [(0.25, None)]


def test_every_alert_is_replayed_or_said_not_to_be(store: Store, promtool: Promtool, body: Plain) -> None:
    """And those that can be are as many as the reports can answer for."""
    kept(store, body, 0, 1)
    found = replayed(store, promtool, 1)
    rules = read_rules(shipped_rules())

    assert sorted([one.title for one in found.alerts] + [one.title for one in found.not_replayed]) == sorted(
        one.title for one in rules.alerts
    )
    assert {one.alert for one in found.alerts} >= {
        "QuantizationWorthIt", "QuantizationNoLongerWorthIt", "WorkloadRegimeShift", "KvCacheBound",
        "CalibrationStale", "PriceOrPriorStale",
    }  # fmt: skip
    blind = {one.title: one.metrics for one in found.not_replayed}["BreakevenBlind (daemon_down)"]
    assert blind == ("up",)


def test_an_empty_history_is_one_clear_line(store: Store, promtool: Promtool) -> None:
    with pytest.raises(StoreError, match="is the daemon running"):
        replayed(store, promtool, 1)


def test_the_metrics_of_a_rule_are_those_that_a_parser_of_promql_finds() -> None:
    groups = read_rules(shipped_rules()).groups
    expressions = [str(rule["expr"]) for group in groups for rule in group["rules"]]
    expressions += ["sum by (job) (rate(a_total[5m] offset 1d)) / on (b) group_left (c) d{e='f{g}'} > bool inf"]

    for expression in expressions:
        found = {one.metric for one in selectors(expression)} - {"ALERTS"}
        assert metrics_named(expression) == found, expression


def test_the_text_gives_times_to_the_minute(store: Store, promtool: Promtool, body: Plain) -> None:
    """From 0:00 on with `for` 15 min; false at 2:30 and held for 15 min: 0:15 to 2:45, two hours and a half."""
    kept(store, changed(body, verdict=WORTH_IT), 0, 2.5)
    kept(store, changed(body, verdict=NO), 2.5, 72)
    console = Console(width=200, record=True, file=io.StringIO())
    print_replay(asdict(replayed(store, promtool, 72)), console)
    text = console.export_text()

    assert "QuantizationWorthIt: fired once, 2 h 30 min in all\n" in text
    assert "  deployment chat, scheme w4a16: 2026-11-26 00:15 to 2026-11-26 02:45, 2 h 30 min\n" in text
    assert "2026-11-26 02:45 to now, still firing, 2 d 21 h\n" in text


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, body: Plain) -> Path:
    """A folder with a history up to now, a configuration and rules that are none."""
    made: Path = tmp_path_factory.mktemp("replay")
    now_s = time()
    with closing(Store.open(str(made / "mine.db"), HandClock(now_s))) as store:
        for quarter in range(8, 0, -1):
            store.writer.append_report(now_s - quarter * 900, changed(body, verdict=WORTH_IT))
    (made / "config.yaml").write_text('storage: {url: "sqlite:///mine.db"}\n')
    (made / "broken.yml").write_text("groups: 3\n")
    (made / "wrong.yml").write_text("groups: [{name: a, rules: [{alert: A, expr: 'breakeven_verdict ==='}]}]\n")
    return made


def test_the_command_prints_what_fired_what_did_not_and_what_it_cannot_tell(folder: Path) -> None:
    require("promtool", "prometheus")
    told = cli(folder, "alerts", "replay", "--config.file", "config.yaml")

    assert (told.returncode, told.stderr) == (0, "")
    assert "QuantizationWorthIt: fired once, " in told.stdout
    assert "  deployment chat, scheme w4a16: 20" in told.stdout
    assert " to now, still firing" in told.stdout
    assert "KvCacheBound: did not fire" in told.stdout
    assert "  BreakevenBlind (daemon_down): up" in told.stdout


def test_the_command_gives_json(folder: Path) -> None:
    require("promtool", "prometheus")
    told = json.loads(cli(folder, "alerts", "replay", "--config.file", "config.yaml", "--json", "--days", "1").stdout)

    (worth,) = [one for one in told["alerts"] if one["alert"] == "QuantizationWorthIt"]
    assert worth["firings"][0]["labels"] == {"deployment": "chat", "scheme": "w4a16"}
    assert worth["firings"][0]["until_s"] is None
    assert told["reports"] == 8


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--promtool", "no-such-promtool"), "no-such-promtool is not there: the rules are evaluated by Prometheus'"),
        (("--rules", "wrong.yml"), "promtool cannot evaluate the rules"),
    ],
)
def test_a_mistake_is_one_clear_line(folder: Path, arguments: tuple[str, str], said: str) -> None:
    require("promtool", "prometheus")
    told = cli(folder, "alerts", "replay", "--config.file", "config.yaml", *arguments)

    assert told.returncode == 1
    assert told.stdout == ""
    assert said in told.stderr
    assert len(told.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("absent.yml", "absent.yml cannot be read: No such file or directory"),
        ("broken.yml", "broken.yml is no file of Prometheus rules"),
    ],
)
def test_a_file_that_holds_no_rules_is_refused(folder: Path, name: str, said: str) -> None:
    with pytest.raises(BreakevenError, match=said):
        read_rules(folder / name)
