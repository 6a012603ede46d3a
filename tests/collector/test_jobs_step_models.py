"""When a replica's step-time model is fitted, and to what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from analyzer.assumptions import Deployment
from analyzer.capacity import Side
from analyzer.capacity.live import ReplicaCapacity
from analyzer.columns import Columns
from analyzer.evidence import Missing
from analyzer.replicas import ReplicaHistory, capacity_of_replica
from analyzer.samples import Identity, ReplicaKey
from analyzer.steptime.fit import StepModel
from analyzer.steptime.parts import Part
from collector.jobs.standing import CAPACITY_STANDS, MODEL_STANDS
from collector.jobs.step_models import StepModels
from collector.jobs.ticks import offset_ratio
from tests.fakes.step_blocks import KEY, Linear

CHAT = Deployment("chat")
H100 = Deployment(
    "chat",
    model="meta-llama/Llama-3.1-8B-Instruct",
    gpu="H100 SXM 80GB",
    gpus_per_replica=1,
    weight_bits=16,
    schemes=("fp8-w8a8",),
)
LATER = 1 + offset_ratio(KEY.target) / 4
REFIT_S, CAPACITY_S = MODEL_STANDS.least_s * LATER, CAPACITY_STANDS.least_s * LATER
"""How long they stand for this replica, of the short histories here."""
BATCHES = [6 + 9 * (number % 7) for number in range(24)]


class Stored:
    """A store without raw samples: what is older than their retention. It counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def columns(self, since_s: float, until_s: float, epochs: Mapping[int, ReplicaKey]) -> dict[int, Columns]:
        self.asked += 1
        return {}


def models(stored: Stored) -> StepModels:
    return StepModels(stored)  # type: ignore[arg-type]


def history(parts: tuple[Part, ...]) -> ReplicaHistory:
    return ReplicaHistory(
        replica=KEY,
        job="j",
        deployment="chat",
        identity=Identity("vllm"),
        simulated=False,
        last=None,
        recent=None,
        history=None,
        parts=parts,
    )


def swinging() -> tuple[Part, ...]:
    return tuple(Linear().part(batch, number=number) for number, batch in enumerate(BATCHES))


def test_a_model_stands_until_it_is_old() -> None:
    made = models(stored := Stored())
    first = made.prepared(history(swinging()), CHAT, 1, 0.0)
    again = made.prepared(history(swinging()), CHAT, 1, REFIT_S - 1)
    assert again.figures is not None
    assert again.figures is first.figures
    assert again.figures.model is first.model
    later = made.prepared(history(swinging()), CHAT, 1, REFIT_S)

    assert isinstance(first.model, StepModel)
    assert again.model is first.model
    assert later.model is not first.model
    assert stored.asked == 2


def test_the_model_of_a_long_history_stands_longer() -> None:
    """24 parts of an hour each: a tenth is more than an hour, the most."""
    hours = tuple(Linear().part(batch, span_s=3600.0, number=number) for number, batch in enumerate(BATCHES))
    made = models(Stored())
    first = made.prepared(history(hours), CHAT, 1, 0.0)

    assert made.prepared(history(hours), CHAT, 1, MODEL_STANDS.most_s * LATER - 1).model is first.model
    assert made.prepared(history(hours), CHAT, 1, MODEL_STANDS.most_s * LATER).model is not first.model


def test_a_replica_is_due_when_its_epoch_or_its_age_says_so_and_keeps_all_that_stands_until_then() -> None:
    """A hundredth of two hours is 72 s, a quarter more at most."""
    made = models(Stored())
    first = made.prepared(history(swinging()), H100, 1, 0.0)
    between = made.with_former(history(()))

    assert made.due({KEY: 1}, 70.0) == set()
    assert made.due({KEY: 1}, 91.0) == made.due({KEY: 2}, 70.0) == made.due({KEY: 1}, -1.0) == {KEY}
    assert isinstance(first.model, StepModel)
    stand = ("model", "figures", "predicted", "decision", "capacity", "hours")
    assert all(getattr(between, name) is getattr(first, name) is not None for name in stand)


def test_a_replica_whose_capacity_waits_is_due_when_there_are_turns() -> None:
    made = models(Stored())
    made.keep([KEY], 0)
    made.prepared(history(swinging()), H100, 1, 0.0)
    without = made.due({KEY: 1}, 10.0)
    made.keep([KEY])

    assert (without, made.due({KEY: 1}, 10.0)) == (set(), {KEY})


def test_the_first_model_of_a_replica_brings_a_capacity_or_word_that_its_turn_comes() -> None:
    """Not the reason that it had no model before."""
    made = models(Stored())
    before = made.prepared(history(swinging()[:1]), H100, 1, 0.0)
    made.keep([KEY], 0)
    after = made.prepared(history(swinging()), H100, 1, 76.0)
    assert before.capacity is not None
    assert after.capacity is not None

    assert isinstance(before.model, Missing)
    assert before.capacity.now == before.model
    assert isinstance(after.model, StepModel)
    assert after.capacity.now == Missing(
        "capacities are computed in turns: this one comes with one of the next reports"
    )


def test_figures_of_a_model_that_cannot_be_computed_leave_its_replica_without_one_until_the_next_report(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(_: object) -> None:
        raise ZeroDivisionError("no steps")

    made = models(Stored())
    with monkeypatch.context() as patched:
        patched.setattr("analyzer.replicas.step_time", broken)
        failed = made.prepared(history(swinging()), H100, 1, 0.0)
    assert isinstance(failed.model, Missing)
    assert "no steps" in failed.model.reason

    assert made.due({KEY: 1}, 1.0) == {KEY}
    assert isinstance(made.prepared(history(swinging()), H100, 1, 1.0).model, StepModel)


def test_a_model_says_up_to_when_it_has_seen_traffic() -> None:
    """Idle minutes at the end are no traffic; without a model there is nothing to say."""
    parts = swinging()
    idle = replace(parts[-1], totals=replace(parts[-1].totals, start_s=9e6, end_s=9e6 + 60, deltas=_no_steps(parts)))
    seen = models(Stored()).prepared(history((*parts, idle)), CHAT, 1, 0.0)
    none = models(Stored()).prepared(history(parts[:1]), CHAT, 1, 0.0)

    assert seen.calibrated_to_s == max(part.totals.end_s for part in parts)
    assert isinstance(none.model, Missing)
    assert none.calibrated_to_s is None


def _no_steps(parts: tuple[Part, ...]) -> dict[str, float | None]:
    return {**parts[-1].totals.deltas, "steps_total": 0.0}


def test_another_epoch_or_other_facts_fit_anew() -> None:
    made = models(Stored())
    first = made.prepared(history(swinging()), CHAT, 1, 0.0).model
    next_epoch = made.prepared(history(swinging()), CHAT, 2, 1.0).model
    named = made.prepared(history(swinging()), replace(CHAT, gpu="H100 SXM 80GB"), 2, 2.0).model

    assert len({id(first), id(next_epoch), id(named)}) == 3


def test_a_replica_without_a_model_is_tried_every_time() -> None:
    made = models(Stored())

    assert isinstance(made.prepared(history(()), CHAT, 1, 0.0).model, Missing)
    assert isinstance(made.prepared(history(swinging()), CHAT, 1, 1.0).model, StepModel)


def test_a_replica_that_is_still_warming_up_is_tried_when_a_minute_of_it_has_come() -> None:
    """Two minutes were seen, none of them warm; a quarter longer for some replicas than for others."""
    made = models(Stored())
    young = replace(history(()), history=Linear().part(9, span_s=120.0).totals)
    first = made.prepared(young, CHAT, 1, 0.0)

    assert made.due({KEY: 1}, 59.0) == set()
    assert made.with_former(young).decision is first.decision
    assert made.due({KEY: 1}, 76.0) == {KEY}


def test_a_gone_replica_is_forgotten() -> None:
    made = models(Stored())
    first = made.prepared(history(swinging()), CHAT, 1, 0.0).model
    made.keep([])

    assert made.prepared(history(swinging()), CHAT, 1, 1.0).model is not first


def test_a_model_that_cannot_be_computed_leaves_only_its_replica_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def singular(*_: object) -> None:
        raise ValueError("singular matrix")

    monkeypatch.setattr("collector.jobs.step_models.fit_replica", singular)
    prepared = models(Stored()).prepared(history(swinging()), CHAT, 1, 0.0)

    assert isinstance(prepared.model, Missing)
    assert "singular matrix" in prepared.model.reason


def test_a_capacity_stands_longer_than_a_model_but_not_its_demand_and_not_beyond_other_facts() -> None:
    made = models(Stored())
    first = made.prepared(history(swinging()), H100, 1, 0.0)
    refit = made.prepared(history(swinging()[1:]), H100, 1, REFIT_S)
    later = made.prepared(history(swinging()), H100, 1, CAPACITY_S)
    other = made.prepared(history(swinging()), replace(H100, seats=8), 1, CAPACITY_S + 1)
    assert first.capacity is not None
    assert other.capacity is not None

    assert isinstance(first.capacity.now, Side)
    assert refit.model is not first.model
    assert refit.capacity is not None
    assert refit.capacity.now is first.capacity.now
    assert len(refit.capacity.demand.spans) == len(first.capacity.demand.spans) - 1
    assert later.capacity is not None
    assert later.capacity.now is not first.capacity.now
    assert isinstance(other.capacity.now, Side)
    assert other.capacity.now != first.capacity.now


def test_capacities_of_a_large_fleet_are_computed_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """One at a time: the second replica's comes with the second report, and the first one's stands."""
    monkeypatch.setattr("collector.jobs.step_models.CAPACITIES_AT_ONCE", 1)
    made = models(Stored())
    fleet = [replace(history(swinging()), replica=replace(KEY, rank=str(number))) for number in range(2)]
    found = []
    for run in range(2):
        made.keep([one.replica for one in fleet])
        found.append([made.prepared(one, H100, 1, 60.0 * run).capacity for one in fleet])
    (first, waiting), (same, second) = found
    assert waiting is not None
    assert first is not None
    assert second is not None

    assert isinstance(first.now, Side)
    assert waiting.now == Missing("capacities are computed in turns: this one comes with one of the next reports")
    assert set(waiting.schemes.values()) == {waiting.now}
    assert same is first
    assert isinstance(second.now, Side)


def test_turns_go_to_those_without_a_capacity_and_then_to_those_that_wait_longest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One at a time, of three that are due at every report: the first one cannot have all the turns."""
    monkeypatch.setattr("collector.jobs.step_models.CAPACITIES_AT_ONCE", 1)
    made = models(Stored())
    fleet = [replace(history(swinging()), replica=replace(KEY, rank=str(number))) for number in range(3)]
    whose, former = [], dict[ReplicaKey, Side]()
    for run in range(5):
        now_s = 2 * CAPACITY_S * run
        made.keep([one.replica for one in fleet])
        made.due({one.replica: 1 for one in fleet}, now_s)
        found = {one.replica: made.prepared(one, H100, 1, now_s).capacity for one in fleet}
        sides = {key: one.now for key, one in found.items() if one is not None and isinstance(one.now, Side)}
        whose.append([key.rank for key, side in sides.items() if side is not former.get(key)])
        former = sides

    assert whose == [["0"], ["1"], ["2"], ["0"], ["1"]]


def test_a_capacity_that_cannot_be_computed_leaves_the_model_standing(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_root(*_: object) -> ReplicaCapacity:
        raise ArithmeticError("no root")

    def unsolved(known: ReplicaHistory, *rest: Any) -> ReplicaCapacity:
        return (capacity_of_replica if isinstance(known.model, Missing) else no_root)(known, *rest)

    monkeypatch.setattr("collector.jobs.step_models.capacity_of_replica", unsolved)
    prepared = models(Stored()).prepared(history(swinging()), H100, 1, 0.0)
    assert prepared.capacity is not None

    assert isinstance(prepared.model, StepModel)
    assert prepared.capacity.now == Missing("the capacity could not be computed: no root")
