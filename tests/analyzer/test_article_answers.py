"""The article's questions answered from telemetry and configuration: by hand, and unknown where nobody tells."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analyzer.article import quantization_roi, total_cost_analysis
from analyzer.article_answers import CONDITIONS, ArticleAnswers, Scenario, Workload, article_answers
from analyzer.article_beside import Inputs, beside
from analyzer.assumptions import Context, Costs, Deployment, Price, Quality, QualityResult
from analyzer.capacity.fleet import fleet_capacity
from analyzer.evidence import Estimate, Evidence, Missing
from analyzer.money import just_enough, money
from tests.fakes.histories import CHAT

UNKNOWN = Missing("not told")


def sure(value: float) -> Estimate:
    return Estimate.exact(value, Evidence.FITTED, "by hand")


CHATTY = Workload(
    memory_bound=sure(0.82),
    prefill_exclusive=sure(0.1),
    decode_batch=sure(12.0),
    generation_tokens_per_s=sure(900.0),
    prompt_tokens_per_s=sure(600.0),
    weights="bfloat16",
    kv_limited=False,
    gpus=4,
    fleet=fleet_capacity([], 4),
)


def lines(answers: ArticleAnswers) -> dict[str, bool | None]:
    return {one.name: one.holds for one in answers.checklist}


def test_the_nearest_scenario_is_one_whose_trait_holds_here() -> None:
    """Decode-heavy (0.8) and long outputs (0.85) hold: 0.82 is nearer to 0.8. A batch of 12 is not low."""
    answers = article_answers(CHAT, CHATTY)

    assert {one.name for one in answers.traits if one.holds} == {"decode_heavy", "long_outputs"}
    assert answers.scenario == Scenario("decode_heavy", True, 0.8, "1.3-1.5x")


def test_a_server_that_is_quantized_already_is_that_first_of_all() -> None:
    answers = article_answers(CHAT, replace(CHATTY, weights="fp8"))

    assert isinstance(answers.scenario, Scenario)
    assert answers.scenario.name == "already_memory_efficient"
    assert answers.scenario.high_roi is False


def test_a_prefill_heavy_server_at_a_large_batch_is_of_low_benefit() -> None:
    """0.33 of busy time is memory-bound: nearer to the 0.3 of prefill-heavy than to the 0.4 of a large batch."""
    seen = replace(CHATTY, memory_bound=sure(0.33), prefill_exclusive=sure(0.7), decode_batch=sure(60.0))
    answers = article_answers(CHAT, seen)

    assert isinstance(answers.scenario, Scenario)
    assert answers.scenario.name == "prefill_heavy"


def test_a_small_memory_bound_share_is_prefill_heavy_though_decode_steps_take_most_of_the_time() -> None:
    """0.37 of busy time is memory-bound: nearer to 0.3 than to 0.8."""
    answers = article_answers(CHAT, replace(CHATTY, memory_bound=sure(0.37), prefill_exclusive=sure(0.45)))

    assert isinstance(answers.scenario, Scenario)
    assert answers.scenario.name == "prefill_heavy"


def test_what_telemetry_does_not_tell_is_unknown_and_no_scenario() -> None:
    blind = Workload(UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, None, None, None, fleet_capacity([], 0))
    answers = article_answers(Deployment("chat"), blind)

    assert answers.scenario == UNKNOWN
    assert {one.holds for one in answers.traits} == {None}
    assert set(lines(answers).values()) == {None}
    assert all(one.evidence is None for one in answers.checklist)
    assert answers.decision == "Evaluate"


def test_the_checklist_takes_the_operators_word_with_its_place() -> None:
    stated = replace(CHAT, context=Context(quality_is_differentiator=True, small_team=False))
    answers = article_answers(stated, CHATTY)
    quality, small = answers.checklist[0], answers.checklist[3]

    assert (quality.holds, quality.why) == (True, "stated: deployments[].context.quality_is_differentiator")
    assert (small.holds, small.evidence) == (False, Evidence.MEASURED)
    assert tuple(one.name for one in answers.checklist) == CONDITIONS


@pytest.mark.parametrize(("share", "small"), [(0.05, True), (0.5, False)])
def test_computes_share_of_the_cost_is_compared_with_our_bound(share: float, small: bool) -> None:
    answers = article_answers(replace(CHAT, context=Context(compute_share_of_cost=share)), CHATTY)

    assert lines(answers)["compute_small"] is small


@pytest.mark.parametrize(("releases", "often"), [(12.0, True), (1.0, False), (None, None)])
def test_models_change_often_by_the_stated_releases(releases: float | None, often: bool | None) -> None:
    answers = article_answers(replace(CHAT, costs=Costs(model_releases_per_year=releases)), CHATTY)

    assert lines(answers)["models_change_often"] is often


@pytest.mark.parametrize(("load", "met"), [(0.8, True), (1.2, False)])
def test_latency_targets_are_met_where_the_peak_fits_within_the_objectives(load: float, met: bool) -> None:
    fleet = replace(CHATTY.fleet, load=sure(load), stated=True)
    answers = article_answers(CHAT, replace(CHATTY, fleet=fleet))

    assert lines(answers)["latency_met"] is met


def test_the_matrix_ticks_what_telemetry_shows() -> None:
    """Preemptions show that memory is short, and decode takes most: the article's first rule."""
    answers = article_answers(CHAT, replace(CHATTY, kv_limited=True))

    assert answers.decision == "Yes: likely necessary"


def test_hidden_costs_are_what_is_stated_and_else_say_what_to_state() -> None:
    """100 hours at $100."""
    entered = Quality(QualityResult.PENDING, "exam", "alice", 0.0)
    engineering, regression, complexity, debugging = article_answers(
        replace(CHAT, quality={"w4a16": entered}), CHATTY
    ).hidden_costs

    assert (engineering.usd, engineering.why) == (10_000, "stated: 100 hours at $100")
    assert (regression.usd, regression.why) == (None, "w4a16: pending")
    assert complexity.usd is None
    assert debugging.usd is None


def test_the_article_stands_beside_ours_as_published_and_the_difference_is_said() -> None:
    """f 0.8 and s 1.5: the article's 1.400 against Amdahl's 1.364; its saving is 2/7 of 4 GPUs at $2: $1,668.57."""
    inputs = Inputs(sure(30.0), sure(0.8), 4, Price(2.0, "contract", 0.0), 1.5, 0.02)
    worth = money(CHAT, 4, 1, just_enough(4), sure(1.2))
    found = beside(inputs, CHAT, sure(1 / (0.2 + 0.8 / 1.5)), sure(1.2), worth)

    assert found.roi == quantization_roi(30.0, 8.0, 0.8, 1.5, 0.02)
    assert found.costs == total_cost_analysis(8.0 * 730, 100, 100, 1.4)
    assert not isinstance(found.costs, Missing)
    assert found.costs["monthly_savings"] == pytest.approx(1668.57, abs=0.01)
    assert "(1.400x)" in found.differs[0]
    assert "(1.364x)" in found.differs[0]
    assert "whole GPUs" in found.differs[2]


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        (Inputs(UNKNOWN, sure(0.8), 4, None, 1.5, 0.02), "not told"),
        (Inputs(sure(30.0), sure(0.8), 4, None, 1.5, 0.02), "no price"),
        (Inputs(sure(30.0), sure(0.8), 4, Price(2.0, "contract", 0.0), 1.5, None), "no quality loss"),
    ],
)
def test_an_input_that_the_articles_rule_lacks_is_named(inputs: Inputs, reason: str) -> None:
    found = beside(inputs, CHAT, UNKNOWN, UNKNOWN, money(CHAT, 4, 1, just_enough(4), UNKNOWN))

    assert isinstance(found.roi, Missing)
    assert reason in found.roi.reason
    assert found.differs == ()
