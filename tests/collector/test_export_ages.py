"""What ages is exported with its date, and what never was has none: epochs, models, prices, evaluations, facts."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from analyzer.assumptions import Policy, Quality, QualityResult
from analyzer.canary import Canary
from analyzer.evidence import Estimate, Evidence
from analyzer.report import analyse
from analyzer.samples import Identity, ReplicaKey
from collector.export.snapshot import State
from collector.health import DaemonHealth
from tests.fakes.hand_clock import HandClock
from tests.fakes.histories import CHAT, DAY_S, KEY, VLLM, decode_heavy, replica, totals
from tests.fakes.metrics_text import served_text

EVALUATED = replace(CHAT, quality={"w4a16": Quality(QualityResult.PASS, "exam", "maria", as_of_s=1_700_000_000)})
SERVED = Identity("vllm", model_path=VLLM.model_path, quantization="fp8", mixed_steps=True)


def _page(clock: HandClock, state: State) -> str:
    return served_text(state, clock)


def _state(clock: HandClock, identity: Identity = VLLM) -> State:
    known = replica(decode_heavy(), identity=identity)
    fleet = [replace(known, epoch_started_s=1000.0, calibrated_to_s=86_000.0), replica(decode_heavy(), number=1)]
    fleet[1] = replace(fleet[1], identity=identity)
    made = analyse(fleet, [EVALUATED], {}, Policy(), now_s=DAY_S + 1, recent_s=300, history_s=7 * DAY_S)
    return State("1", DaemonHealth(started_s=clock.wall_s()), report=replace(made, made_at_s=clock.wall_s()))


def _values(page: str, name: str) -> list[tuple[str, float]]:
    found = re.findall(rf"^{name}(?:\{{(.*)\}})? (\S+)$", page, re.MULTILINE)
    return [(labels, float(value)) for labels, value in found]


def test_each_date_is_that_of_its_source_and_absent_where_there_is_none() -> None:
    """The second replica tells no epoch and has no model; only w4a16 was evaluated. Nothing shows 0 instead."""
    clock = HandClock()
    page = _page(clock, _state(clock))

    for name, value in (("epoch_start", 1000.0), ("calibration", 86_000.0)):
        ((labels, found),) = _values(page, f"breakeven_{name}_timestamp_seconds")
        assert (":8000/" in labels, found) == (True, value)
    assert [value for _, value in _values(page, "breakeven_deployment_price_timestamp_seconds")] == [1e9]
    ((labels, evaluated),) = _values(page, "breakeven_scheme_quality_timestamp_seconds")
    assert ('scheme="w4a16"' in labels, evaluated) == (True, 1.7e9)
    assert len(_values(page, "breakeven_facts_timestamp_seconds")) >= 3


def test_a_deployment_without_a_price_has_no_date_of_one() -> None:
    clock = HandClock()
    state = _state(clock)
    assert state.report is not None
    bare = replace(state.report.deployments[0], price_as_of_s=None)
    state.report = replace(state.report, deployments=(bare,))

    assert _values(_page(clock, state), "breakeven_deployment_price_timestamp_seconds") == []


def test_a_scheme_that_every_replica_serves_is_said_to_be_served() -> None:
    clock = HandClock()
    served = dict(_values(_page(clock, _state(clock, SERVED)), "breakeven_scheme_already_served"))
    not_yet = dict(_values(_page(clock, _state(clock)), "breakeven_scheme_already_served"))

    assert served == {'deployment="chat",scheme="fp8-w8a8"': 1.0, 'deployment="chat",scheme="w4a16"': 0.0}
    assert set(not_yet.values()) == {0.0}


def test_a_realised_ratio_is_shown_with_its_interval_once_a_prediction_was_checked() -> None:
    clock = HandClock()
    state = _state(clock)
    assert _values(_page(clock, state), "breakeven_prediction_realised_ratio") == []

    assert state.report is not None
    deployment = state.report.deployments[0]
    realised, predicted, ratio = (
        Estimate(one, one - 0.1, one + 0.1, Evidence.FITTED, "canary") for one in (1.35, 1.5, 0.9)
    )
    canary = Canary(ReplicaKey("http://b:8000/metrics", "m"), KEY, realised, predicted, ratio)
    schemes = [replace(one, canary=canary) if one.scheme == "w4a16" else one for one in deployment.schemes]
    state.report = replace(state.report, deployments=(replace(deployment, schemes=tuple(schemes)),))
    found = _values(_page(clock, state), "breakeven_prediction_realised_ratio")

    assert all('scheme="w4a16"' in labels for labels, _ in found)
    assert sorted(value for _, value in found) == pytest.approx([0.8, 0.9, 1.0])


def test_preemptions_are_counted_per_request_and_absent_where_the_engine_counts_none() -> None:
    """3 preemptions over 60 requests are 0.05 a request."""
    clock = HandClock()
    counted = replica(totals(prefills_total=60, preemptions_total=3))
    untold = replica(totals(prefills_total=60), number=1)
    report = analyse([counted, untold], [CHAT], {}, Policy(), now_s=DAY_S + 1, recent_s=300, history_s=7 * DAY_S)
    state = State("1", DaemonHealth(started_s=0.0), report=replace(report, made_at_s=clock.wall_s()))

    ((labels, value),) = _values(_page(clock, state), "breakeven_preemptions_per_request")
    assert (":8000/" in labels, value) == (True, 0.05)
