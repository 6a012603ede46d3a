"""What a deployment's replicas do together."""

from __future__ import annotations

from dataclasses import replace
from operator import attrgetter

import pytest

from analyzer.evidence import Evidence, Missing
from analyzer.replicas import ReplicaReport
from analyzer.report import Report
from analyzer.stepsizes import StepSize, StepSizes
from analyzer.workload import workload
from tests.fakes.modelled import modelled, modelled_report


def members() -> Report:
    """Two replicas with a model, one of them with twice the steps of the other in the same time."""
    one, other = modelled(0), modelled(1)
    assert other.history is not None
    counts = other.history.histograms["step_tokens"]
    assert counts is not None
    twice = {**other.history.histograms, "step_tokens": tuple(2 * count for count in counts)}
    return modelled_report(one, replace(other, history=replace(other.history, histograms=twice)))


def test_step_sizes_weigh_by_steps() -> None:
    """All steps of both: three times those of the first; the shares stay, since both have the same."""
    report = members()
    first = report.replicas[0].history_step_sizes
    sizes = report.workloads["chat"].step_sizes
    assert isinstance(first, StepSizes)
    assert isinstance(sizes, StepSizes)

    assert sizes.counted_steps == pytest.approx(3 * first.counted_steps)
    assert [one.steps for one in sizes.sizes] == pytest.approx([one.steps for one in first.sizes])
    assert sum(one.busy or 0.0 for one in sizes.sizes) == pytest.approx(1)
    assert sum(one.steps for one in sizes.sizes) == pytest.approx(1)


def sized(evidence: Evidence | Missing, *rows: tuple[float, float, float, float | None, float | None]) -> StepSizes:
    """A hundred counted steps of these sizes."""
    return StepSizes([StepSize(*row) for row in rows], 100.0, 5.0, 7.0, evidence)


def test_steps_of_two_replicas_by_hand() -> None:
    """100 and 100 steps. Up to 8 tokens: 100 of 4 for 1 s each, 50 of 6 for 2 s: 150 of 14 / 3 for 4 / 3 s, 200 s.

    Up to 16: 50 of 12 for 4 s, 200 s, half of all. Up to 32 nobody counted any: what the first one says stands.
    """
    one = sized(Evidence.FITTED, (8, 4, 1, 1, 1), (16, 11, 0, 0, 3), (32, 20, 0, 0, 9))
    other = sized(Evidence.MODELLED, (8, 6, 0.5, 1 / 3, 2), (16, 12, 0.5, 2 / 3, 4), (32, 24, 0, 0, 8))

    found = workload([replica(one), replica(other)]).step_sizes

    assert isinstance(found, StepSizes)
    assert (found.counted_steps, found.mean_tokens, found.evidence) == (200, 5, Evidence.MODELLED)
    assert [attrgetter("up_to_tokens", "mean_tokens", "steps", "busy", "step_s")(size) for size in found.sizes] == [
        (8, pytest.approx(14 / 3), 0.75, 0.5, pytest.approx(4 / 3)),
        (16, 12, 0.25, 0.5, 4),
        (32, 20, 0, 0, 9),
    ]


def test_one_replica_without_a_model_takes_the_times_from_all() -> None:
    known = sized(Evidence.FITTED, (8, 4, 1, 1, 1), (16, 12, 0, 0, 3))
    unknown = sized(Missing("no model"), (8, 4, 1, None, None), (16, 12, 0, None, None))

    found = workload([replica(known), replica(unknown)]).step_sizes

    assert isinstance(found, StepSizes)
    assert {(size.busy, size.step_s) for size in found.sizes} == {(None, None)}
    assert found.evidence == Missing("no model")


def replica(sizes: StepSizes) -> ReplicaReport:
    """A replica of which only the sizes of its steps matter."""
    return replace(modelled_report(modelled()).replicas[0], history_step_sizes=sizes)


def test_the_live_mix_is_that_of_replicas_that_answer() -> None:
    report = members()
    now, decision = report.workloads["chat"].now, report.workloads["chat"].decision
    assert not isinstance(now, Missing)
    assert not isinstance(decision, Missing)

    assert sum(one.value for one in now.values()) == pytest.approx(1)
    silent = modelled_report(replace(modelled(), last=None))
    assert silent.workloads["chat"].now == Missing("no replica answers")
    assert not isinstance(silent.workloads["chat"].decision, Missing)


def test_a_deployment_without_replicas_says_so() -> None:
    empty = modelled_report().workloads["chat"]

    assert isinstance(empty.now, Missing)
    assert empty.hours == Missing("no replica of this deployment has been seen")
    assert empty.step_sizes == Missing("no replica of this deployment has been seen")
