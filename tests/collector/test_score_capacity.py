"""Capacity beside the simulator: a small fleet, how the truth is found, and the summary's arithmetic."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

from analyzer.capacity import Objective, Objectives, capacity, fitted_coefficients, limits_of, mix_of
from analyzer.evidence import Estimate, Missing
from analyzer.hardware import resolve
from analyzer.steptime.fit import StepModel, fit
from analyzer.steptime.parts import in_spans
from collector.cli import commands
from collector.jobs.fleet_rows import Answer, FleetRow, Sides, summarise
from collector.jobs.found_capacity import LONGER, UNSURE, Served, largest_rate, mean_gap_s, rate_that_tells
from collector.jobs.score_capacity import estimate, score_fleet, score_fleets
from collector.jobs.score_simulated import told
from collector.jobs.simulated_polls import watch
from collector.simulator.changed import Change, changed_costs
from collector.simulator.costs import Law
from collector.simulator.fleets import COUNT, MOST_REPLICAS, Fleet, fleets
from collector.simulator.speculation import Speculation
from collector.simulator.traffic import Lengths
from collector.simulator.workloads import Workload

SMALL = Workload(
    "small",
    0.6,
    Lengths(400, 0.5, 50, 1600),
    Lengths(80, 0.5, 10, 320),
    seed=5,
    seats=16,
    chunk_tokens=2048,
    warm_up_s=60,
    span_s=900,
    swing=0.4,
    swing_period_s=300,
)
FLEET = Fleet("small", 7, SMALL, "fp8-w8a8", Objectives(Objective(1.0)))
NOTHING = Change(1.0, 1.0, 1.0, 1.0, 0.0, 0.0)


def served(workload: Workload = SMALL) -> Served:
    return Served(workload.costs, workload.settings, workload.traffic, workload.seed)


def sides(before: float, after: float, needed: int, gap: float | None) -> Sides:
    return Sides(before, after, needed, needed, gap, gap)


def row(truth: Sides, predicted: Sides | None) -> FleetRow:
    return FleetRow("by hand", 3, 0.5, "w8a16", "additive", None, truth, predicted, 1.0, 1.5, "fitted")


def test_a_small_fleet_is_predicted_as_the_simulator_runs_it() -> None:
    """The mean gap within 7 %, the ratio within 10 %: one fleet and 2000 requests leave room for chance."""
    found = score_fleet(FLEET, requests=2000)
    assert found.truth is not None
    assert found.predicted is not None
    assert found.predicted.gap_after_s is not None

    assert found.predicted.ratio == pytest.approx(found.truth.ratio, rel=0.10)
    assert found.predicted.gap_after_s == pytest.approx(found.truth.gap_after_s, rel=0.07)
    assert abs(found.predicted.needed_after - found.truth.needed_after) <= 1
    assert found.truth.ratio > 1.05


def test_the_estimator_never_sees_the_truth() -> None:
    """Other true costs with the same polls, and no truths at all, give the same report."""
    watched = asyncio.run(watch(SMALL))
    blind = replace(watched, truths=())
    elsewhere = replace(FLEET, workload=replace(SMALL, bandwidth_efficiency=0.1, flops_efficiency=0.1))

    assert estimate(blind, FLEET) == estimate(watched, elsewhere)


def test_a_mix_is_read_from_polls_as_it_was_sent() -> None:
    workload = replace(SMALL, cached_share=0.5, speculation=Speculation(3, 0.7, 0.6e-3), swing=0.0)
    watched = asyncio.run(watch(workload))
    truth = watched.truth
    parts = in_spans(watched.samples, [], 60.0)
    mix = mix_of(parts, watched.identity)
    assert not isinstance(mix, Missing)

    requests = truth.completions
    assert mix.rate_per_s == pytest.approx(truth.arrivals / truth.at_s, rel=0.02)
    assert mix.prompt_tokens == pytest.approx(truth.computed_tokens / requests, rel=0.02)
    assert mix.sequence_steps == pytest.approx(truth.decode_sequence_steps / requests, rel=0.02)
    assert mix.cached_share == pytest.approx(
        truth.cached_tokens / (truth.cached_tokens + truth.computed_tokens), abs=0.03
    )
    assert mix.drafts == pytest.approx(3)
    limits = limits_of(parts, watched.identity, Missing("none"), seats=16)
    assert limits.kv_capacity_tokens == pytest.approx(workload.settings.kv_capacity_tokens, rel=0.001)
    assert not limits.kv_bound


def test_freed_kv_memory_is_worth_what_the_simulator_gains_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Room for 13 sequences where 64 have seats: preemptions show it, and twice the room is run and predicted alike."""
    monkeypatch.setattr("collector.simulator.workloads.kv_capacity_tokens", lambda *_: 6000)
    tight = replace(SMALL, seats=64, swing=0.0)
    watched = asyncio.run(watch(tight))
    parts = in_spans(watched.samples, list(watched.gpus), 60.0)
    model = fit(parts, resolve(watched.identity, told(tight), 1))
    mix = mix_of(parts, watched.identity)
    limits = limits_of(parts, watched.identity, model, seats=64, chunk_tokens=2048)
    assert isinstance(model, StepModel)
    assert not isinstance(mix, Missing)
    costs = fitted_coefficients(model)
    assert costs is not None
    found = capacity(costs, costs, mix, limits, Objectives(), kv_capacity_after=12_000)
    before, after = (
        largest_rate(
            replace(served(tight), settings=replace(tight.settings, kv_capacity_tokens=tokens)),
            Objectives(),
            10.0,
            2000,
        )
        for tokens in (6000, 12_000)
    )
    assert isinstance(found.ratio, Estimate)

    assert limits.kv_bound
    assert found.kv_credited
    assert found.before.concurrency == pytest.approx(6000 / (mix.context_tokens + 8))
    assert found.ratio.value == pytest.approx(after / before, rel=0.07)
    assert after > 1.3 * before


def test_the_search_ends_where_the_objective_is_just_kept_wherever_it_begins() -> None:
    goals = Objectives(Objective(1.0))
    found = [largest_rate(served(), goals, near, 2000) for near in (1.0, 12.0, 40.0)]

    assert found == pytest.approx([found[0]] * 3, rel=0.02)
    assert largest_rate(served(), Objectives(None, Objective(1e-4)), 5.0, 500) == 0


def test_more_requests_are_run_where_chance_would_decide_the_number_of_replicas() -> None:
    """2.5 replicas are three at 3 % more or less, and 3 or 4 are needed where 3.01 carry the load."""
    goals = Objectives(Objective(1.0))
    usual = largest_rate(served(), goals, 12.0, 500)
    clear, close, no_waits = (
        rate_that_tells(served(), each, 12.0, number * usual, 500)
        for each, number in ((goals, 2.5), (goals, 3.01), (Objectives(), 3.01))
    )

    assert clear == usual
    assert close == largest_rate(served(), goals, usual, 500 * LONGER, (1 - UNSURE, 1 + UNSURE))
    assert no_waits == largest_rate(served(), Objectives(), 12.0, 500)


def test_without_objectives_capacity_is_the_stated_share_of_what_overload_serves() -> None:
    full, part = (largest_rate(served(), Objectives(utilisation=share), 1.0, 2000) for share in (1.0, 0.9))

    assert part == pytest.approx(0.9 * full)
    assert full == pytest.approx(SMALL.capacity_per_s, rel=0.1)


def test_gaps_grow_with_the_rate() -> None:
    few, many = (mean_gap_s(served(), share * SMALL.capacity_per_s, 1000) for share in (0.1, 0.8))

    assert few < many


@pytest.mark.parametrize("law", Law)
def test_a_change_scales_each_part_of_a_step_and_nothing_else(law: Law) -> None:
    costs = replace(SMALL, law=law).costs
    same = changed_costs(costs, NOTHING)
    assert same.step_s(10, 5000, 300, 45_000) == pytest.approx(costs.step_s(10, 5000, 300, 45_000))
    if law is Law.ADDITIVE:
        one = changed_costs(costs, Change(0.5, 0.25, 0.8, 0.6, 1e-3, 2e-6))
        before, after = costs.split(10, 5000, 300, 45_000), one.split(10, 5000, 300, 45_000)
        assert after.weight_read_s == pytest.approx(before.weight_read_s / 2)
        assert after.kv_read_s == pytest.approx(before.kv_read_s / 4)
        assert after.decode_compute_s == pytest.approx(before.decode_compute_s * 0.8)
        assert after.overhead_s == pytest.approx(before.overhead_s + 1e-3 + 10 * 2e-6)
        # Prompt tokens: 0.6 of their time, and 2 us each; the same share on what attention adds.
        plain = costs.split(10, 5000, 300, 0).prefill_s
        assert one.split(10, 5000, 300, 0).prefill_s == pytest.approx(plain * 0.6 + 300 * 2e-6)


def test_the_summary_by_hand() -> None:
    """Ratios off by 0.1 / 1.25 = 8 % and 0; one of two needs right; gaps off by 10 %, one not told."""
    rows = [
        row(sides(4.0, 5.0, 3, 0.01), sides(4.0, 5.4, 4, 0.011)),
        row(sides(4.0, 8.0, 3, 0.01), sides(5.0, 10.0, 3, None)),
        row(sides(4.0, 8.0, 3, 0.01), None),
    ]
    found = summarise(rows)

    assert (found.fleets, found.predicted) == (3, 2)
    assert found.ratio_error_worst == pytest.approx(0.08)
    assert found.ratio_error_median == pytest.approx(0.04)
    assert found.capacity_error_median == pytest.approx(0.125)
    assert found.needed_exact == pytest.approx(0.5)
    assert found.gap_error_median == pytest.approx(0.1)
    assert (found.worth_it, found.worth_it_false, found.saving_missed) == (0, 0, 0)
    # True ratios 1.25 and 2 against 1 to 1.5.
    assert found.coverage_80 == pytest.approx(0.5)
    assert summarise([]).ratio_error_median is None


def test_verdicts_are_counted_against_what_the_truth_saves() -> None:
    """Three say `worth_it`, of which one saves nothing in truth; one that saves is missed, one rightly is not said."""
    told = [("worth_it", 2), ("worth_it", 1), ("worth_it", 0), ("evaluate", 1), ("no", 0)]
    rows = [
        replace(
            row(sides(4.0, 5.0, 3, 0.01), sides(4.0, 5.0, 3, 0.01)),
            answer=Answer(verdict, None, 10.0, float(saved), 0.0, saved),
            needed_low=low,
            needed_high=4,
        )
        for (verdict, saved), low in zip(told, (2, 3, 4, 2, 3), strict=True)
    ]
    found = summarise(rows)

    assert (found.worth_it, found.worth_it_false, found.saving_missed) == (3, 1, 1)
    # Three are needed: 2 to 4 and 3 to 4 hold them, 4 to 4 does not.
    assert found.needed_within == pytest.approx(0.8)


def test_the_verdict_scored_is_that_of_the_daemon_at_the_peak_of_the_fleet() -> None:
    """Seven replicas at the mean rate: their load swings within five minutes, whose means are all alike."""
    found = estimate(asyncio.run(watch(SMALL)), FLEET)
    assert not isinstance(found, Missing)
    assert isinstance(found.peak_per_s, Estimate)

    assert found.answer.scheme == "fp8-w8a8"
    assert found.answer.money.capacity_computed
    assert found.answer.quality is not None
    assert found.peak_per_s.value == pytest.approx(7 * found.rate_per_s, rel=0.02)


def test_the_fleets_cover_loads_and_sizes() -> None:
    found = fleets(1)
    loads = sorted(one.workload.load for one in found)

    assert len(found) == COUNT == 30
    assert (loads[0], loads[-1]) == pytest.approx((0.1, 1.0))
    assert {one.replicas for one in found} <= set(range(1, MOST_REPLICAS + 1))
    assert min(one.replicas for one in found) <= 2
    assert max(one.replicas for one in found) >= 18
    assert {one.workload.law for one in found} == set(Law)
    assert {one.objectives.any for one in found} == {True, False}
    assert len({one.scheme for one in found}) >= 5
    assert len({one.name for one in found}) == COUNT
    assert fleets(2) != found == fleets(1)


def test_what_cannot_be_predicted_is_a_row_with_its_reason_in_any_process() -> None:
    """A minute of polls is too little for a step model."""
    short = replace(FLEET, workload=replace(SMALL, span_s=60.0))
    alone = list(score_fleets([short], 1))
    together = list(score_fleets([short, replace(short, name="other")], 2))

    assert alone[0].predicted is None
    assert alone[0].truth is None
    assert "minutes" in (alone[0].reason or "")
    assert together == [alone[0], replace(alone[0], fleet="other")]


@pytest.mark.parametrize("arguments", [["--capacity", "--simulated"], ["--capacity", "--workload", "no such"]])
def test_what_cannot_be_scored_is_a_mistake(arguments: list[str]) -> None:
    assert CliRunner().invoke(commands, ["score", *arguments]).exit_code == 2


def test_the_command_prints_summary_and_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """On one small fleet in place of thirty."""
    monkeypatch.setattr("collector.cli.score_fleets.fleets", lambda seed: (replace(FLEET, objectives=Objectives()),))
    monkeypatch.setattr(
        "collector.cli.score_fleets.score_fleets", lambda each, _: [score_fleet(one, 1000) for one in each]
    )
    plain = CliRunner().invoke(commands, ["score", "--capacity", "--processes", "1", "--json"])
    table = CliRunner().invoke(commands, ["score", "--capacity", "--processes", "1"])
    told = json.loads(plain.stdout)

    assert (plain.exit_code, table.exit_code) == (0, 0)
    assert {"ratio_error_median", "needed_exact", "gap_error_median", "coverage_80", "rows"} <= set(told)
    assert told["rows"][0]["scheme"] == "fp8-w8a8"
    assert "Replicas exactly right" in table.stdout
