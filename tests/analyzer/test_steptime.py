"""The step-time model: its laws, its fit on servers of known costs, and what it says when it cannot know."""

from __future__ import annotations

import json
from dataclasses import replace
from math import exp, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from analyzer.assumptions import Deployment
from analyzer.evidence import Evidence, Missing
from analyzer.hardware import Hardware, resolve
from analyzer.report import as_plain
from analyzer.samples import Identity
from analyzer.steptime.account import interval, shares, step_time
from analyzer.steptime.blocks import Blocks, blocks
from analyzer.steptime.fit import MIN_BLOCKS, StepModel, fit
from analyzer.steptime.laws import Law, classify, spent
from analyzer.steptime.overlapped import longer
from analyzer.steptime.parts import Part, duty_of, merged
from tests.fakes.step_blocks import Linear

UNKNOWN = Missing("the GPU is not known")
SWING = [6 + 54 * (1 + np.sin(2 * np.pi * k / 24)) / 2 for k in range(24)]
"""Two hours in which the batch swings between 6 and 60."""
H100 = resolve(
    Identity("vllm", model_path="meta-llama/Llama-3.1-8B-Instruct", dtype="bfloat16"),
    Deployment("d", gpu="NVIDIA H100 80GB HBM3", gpus_per_replica=1),
)


def swinging(server: Linear, **more: object) -> list[Part]:
    return [server.part(batch, number=k, **more) for k, batch in enumerate(SWING)]  # type: ignore[arg-type]


def fitted(parts: list[Part], hardware: Hardware | Missing = UNKNOWN) -> StepModel:
    model = fit(parts, hardware)
    assert isinstance(model, StepModel), model
    return model


@st.composite
def any_blocks(draw: st.DrawFn) -> Blocks:
    """Blocks of a server under any load."""
    server = Linear(prompt=draw(st.floats(1, 30_000)), output=draw(st.floats(2, 2000)))
    batches = draw(st.lists(st.floats(0.2, 250), min_size=1, max_size=4))
    made = blocks([server.part(batch, number=k) for k, batch in enumerate(batches)])
    assert isinstance(made, Blocks)
    alone = np.array([draw(st.floats(0, 1)) for _ in batches])
    return replace(made, alone=alone)


logs = st.tuples(
    st.floats(log(1e-4), log(0.1)),
    st.floats(log(1e-5), log(0.01)),
    st.floats(log(1e-6), log(1e-3)),
    st.floats(log(1e-7), log(1e-4)),
    st.floats(log(1e-10), log(1e-6)),
    st.floats(log(1e-6), log(1e-3)),
).map(np.array)


@given(any_blocks(), logs, st.sampled_from(list(Law)), st.sampled_from([512.0, 2048.0, 8192.0]))
def test_every_second_of_a_step_is_accounted_for_once(
    seen: Blocks, values: np.ndarray, law: Law, chunk_tokens: float
) -> None:
    """What each coefficient sets is never negative; marginal <= exclusive <= all of it."""
    taken = spent(law, np.exp(values), seen, classify(seen, chunk_tokens))
    busy, exclusive = taken.busy.sum(axis=0), taken.exclusive.sum(axis=0)
    assert (taken.busy >= 0).all()
    assert (taken.gaps >= 0).all()
    assert (taken.exclusive <= taken.busy * (1 + 1e-9) + 1e-12).all()
    assert (taken.marginal.sum(axis=0) <= exclusive * (1 + 1e-9)).all()
    assert (exclusive <= busy * (1 + 1e-9)).all()


@given(any_blocks(), logs, st.sampled_from(list(Law)))
def test_what_a_coefficient_sets_is_how_the_seconds_rise_with_its_logarithm(
    seen: Blocks, values: np.ndarray, law: Law
) -> None:
    """Twice all coefficients make twice the seconds, so that the parts sum to the whole (Euler)."""
    steps = classify(seen, 2048.0)
    once, twice = (spent(law, factor * np.exp(values), seen, steps) for factor in (1.0, 2.0))
    for name in ("busy", "gaps", "exclusive", "marginal"):
        assert np.allclose(2 * getattr(once, name), getattr(twice, name), rtol=1e-9, atol=1e-12)


@given(any_blocks(), logs)
def test_hidden_arithmetic_never_makes_a_span_longer(seen: Blocks, values: np.ndarray) -> None:
    """Overlapped steps take at most what the same steps take one after the other."""
    steps = classify(seen, 2048.0)
    laws = (Law.ADDITIVE, Law.OVERLAPPED)
    additive, overlapped = (spent(law, np.exp(values), seen, steps).busy.sum(axis=0) for law in laws)
    assert (overlapped <= additive * (1 + 1e-6)).all()


@given(st.floats(0, 0.02), st.floats(0, 0.02), st.floats(1e-6, 0.1))
def test_the_longer_side_is_its_expectation_over_scattered_prompts(moved: float, computed: float, chunk: float) -> None:
    """By numeric integration over a gamma density of shape 2: x / s² exp(-x / s) with s half the mean."""
    scale = chunk / 2
    top = 40 * scale

    def density(x: float) -> float:
        return x / scale**2 * exp(-x / scale)

    edge = min(max(moved - computed, 0.0), top)
    expected = sum(
        quad(lambda x: max(moved, computed + x) * density(x), low, high, limit=200)[0]
        for low, high in ((0.0, edge), (edge, top))
    )
    share = quad(density, 0.0, edge, limit=200)[0]
    bound, rise = longer(np.array(moved) - computed, np.array(chunk), 1.0)
    value = moved * bound + computed * (1 - bound) + chunk * rise
    assert float(value) == pytest.approx(expected, rel=1e-5, abs=1e-12)
    assert float(bound) == pytest.approx(share if moved > computed else 0.0, abs=1e-6)


def test_a_swinging_batch_tells_the_cost_of_a_step_without_any_hardware_facts() -> None:
    """Two hours between 6 and 60 sequences: a within 2 %, and said to be identified."""
    server = Linear()
    a = fitted(swinging(server)).coefficients["step_s"]
    assert a.identified
    assert a.estimate.evidence is Evidence.FITTED
    assert a.estimate.value == pytest.approx(server.step_s, rel=0.02)
    assert a.estimate.low < server.step_s < a.estimate.high


@pytest.mark.parametrize("step_s", [0.004, 0.02])
def test_live_data_overrule_the_roofline(step_s: float) -> None:
    """An H100 reads 16 GB of weights in about 6 ms: a step of 4 or 20 ms is believed all the same."""
    a = fitted(swinging(Linear(step_s=step_s)), H100).coefficients["step_s"]
    assert a.estimate.value == pytest.approx(step_s, rel=0.05)


def test_a_pinned_batch_identifies_nothing() -> None:
    """At a batch of 32 all the time, what a step costs and what a sequence costs are one figure."""
    parts = [Linear().part(32, number=k) for k in range(24)]
    model = fitted(parts)
    found = model.coefficients
    assert not any(one.identified for one in found.values())
    assert found["step_s"].estimate.evidence is Evidence.MODELLED
    assert found["step_s"].estimate.high > 1.1 * found["step_s"].estimate.low


def test_the_busy_time_is_explained_even_where_no_coefficient_is() -> None:
    """Pinned batch: the sum of all costs is the 300 s of each span."""
    parts = [Linear().part(32, number=k) for k in range(24)]
    found = shares(fitted(parts), parts)
    assert not isinstance(found, Missing)
    assert found.busy_s == pytest.approx(24 * 300, rel=0.02)


def test_few_wrong_spans_move_little() -> None:
    """Two of 24 spans whose timer says half: a within 4 %."""
    server = Linear()
    parts = swinging(server)
    for k in (5, 17):
        parts[k] = server.part(SWING[k], number=k, busy_factor=0.5)
    a = fitted(parts).coefficients["step_s"]
    assert a.estimate.value == pytest.approx(server.step_s, rel=0.04)


def test_the_prefill_share_is_the_servers() -> None:
    """By hand: at batch B a step holds B / 250 prompts of 1000 tokens of 3e-5 s each: 0.12 ms a sequence."""
    server = Linear()
    parts = swinging(server)
    prefill = sum(0.12e-3 * batch * part.totals.deltas["steps_total"] for batch, part in zip(SWING, parts, strict=True))
    found = shares(fitted(parts), parts)
    assert not isinstance(found, Missing)
    assert found.shares["marginal"].value == pytest.approx(prefill / (24 * 300), abs=0.02)


def test_the_error_on_spans_that_were_not_fitted_is_published() -> None:
    """Exact data are predicted within 1 %; spans whose timer errs by 20 % either way are not."""
    server = Linear()
    exact = fitted(swinging(server)).held_out_error
    noisy = [server.part(b, number=k, busy_factor=0.8 + 0.2 * (k % 2), gaps=False) for k, b in enumerate(SWING)]
    wrong = fitted(noisy).held_out_error
    assert exact is not None
    assert wrong is not None
    assert exact < 0.01 < wrong


def test_too_little_traffic_is_said() -> None:
    model = fit([Linear().part(10, number=k) for k in range(MIN_BLOCKS - 1)], UNKNOWN)
    assert model == Missing(f"traffic in only {MIN_BLOCKS - 1} spans of this epoch: {MIN_BLOCKS} are needed")
    short = fit([Linear().part(10, number=0)], UNKNOWN)
    assert isinstance(short, Missing)
    assert "minutes of traffic" in short.reason


@pytest.mark.parametrize(
    ("counter", "said"),
    [("steps_total", "counts no steps"), ("decode_sequence_steps_total", "counts no decode batches")],
)
def test_a_missing_counter_is_named(counter: str, said: str) -> None:
    parts = swinging(Linear())
    for part in parts:
        part.totals.deltas[counter] = None  # type: ignore[index]
    model = fit(parts, UNKNOWN)
    assert isinstance(model, Missing)
    assert said in model.reason


def test_one_sequence_at_a_time_meets_no_other() -> None:
    """Batch 1 throughout: every prefill runs alone."""
    seen = blocks([Linear().part(1.0, number=k) for k in range(3)])
    assert isinstance(seen, Blocks)
    assert (seen.alone == 1).all()


def test_preempted_requests_are_computed_again() -> None:
    """One preemption of a context of 1000 + 250 / 2 tokens adds 1125 prompt tokens."""
    part = Linear().part(10.0)
    before = part.totals.deltas["prefill_tokens_total"]
    part.totals.deltas["preemptions_total"] = 1.0  # type: ignore[index]
    seen = blocks([part])
    assert isinstance(seen, Blocks)
    assert before is not None
    assert seen.prefill_tokens[0] - before == pytest.approx(1125)


def test_neighbouring_parts_add_up() -> None:
    """Seven parts into at most three: 3 + 3 + 1; the duty cycle is that of the parts that have one."""
    duties = (None, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
    parts = [replace(Linear().part(10, number=k), gpu_utilization=u, gpu_error=0.06) for k, u in enumerate(duties)]
    found = merged(parts, 3)
    assert [part.totals.windows for part in found] == [180, 180, 60]
    assert found[0].gpu_utilization == pytest.approx((0.1 + 0.2) / 2)
    assert found[0].gpu_error == pytest.approx(0.06 / 2**0.5)


@given(st.lists(st.sampled_from([0.0, 1.0, 60.0, 300.0, 3600.0]), max_size=60), st.integers(1, 12))
def test_merged_parts_are_few_and_leave_nothing_out(spans_s: list[float], limit: int) -> None:
    parts = [Part(replace(Linear().part(10).totals, covered_s=span_s)) for span_s in spans_s]
    found = merged(parts, limit)
    assert len(found) <= limit
    assert sum(part.totals.windows for part in found) == sum(part.totals.windows for part in parts)


def test_hours_and_minutes_merge_into_parts_of_like_length() -> None:
    """144 hours and 288 times five minutes (168 h) into at most 48, so of 3.5 h or more: 36 of 4 h, 6 of 3.5 h, 3 h."""
    lengths_s = [3600.0] * 144 + [300.0] * 288
    parts = [Part(replace(Linear().part(10).totals, covered_s=length_s)) for length_s in lengths_s]
    hours = [part.totals.covered_s / 3600 for part in merged(parts, 48)]
    assert hours == [*[4.0] * 36, *[3.5] * 6, 3.0]


def test_readings_that_scatter_count_less() -> None:
    """0.4 and 0.6 in turn: mean 0.5; 20 readings that differ by 0.1 from it err by about 0.1 / sqrt(20)."""
    mean, error = duty_of([0.4, 0.6] * 10)
    assert mean == pytest.approx(0.5)
    assert error == pytest.approx(0.1 / 20**0.5, rel=0.05)
    assert duty_of([0.5] * 20)[1] < error / 5
    assert duty_of([]) == (None, 0.0)


def test_without_hardware_weight_reads_are_not_told_from_overhead() -> None:
    plain = step_time(fitted(swinging(Linear())))
    assert isinstance(plain.parts, Missing)
    assert plain.overlapped == 0


def test_a_model_is_plain_figures_in_a_report() -> None:
    text = json.dumps(as_plain(step_time(fitted(swinging(Linear()), H100))))
    assert json.loads(text)["coefficients"]["step_s"]["identified"] is True


def untold(server: Linear) -> list[Part]:
    """A page without a count of requests, as llama.cpp's."""
    parts = swinging(server)
    for part in parts:
        for name in ("prefills_total", "requests_finished_total", "inter_token_s_total"):
            part.totals.deltas[name] = None  # type: ignore[index]
    return parts


def test_where_no_requests_are_counted_context_is_part_of_a_sequences_cost() -> None:
    """b is 4e-5 s, and 1125 KV tokens of 5e-8 s: 9.625e-5 s; no KV cost is claimed to be known."""
    model = fitted(untold(Linear()))
    found = model.coefficients
    assert not model.seen.lengths.told
    assert found["step_s"].estimate.value == pytest.approx(Linear().step_s, rel=0.05)
    # A step has 4 prompt tokens a sequence (1000 / 250), of 3e-5 s: the two swing together, only their sum is told.
    sequence_s = found["sequence_s"].estimate.value + 4 * found["prefill_token_s"].estimate.value
    assert sequence_s == pytest.approx(9.625e-5 + 4 * 3e-5, rel=0.05)
    assert not found["kv_token_s"].identified


def test_where_no_requests_are_counted_the_busy_time_of_other_spans_is_predicted() -> None:
    """Fitted to every other span: each of the rest lasts the 300 s it lasts."""
    parts = untold(Linear())
    model = fitted(parts[::2])
    for part in parts[1::2]:
        found = shares(model, [part])
        assert not isinstance(found, Missing)
        assert found.busy_s == pytest.approx(300, rel=0.02)


def test_where_no_requests_are_counted_the_prefill_share_lies_in_its_interval() -> None:
    """By hand as above: 0.12 ms of a step a sequence; prompt and batch swing together, so the interval is wide."""
    parts = untold(Linear())
    prefill = sum(0.12e-3 * batch * part.totals.deltas["steps_total"] for batch, part in zip(SWING, parts, strict=True))
    found = shares(fitted(parts, H100), parts)
    assert not isinstance(found, Missing)
    _, low, high = interval(found.shares["marginal"])
    assert low <= prefill / (24 * 300) <= high


def test_where_no_requests_are_counted_reads_are_not_told_from_the_rest_even_with_hardware_facts() -> None:
    plain = step_time(fitted(untold(Linear()), H100))
    assert isinstance(plain.parts, Missing)
    assert "lengths" in plain.parts.reason
