"""Capacity as it is shown: the series, and the lines of the printed report."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analyzer.assumptions import Policy
from analyzer.evidence import Estimate
from analyzer.objectives import Objective, Objectives
from analyzer.replicas import ReplicaHistory
from analyzer.report import Report, analyse, as_plain
from analyzer.steptime.parts import Part
from collector.export.capacity_lines import fleet_lines, scheme_line
from tests.collector.test_export_steps import printed, shown
from tests.fakes.histories import CHAT, DAY_S, decode_heavy, replica
from tests.fakes.modelled import modelled

PART_S = 300.0
GOALS = Objectives(Objective(0.2), Objective(0.02, 0.95))


def a_day(number: int) -> ReplicaHistory:
    """A day at two requests a second, told in parts of five minutes."""
    whole = decode_heavy(PART_S)
    parts = [Part(replace(whole, start_s=k * PART_S, end_s=(k + 1) * PART_S), 0.9) for k in range(int(DAY_S / PART_S))]
    return replace(modelled(number), parts=tuple(parts))


def report(objectives: Objectives | None = GOALS, count: int = 3) -> Report:
    chat = replace(CHAT, objectives=objectives)
    fleet = [a_day(number) for number in range(count)]
    return analyse(fleet, [chat], {}, Policy(), now_s=DAY_S + 1, recent_s=300, history_s=7 * DAY_S)


def test_what_is_known_of_capacity_is_on_the_page_with_its_bounds() -> None:
    made = report()
    found, fleet = shown(made), made.deployments[0].capacity
    assert isinstance(fleet.capacity_per_s, Estimate)
    assert isinstance(fleet.load, Estimate)

    bounds = {labels["bound"]: value for labels, value in found["breakeven_deployment_capacity_requests_per_second"]}
    assert bounds == {
        "p10": fleet.capacity_per_s.low,
        "p50": fleet.capacity_per_s.value,
        "p90": fleet.capacity_per_s.high,
    }
    assert found["breakeven_deployment_load_requests_per_second"][0][1] == pytest.approx(6.0)
    assert found["breakeven_deployment_peak_requests_per_second"][0][1] == pytest.approx(6.0)
    assert fleet.load.value == pytest.approx(6.0 / (3 * fleet.capacity_per_s.value))
    assert [value for _, value in found["breakeven_load_requests_per_second"]] == pytest.approx([2.0] * 3)
    assert len(found["breakeven_scheme_capacity_ratio"]) == 3 * len(CHAT.schemes)
    # Nothing on these pages tells of queues or preemption: whether KV memory limits is not known, and not exported.
    assert "breakeven_kv_limited" not in found


def test_latency_is_told_as_a_mean_and_at_the_percentiles_of_the_objectives() -> None:
    found = shown(report(Objectives(Objective(0.2, 0.9), None)))
    for name in ("breakeven_deployment_latency_seconds", "breakeven_scheme_latency_seconds"):
        told = {(labels["latency"], labels["statistic"]) for labels, _ in found[name]}

        assert told == {("first_token", "mean"), ("first_token", "p90"), ("token_gap", "mean"), ("token_gap", "p95")}


def test_the_limit_is_that_of_the_objectives() -> None:
    """100 ms to the first token bind before any gap does; without objectives the stated share of all binds."""
    first = shown(report(Objectives(Objective(0.05))))["breakeven_deployment_capacity_bound_info"]
    none = shown(report(None))["breakeven_deployment_capacity_bound_info"]
    gap = shown(report(Objectives(None, Objective(1e-4))))["breakeven_deployment_capacity_bound_info"]

    assert [labels["limit"] for labels, _ in (*first, *none, *gap)] == ["first_token", "utilisation", "unreachable"]


def test_a_fleet_at_a_fraction_of_its_load_reads_that_fewer_replicas_are_enough_without_any_scheme() -> None:
    text = printed(report())

    assert "peak 6 requests/s over 24 h: 1 of 3 replicas are enough as they are" in text
    assert "within TTFT P95 200 ms, ITL P95 20.0 ms" in text
    assert "limit: " in text
    assert "replica(s) at the peak" in text


def test_without_objectives_the_report_says_what_to_state() -> None:
    assert "no latency is bounded: state deployments[].objectives" in printed(report(None))


def test_what_is_not_known_is_said_with_its_reason() -> None:
    """A history without a step model has no capacity; one of a single span has no peak."""
    bare = analyse([replica(decode_heavy())], [CHAT], {}, Policy(), now_s=DAY_S + 1, recent_s=300, history_s=7 * DAY_S)
    single = analyse([modelled()], [CHAT], {}, Policy(), now_s=DAY_S + 1, recent_s=300, history_s=7 * DAY_S)

    assert "capacity not known: " in printed(bare)
    assert "breakeven_deployment_capacity_requests_per_second" not in shown(bare)
    assert "peak load not known: a peak needs 12 spans" in printed(single)


def test_uneven_replicas_are_named() -> None:
    fleet = as_plain(report())["deployments"][0]["capacity"]
    uneven = {**fleet, "imbalance": {**fleet["imbalance"], "value": 1.5}}

    assert any("1.50 times the mean" in line for line in fleet_lines(uneven))


def test_what_kv_memory_holds_is_said_before_and_after_and_whether_it_counts() -> None:
    """100,000 tokens of 16-bit KV; FP8 weights of Llama 3.1 8B free some 7 GB, at 131,072 bytes a token 53,000 more."""
    known = a_day(0)
    told = replace(known, identity=replace(known.identity, kv_capacity_tokens=100_000))
    made = analyse([told], [CHAT], {}, Policy(), now_s=DAY_S + 1, recent_s=300, history_s=7 * DAY_S)
    found, scheme = shown(made), as_plain(made)["deployments"][0]["schemes"][0]["capacity"]
    (before,) = [value for _, value in found["breakeven_deployment_kv_tokens"]]
    after = {labels["scheme"]: value for labels, value in found["breakeven_scheme_kv_tokens"]}
    sequences = {labels["scheme"]: value for labels, value in found["breakeven_scheme_concurrent_sequences"]}
    (now,) = [value for _, value in found["breakeven_deployment_concurrent_sequences"]]
    credited = {**scheme, "replica": {**scheme["replica"], "kv_credited": True}}

    assert before == 100_000
    assert after["fp8-w8a8"] == pytest.approx(153_000, rel=0.02)
    assert after["w4a16"] > after["fp8-w8a8"]
    assert sequences["fp8-w8a8"] / now == pytest.approx(after["fp8-w8a8"] / before)
    assert "KV memory holds 100,000 tokens" in printed(made)
    assert "sequences (not counted: it does not limit today)" in scheme_line(scheme)
    assert "sequences (counted)" in scheme_line(credited)
    assert "breakeven_scheme_kv_tokens" not in shown(report(count=1))


def test_a_fleet_that_is_too_small_is_told_so_and_what_cannot_be_waited_for_has_no_latency() -> None:
    """Three replicas at six requests a second; the peak is made to need five of them, and the queue to grow."""
    plain = as_plain(report())["deployments"][0]["capacity"]
    today = {**plain["replica"]["today"], "first_token_s": {"missing": "the queue grows"}}
    needed = {**plain["needed"], "low": 5.0, "value": 5.0, "high": 5.0}
    lines = list(fleet_lines({**plain, "needed": needed, "replica": {**plain["replica"], "today": today}}))

    assert any("5 replicas are needed as they are, 3 run" in line for line in lines)
    assert any("time to first token not known: the queue grows" in line for line in lines)
