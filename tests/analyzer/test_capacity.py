"""The capacity solver: its fixed point, its queues by hand, what must never fall, and how a mix is read from totals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.capacity import Doubt, Limits, Objective, Objectives, capacity, draws, kv_tokens_after, plain_mix
from analyzer.capacity.costs import costs_of
from analyzer.capacity.gaps import Gaps, mean_gap_s
from analyzer.capacity.lengths import points
from analyzer.capacity.load import closed_step_s, fixed_point, load, prompt_s
from analyzer.capacity.memory import kv_limit
from analyzer.capacity.mix import Mix
from analyzer.capacity.solve import capacity_per_s, stability_limit
from analyzer.capacity.waiting import Waits
from analyzer.evidence import Estimate, Evidence, Missing
from analyzer.facts.models import find_model
from analyzer.histograms import Counts
from analyzer.predict import Coefficients, format_of, unquantized
from analyzer.samples import LENGTH_BOUNDS
from analyzer.steptime.parts import Part
from tests.fakes.histories import totals

PLAIN = Coefficients(5.6e-3, 0.5e-3, 2.7e-5, 1e-5, 4.9e-8, 2.9e-5, 1.0)
MIX = plain_mix(5.0, 300, 600)
LIMITS = Limits(chunk_tokens=2048, seats=64)
KEPT = Objectives(Objective(2.0), Objective(0.05))

coefficients = st.builds(
    Coefficients,
    weight_read_s=st.floats(1e-3, 2e-2),
    overhead_s=st.floats(1e-4, 4e-3),
    sequence_compute_s=st.floats(5e-6, 1e-4),
    sequence_overhead_s=st.floats(1e-6, 3e-5),
    kv_token_s=st.floats(1e-9, 1e-7),
    prefill_token_s=st.floats(5e-6, 1e-4),
    rounding=st.sampled_from([1.0, 3.0, 12.0]),
)
mixes = st.builds(plain_mix, st.just(1.0), st.floats(50, 4000), st.floats(20, 800))
limits = st.builds(Limits, chunk_tokens=st.sampled_from([512.0, 2048.0, 8192.0]), seats=st.integers(1, 200))
objectives = st.builds(
    Objectives,
    st.none() | st.builds(Objective, st.floats(0.2, 10), st.sampled_from([0.5, 0.9, 0.95])),
    st.none() | st.builds(Objective, st.floats(0.01, 0.3), st.sampled_from([0.5, 0.9, 0.95, 0.99])),
)


def at(one: Coefficients, mix: Mix, bounds: Limits, goals: Objectives) -> float:
    return float(capacity_per_s(costs_of([one]), mix, bounds, goals)[0, 0])


def rate(per_s: float) -> np.ndarray:
    return np.array([[per_s]])


def test_costs_of_many_draws_are_those_of_each() -> None:
    from analyzer.predict import Step

    draws = [PLAIN, replace(PLAIN, weight_read_s=1e-3, kv_token_s=1e-7)]
    for rounding in (1.0, 3.0):
        each = [replace(one, rounding=rounding) for one in draws]
        found = costs_of(each).step_s(20.0, 700.0, 100.0)
        assert found[:, 0] == pytest.approx([one.step_s(Step(1, 20, 700, 100)) for one in each])


def test_the_closed_form_by_hand() -> None:
    """Prompts take 5 · 300 · 29 us = 0.0435 of the time; sequences 5 · 599 · (37 us + 600 · 49 ns = 66.4 us) = 0.1989.

    6.1 ms / (1 - 0.0435 - 0.1989) = 8.052 ms; batch = 5 · 599 · 8.052 ms = 24.1.
    """
    costs = costs_of([PLAIN])
    assert closed_step_s(costs, MIX)[0, 0] == pytest.approx(6.1e-3 / (1 - 0.0435 - 5 * 599 * 66.4e-6))
    assert fixed_point(costs, MIX, LIMITS)[0, 0] == pytest.approx(24.1, abs=0.05)


@settings(deadline=None, max_examples=60)
@given(coefficients, mixes, st.floats(0.05, 0.95))
def test_the_closed_form_is_what_iteration_finds(one: Coefficients, mix: Mix, share: float) -> None:
    costs = costs_of([replace(one, rounding=1.0)])
    each = one.sequence_compute_s + one.sequence_overhead_s + one.kv_token_s * mix.context_tokens
    mix = mix.at(share / (mix.prompt_tokens * one.prefill_token_s + mix.sequence_steps * each))
    step = closed_step_s(costs, mix)[0, 0]
    batch = mix.rate_per_s * mix.sequence_steps * step
    wide = Limits(8192, seats=int(batch) + 2)

    assert fixed_point(costs, mix, wide)[0, 0] == pytest.approx(batch, rel=1e-6)


@settings(deadline=None, max_examples=60)
@given(coefficients, mixes, limits, st.floats(0.05, 0.9))
def test_the_fixed_point_satisfies_its_equation(one: Coefficients, mix: Mix, bounds: Limits, share: float) -> None:
    """batch = rate · sequence-steps · step(batch), a step lasting its own time over what prompts leave of the time."""
    costs = costs_of([one])
    mix = mix.at(share * float(stability_limit(costs, mix, bounds)[0, 0]))
    batch = fixed_point(costs, mix, bounds)
    if not np.isfinite(batch[0, 0]):
        return
    added, _, _ = prompt_s(costs, mix, bounds, batch)
    step = costs.step_s(batch, mix.context_tokens) / (1 - mix.rate_per_s * added)

    assert batch == pytest.approx(mix.rate_per_s * mix.sequence_steps * step, rel=1e-5)


@settings(deadline=None, max_examples=60)
@given(coefficients, mixes, limits, objectives, st.floats(0.3, 1.0))
def test_faster_steps_never_lower_capacity(
    one: Coefficients, mix: Mix, bounds: Limits, goals: Objectives, ratio: float
) -> None:
    faster = Coefficients(
        *(
            ratio * getattr(one, name)
            for name in (
                *("weight_read_s", "overhead_s", "sequence_compute_s", "sequence_overhead_s"),
                *("kv_token_s", "prefill_token_s"),
            )
        ),
        rounding=one.rounding,
    )

    assert at(faster, mix, bounds, goals) >= at(one, mix, bounds, goals) * (1 - 2e-3)


@settings(deadline=None, max_examples=60)
@given(coefficients, mixes, limits, objectives, st.floats(1.0, 5.0))
def test_looser_objectives_never_lower_capacity(
    one: Coefficients, mix: Mix, bounds: Limits, goals: Objectives, times: float
) -> None:
    def looser(objective: Objective | None) -> Objective | None:
        return objective and replace(objective, seconds=objective.seconds * times)

    loose = replace(goals, first_token=looser(goals.first_token), token_gap=looser(goals.token_gap))

    assert at(one, mix, bounds, loose) >= at(one, mix, bounds, goals) * (1 - 2e-3)


@settings(deadline=None, max_examples=40)
@given(coefficients, mixes, limits, objectives)
def test_capacity_lies_within_what_is_stable(one: Coefficients, mix: Mix, bounds: Limits, goals: Objectives) -> None:
    assert 0 <= at(one, mix, bounds, goals) <= float(stability_limit(costs_of([one]), mix, bounds)[0, 0]) * (1 + 1e-6)


def test_one_seat_is_an_m_g_1_queue() -> None:
    """A request takes its prompt's step (6.1 ms + 300 · 29 us = 14.8 ms) and 599 steps of 6.1 ms + 66.4 us."""
    service_s = 14.8e-3 + 599 * (6.1e-3 + 66.4e-6)
    found = stability_limit(costs_of([PLAIN]), MIX, Limits(2048, seats=1))

    assert found[0, 0] == pytest.approx(1 / service_s, rel=0.002)


def test_full_seats_serve_in_the_time_that_prompts_leave() -> None:
    """64 seats: 599 · t(64) / 64 + 300 · 29 us · 63/64 per request, t(64) = 6.1 ms + 64 · 66.4 us = 10.35 ms."""
    found = stability_limit(costs_of([PLAIN]), MIX, LIMITS)[0, 0]

    assert found == pytest.approx(1 / (599 * 10.35e-3 / 64 + 8.7e-3 * 63 / 64), rel=0.005)


def test_a_lone_request_waits_for_its_prompt_only_and_gaps_are_bare_steps() -> None:
    costs, idle = costs_of([PLAIN]), MIX.at(1e-4)
    state = load(costs, idle, LIMITS, rate(1e-4))

    assert Waits(costs, idle, LIMITS, state).mean_s()[0, 0] == pytest.approx(14.8e-3, rel=0.01)
    assert mean_gap_s(idle, state)[0, 0] == pytest.approx(6.1664e-3, rel=0.005)
    assert Gaps(costs, idle, LIMITS, state).percentile_s(0.95)[0, 0] == pytest.approx(6.17e-3, rel=0.02)


def test_prompts_in_a_row_wait_as_pollaczek_and_khinchine_say() -> None:
    """All alike and nearly nothing to decode: M/D/1, mean wait = load / (2 (1 - load)) services."""
    one = replace(PLAIN, weight_read_s=1e-5, overhead_s=1e-6)
    mix = replace(plain_mix(1.0, 1000, 2), sequence_steps=1e-3)
    costs, bounds = costs_of([one]), Limits(1000, seats=100)
    service_s = 1000 * 2.9e-5 + 1.1e-5
    per_s = 0.6 / service_s
    waits = Waits(costs, mix.at(per_s), bounds, load(costs, mix.at(per_s), bounds, rate(per_s)))

    assert waits.mean_s()[0, 0] == pytest.approx(service_s * (1 + 0.6 / 0.8), rel=0.01)
    # P(no wait) = 1 - load: that share has its first token after its own service.
    assert waits.within(1.02 * service_s)[0, 0] == pytest.approx(0.4, abs=0.03)


def test_prompts_that_share_a_step_are_slower_than_one_alone() -> None:
    costs = costs_of([PLAIN])
    busy = plain_mix(40.0, 100, 100)
    gaps = Gaps(costs, busy, LIMITS, load(costs, busy, LIMITS, rate(40.0)))
    step_s = float(mean_gap_s(busy, load(costs, busy, LIMITS, rate(40.0)))[0, 0])

    assert gaps.percentile_s(0.5)[0, 0] < step_s < gaps.percentile_s(0.99)[0, 0]
    # 40 prompts a second meet steps of 9 ms: 5 % of these hold two or more, 200 · 29 us = 5.8 ms longer.
    assert gaps.percentile_s(0.99)[0, 0] - gaps.percentile_s(0.5)[0, 0] == pytest.approx(5.8e-3, rel=0.15)


def test_freed_memory_counts_only_where_memory_was_the_limit() -> None:
    """1000 sequences' seats, KV for 20 of them: with twice the KV about twice the sequences, but only if it showed."""
    bound = Limits(2048, seats=1000, kv_capacity_tokens=20 * 608.0, kv_bound=True)
    one, other = (
        capacity(PLAIN, PLAIN, MIX, limits, Objectives(), None, 40 * 608.0)
        for limits in (bound, replace(bound, kv_bound=False))
    )

    assert one.kv_credited
    assert isinstance(one.ratio, Estimate)
    assert 1.5 < one.ratio.value < 2
    assert one.after.concurrency == pytest.approx(40)
    assert not other.kv_credited
    assert isinstance(other.ratio, Estimate)
    assert other.ratio.value == pytest.approx(1)


def test_a_halved_kv_element_and_freed_weights_hold_more_tokens() -> None:
    """Llama 3.1 8B: KV of 131,072 bytes a token in 16 bits. FP8 KV alone doubles the tokens."""
    shape = find_model("meta-llama/Llama-3.1-8B-Instruct")
    assert shape is not None
    plain = unquantized()
    freed = shape.weight_bytes(16) - shape.weight_bytes(format_of("fp8-w8a8", plain).weight_bits)

    assert kv_tokens_after(1e5, shape, plain, format_of("kv-fp8", plain)) == pytest.approx(2e5, rel=0.01)
    assert kv_tokens_after(1e5, shape, plain, format_of("fp8-w8a8", plain)) == pytest.approx(1e5 + freed / 131_072)


def test_today_beyond_capacity_has_no_latency_and_unreachable_objectives_no_ratio() -> None:
    crowded = capacity(PLAIN, PLAIN, MIX.at(50.0), LIMITS, KEPT)
    never = capacity(PLAIN, PLAIN, MIX, LIMITS, Objectives(None, Objective(1e-3)))

    assert isinstance(crowded.before.today.token_gap_mean_s, Missing)
    assert isinstance(crowded.ratio, Estimate)
    assert isinstance(never.ratio, Missing)
    assert never.before.bound == "unreachable"


def test_doubt_widens_and_evidence_is_carried() -> None:
    faster = replace(PLAIN, weight_read_s=2.8e-3)
    widths = []
    for sd in (0.0, 0.05, 0.2):
        report = capacity(PLAIN, faster, MIX, LIMITS, KEPT, Doubt(np.eye(6) * sd**2, Evidence.FITTED), change_sd=sd)
        assert isinstance(report.ratio, Estimate)
        assert report.ratio.evidence is Evidence.FITTED
        widths.append(report.ratio.high / report.ratio.low)
    assert widths == sorted(widths)
    assert widths[-1] > 1.3


def test_lengths_of_a_histogram_keep_the_counted_mean_and_the_spread() -> None:
    drawn = np.random.default_rng(1).lognormal(6, 0.5, 50_000)
    bucket = np.searchsorted(LENGTH_BOUNDS, drawn)
    counts: Counts = tuple(map(float, np.bincount(bucket, minlength=len(LENGTH_BOUNDS) + 1)))
    found = np.array(points(counts, "prompt_lengths", float(drawn.mean())))

    assert found.mean() == pytest.approx(drawn.mean())
    assert found.std() / found.mean() == pytest.approx(drawn.std() / drawn.mean(), rel=0.12)
    assert np.quantile(found, 0.9) == pytest.approx(np.quantile(drawn, 0.9), rel=0.06)


def test_without_a_histogram_all_requests_are_alike() -> None:
    assert set(points(None, "prompt_lengths", 70.0)) == {70.0}


def test_the_same_costs_change_nothing() -> None:
    report = capacity(PLAIN, PLAIN, MIX, LIMITS, KEPT, Doubt(np.eye(6) * 0.05**2, Evidence.FITTED))
    assert isinstance(report.ratio, Estimate)

    assert report.ratio.value == pytest.approx(1, rel=1e-3)
    # Doubts of the costs cancel: what is left are both sides' formulas.
    assert report.ratio.high / report.ratio.low < 1.06


def test_cases_scatter_as_the_intervals_say_and_move_together() -> None:
    faster = replace(PLAIN, weight_read_s=2.8e-3)
    report = capacity(PLAIN, faster, MIX, LIMITS, KEPT, Doubt(np.eye(6) * 0.05**2, Evidence.FITTED), change_sd=0.05)
    before, after = draws(report, 4000)
    one, other, ratio = report.before.capacity_per_s, report.after.capacity_per_s, report.ratio
    assert isinstance(one, Estimate)
    assert isinstance(other, Estimate)
    assert isinstance(ratio, Estimate)

    assert (before[0], after[0]) == (one.value, other.value)
    for found, told in ((before, one), (after, other)):
        assert np.quantile(found, [0.1, 0.9]) == pytest.approx([told.low, told.high], rel=0.02)
    assert np.corrcoef(np.log(before), np.log(after))[0, 1] > 0.5


def kv_part(waiting: float, used: float, requests: float = 100.0, preempted: float = 0.0) -> Part:
    integrals = {"waiting_requests": waiting * 100, "kv_usage_ratio": used * 100}
    return Part(totals(100.0, integrals=integrals, prefills_total=requests, preemptions_total=preempted))


def test_memory_limits_where_a_queue_stands_at_full_memory_or_requests_are_preempted() -> None:
    calm = [kv_part(0.0, 0.4)] * 9
    assert kv_limit([*calm, kv_part(3.0, 0.95)]).limits is True
    assert kv_limit([*calm, kv_part(0.0, 0.9, preempted=2.0)]).limits is True
    assert kv_limit([*calm, kv_part(3.0, 0.5)]).limits is False
    assert "40%" in kv_limit(calm).reason
    # One request in a thousand came while memory was full.
    assert kv_limit([kv_part(0.0, 0.4, 999.0), kv_part(3.0, 0.95, 1.0)]).limits is False
    assert kv_limit([Part(totals(100.0, prefills_total=10.0))]).limits is None
