"""SM activity in the step-time fit: it splits a step's constant into reads and overhead, and leaves the rest alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analyzer.assumptions import Deployment
from analyzer.evidence import Missing
from analyzer.hardware import resolve
from analyzer.samples import GpuSample, Identity, ReplicaSample
from analyzer.steptime.account import SpanShares, shares
from analyzer.steptime.activity import ARITHMETIC, LAUNCHES, MEANS, READS, active
from analyzer.steptime.fit import StepModel, fit
from analyzer.steptime.parts import Part, in_spans, together
from tests.fakes.histories import KEY
from tests.fakes.step_blocks import Linear

LLAMA = Identity("vllm", model_path="meta-llama/Llama-3.1-8B-Instruct", dtype="bfloat16")
H100 = resolve(LLAMA, Deployment("d", gpu="NVIDIA H100 80GB HBM3", gpus_per_replica=1))
READ_S, OVERHEAD_S = 5.6e-3, 2.4e-3
"""Of Linear's 8 ms a step: 15 GB at 80 % of 3.35 TB/s, and the rest between kernels."""
SEQUENCE_COMPUTE_S, PREFILL_S = 3e-5, 3e-5
SWING = [6 + 54 * (1 + np.sin(2 * np.pi * k / 24)) / 2 for k in range(24)]


def part(number: int, batch: float, *, told: bool, overhead_s: float = OVERHEAD_S) -> Part:
    """A busy span, with the SM activity of a server whose steps lose `overhead_s` between kernels, if `told`."""
    server = Linear()
    one = server.part(batch, number=number)
    if not told:
        return one
    totals = one.totals
    steps, sequences = totals.deltas["steps_total"], totals.deltas["decode_sequence_steps_total"]
    prompts = totals.deltas["prefill_tokens_total"]
    assert steps is not None
    assert sequences is not None
    assert prompts is not None
    context = server.prompt + server.output / 2
    reads_s = steps * (server.step_s - overhead_s) + sequences * server.kv_token_s * context
    sums_s = sequences * SEQUENCE_COMPUTE_S + prompts * PREFILL_S
    rest_s = totals.covered_s - reads_s - sums_s
    held_s = MEANS[READS] * reads_s + MEANS[ARITHMETIC] * sums_s + MEANS[LAUNCHES] * rest_s
    return replace(one, sm_active=held_s / totals.covered_s)


def memory_share(parts: list[Part]) -> tuple[float, float]:
    """The memory-bound share of busy time, and its standard deviation."""
    model = fit(parts, H100)
    assert isinstance(model, StepModel), model
    found = shares(model, parts)
    assert isinstance(found, SpanShares)
    one = found.shares["memory"]
    return one.value, one.sd


def truth(overhead_s: float) -> float:
    server = Linear()
    moved = whole = 0.0
    for batch in SWING:
        totals = server.part(batch).totals
        steps, sequences = totals.deltas["steps_total"], totals.deltas["decode_sequence_steps_total"]
        assert steps is not None
        assert sequences is not None
        moved += steps * (server.step_s - overhead_s)
        moved += sequences * server.kv_token_s * (server.prompt + server.output / 2)
        whole += totals.covered_s
    return moved / whole


@pytest.mark.parametrize("overhead_s", [0.6e-3, 2.4e-3])
def test_activity_tells_overhead_from_reads(overhead_s: float) -> None:
    """The same busy seconds with 0.6 and with 2.4 ms between kernels: nothing else that is counted differs."""
    parts = [part(number, batch, told=True, overhead_s=overhead_s) for number, batch in enumerate(SWING)]

    assert memory_share(parts)[0] == pytest.approx(truth(overhead_s), abs=0.03)


def test_activity_narrows_the_memory_bound_share() -> None:
    blind = [part(number, batch, told=False) for number, batch in enumerate(SWING)]
    told = [part(number, batch, told=True) for number, batch in enumerate(SWING)]

    assert memory_share(told)[1] < 0.8 * memory_share(blind)[1]


def test_a_vague_prior_has_no_split_that_activity_could_narrow() -> None:
    """Without hardware facts the fit is the same with and without the counter."""
    blind = fit([part(number, batch, told=False) for number, batch in enumerate(SWING)], Missing("unknown"))
    told = fit([part(number, batch, told=True) for number, batch in enumerate(SWING)], Missing("unknown"))
    assert isinstance(blind, StepModel)
    assert isinstance(told, StepModel)

    assert np.array_equal(blind.hypotheses[0].logs, told.hypotheses[0].logs)


def test_active_seconds_are_shares_of_each_kind_and_their_slopes() -> None:
    """Six seconds of each coefficient: 0.9 of both reads, 1.0 of both sums, 0.1 of both overheads, 24.0 in all."""
    rows = active(np.full((6, 1), 6.0), np.array([0.9, 1.0, 0.1]))

    assert rows[:6].sum() == pytest.approx(2 * 6 * (0.9 + 1.0 + 0.1))
    assert rows[6:, 0] == pytest.approx([10.8, 12.0, 1.2])


def test_activity_is_the_mean_of_a_spans_readings_and_none_where_no_counter_is() -> None:
    one, two = part(0, 10, told=True), part(1, 20, told=False)

    assert together([one, two]).sm_active == one.sm_active
    assert together([two]).sm_active is None


def test_readings_of_a_span_are_averaged() -> None:
    samples = [ReplicaSample(KEY, 1, 10.0 * k, 10.0, steps_total=float(k)) for k in range(7)]
    gpus = [GpuSample("g", 10.0 * k, 10.0, sm_active_ratio=0.2 * (k % 2)) for k in range(1, 7)]
    (only,) = in_spans(samples, gpus, 60.0)

    assert only.sm_active == pytest.approx(0.1)
    assert only.gpu_utilization is None
