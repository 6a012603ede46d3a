"""What a deployment's replicas do together."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analyzer.evidence import Missing
from analyzer.report import Report
from analyzer.stepsizes import StepSizes
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
