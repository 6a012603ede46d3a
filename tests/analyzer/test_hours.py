"""A week hour by hour: seconds of a known server, sums over replicas, and what cannot be told."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.evidence import Evidence, Missing
from analyzer.hours import PLAIN, SPLIT, MixHours, ReplicaHours, deployment_hours, replica_hours
from analyzer.steptime.fit import StepModel, fit
from analyzer.steptime.parts import Part
from tests.fakes.histories import totals
from tests.fakes.modelled import SWING
from tests.fakes.modelled import step_model as fitted
from tests.fakes.step_blocks import Linear

step_model = cache(fitted)
"""One fit for all tests of this file."""


def parts(batches: tuple[float, ...] = SWING, **how: float) -> list[Part]:
    """Five minutes at each batch, from unix time 0 on."""
    return [Linear().part(batch, number=number, **how) for number, batch in enumerate(batches)]  # type: ignore[arg-type]


def known(hours: ReplicaHours | Missing) -> ReplicaHours:
    assert isinstance(hours, ReplicaHours), hours
    return hours


def test_two_hours_of_a_known_server() -> None:
    """24 parts of 5 minutes are 2 hours. Prompt tokens cost 30 us each: their seconds follow from the counter."""
    mine = parts()
    hours = known(replica_hours(step_model(), mine))
    prompts = [part.totals.deltas["prefill_tokens_total"] or 0.0 for part in mine]

    assert hours.start_s.tolist() == [0.0, 3600.0]
    assert hours.covered_s.tolist() == [3600.0, 3600.0]
    truth = [3e-5 * sum(prompts[:12]), 3e-5 * sum(prompts[12:])]
    assert hours.seconds["prefill"] == pytest.approx(truth, rel=0.1)


def test_the_seconds_of_each_hour_are_its_covered_time() -> None:
    hours = known(replica_hours(step_model(), parts(busy_factor=0.6)))

    assert set(hours.seconds) == set(SPLIT)
    assert sum(hours.seconds.values()) == pytest.approx(hours.covered_s)
    assert hours.seconds["idle"] == pytest.approx(0.4 * hours.covered_s)
    assert hours.evidence is Evidence.MODELLED


def test_an_idle_hour_is_idle_and_an_untold_one_is_not_there() -> None:
    busy = parts()[:12]
    idle = replace(busy[0], totals=replace(busy[0].totals, start_s=7200.0, end_s=7500.0))
    deltas = {**idle.totals.deltas, "steps_total": 0.0, "decode_sequence_steps_total": 0.0}
    idle = replace(idle, totals=replace(idle.totals, deltas=deltas))
    untold = replace(idle, totals=replace(idle.totals, start_s=3600.0, end_s=3900.0, deltas=dict.fromkeys(deltas)))
    hours = known(replica_hours(step_model(), [*busy, untold, idle]))

    assert hours.start_s.tolist() == [0.0, 7200.0]
    assert hours.seconds["idle"][1] == 300.0


def test_without_facts_of_the_hardware_decode_is_one() -> None:
    """Nothing tells reads of weights from the rest then; prefill is the marginal one."""
    mine = parts()
    model = fit(mine, Missing("no GPU is named"))
    assert isinstance(model, StepModel)
    hours = known(replica_hours(model, mine))

    assert set(hours.seconds) == set(PLAIN)
    assert sum(hours.seconds.values()) == pytest.approx(hours.covered_s)


def test_without_a_model_the_engines_timers_tell_and_else_the_reason_stands() -> None:
    """36 s of prefill and 54 s of decode in 180 s leave half of it idle."""
    timed = Part(totals(180.0, prefill_s_total=36.0, decode_s_total=54.0))
    hours = known(replica_hours(Missing("too little data"), [timed]))

    assert {name: column.tolist() for name, column in hours.seconds.items()} == {
        "prefill": [36.0],
        "decode": [54.0],
        "idle": [90.0],
    }
    assert hours.evidence is Evidence.MEASURED
    assert replica_hours(Missing("too little data"), [Part(totals(180.0))]) == Missing("too little data")


def test_replicas_add_up_by_covered_time() -> None:
    """One hour of 3,600 s wholly idle and one of 1,200 s wholly prefill: a quarter of 4,800 s is prefill."""
    idle = known(replica_hours(Missing("no"), [Part(totals(3600.0, prefill_s_total=0.0, decode_s_total=0.0))]))
    full = known(replica_hours(Missing("no"), [Part(totals(1200.0, prefill_s_total=1200.0, decode_s_total=0.0))]))
    both = deployment_hours([idle, full, Missing("a third says nothing")])
    assert isinstance(both, MixHours)

    assert both.shares["prefill"] == (0.25,)
    assert both.replicas == 2
    assert deployment_hours([Missing("a third says nothing")]) == Missing("a third says nothing")


def test_where_one_replica_tells_less_all_are_told_so() -> None:
    split = known(replica_hours(step_model(), parts()))
    plain = known(replica_hours(Missing("no"), [Part(totals(3600.0, prefill_s_total=0.0, decode_s_total=0.0))]))
    both = deployment_hours([split, plain])
    assert isinstance(both, MixHours)

    assert set(both.shares) == set(PLAIN)
    assert np.sum([both.shares[name] for name in PLAIN], axis=0) == pytest.approx(1)


@given(st.lists(st.floats(1, 200), min_size=1, max_size=40), st.floats(0.05, 1))
def test_shares_are_shares_whatever_the_load(batches: list[float], busy: float) -> None:
    hours = deployment_hours([replica_hours(step_model(), parts(tuple(batches), busy_factor=busy))])
    assert isinstance(hours, MixHours)

    whole = np.array(list(hours.shares.values()))
    assert (whole >= -1e-9).all()
    assert whole.sum(axis=0) == pytest.approx(1)
