"""The overlapped law over all classes and blocks at once is what its steps take one by one."""

from __future__ import annotations

from math import exp

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.steptime.blocks import Blocks, blocks
from analyzer.steptime.laws import Law, Steps, classify, one_prefill, spent
from analyzer.steptime.prior import COMPUTE, KV, OVERHEAD, PREFILL, SEQUENCE, WEIGHTS
from tests.fakes.step_blocks import Linear


def one_step(values: list[float], batch: float, tokens: float, context: float, few: float) -> dict[int, float]:
    """Seconds of one step by coefficient: `tokens` prompt tokens beside `batch` sequences, a share `few` scattered."""
    weights, read = values[WEIGHTS], values[KV] * context * batch
    computed, chunk = values[COMPUTE] * batch, values[PREFILL] * tokens
    spare = max(weights + read - computed, 0.0)
    times = 2 * spare / max(chunk, 1e-15)
    exceeded = few * exp(-times) * (1 + times) + (1 - few) * (chunk > spare)
    by_bytes = 1 - exceeded if weights + read > computed else 0.0
    return {
        WEIGHTS: weights * by_bytes,
        OVERHEAD: values[OVERHEAD],
        COMPUTE: computed * (1 - by_bytes),
        SEQUENCE: values[SEQUENCE] * batch,
        KV: read * by_bytes,
        PREFILL: chunk * (exceeded + few * exp(-times) * times**2 / 2),
    }


def of_block(values: list[float], seen: Blocks, steps: Steps, at: int) -> dict[str, np.ndarray]:
    """Seconds of one block by coefficient and sum: so many steps of each class, each taken alone."""
    few, context = float(1 / steps.chunks[0]), seen.lengths.context
    pure, met = float(steps.pure_batch[at]), float(steps.met_batch[at])
    decode = one_step(values, pure, 0.0, context, 0.0)
    mixed = one_step(values, met, float(steps.mixed_tokens[at]), context, few)
    without = one_step(values, met, 0.0, context, 0.0)
    alone = one_step(values, 0.0, float(steps.alone_tokens[at]), context, few)
    counts = float(steps.pure[at]), float(steps.mixed[at]), float(steps.alone[at])
    crowd = 1 + float(seen.batch_spread[at])
    found = {name: np.zeros(6) for name in ("busy", "gaps", "exclusive", "marginal")}
    for one in range(6):
        spread = crowd if one in (COMPUTE, SEQUENCE, KV) else 1.0
        found["exclusive"][one] = counts[1] * mixed[one] + counts[2] * alone[one]
        found["busy"][one] = counts[0] * decode[one] + found["exclusive"][one]
        found["gaps"][one] = counts[0] * pure * spread * decode[one] + counts[1] * met * mixed[one]
        found["marginal"][one] = counts[1] * (mixed[one] - without[one]) + counts[2] * alone[one]
    return found


@st.composite
def cases(draw: st.DrawFn) -> tuple[Blocks, list[float]]:
    """Blocks under any load, and any coefficients: bytes may decide, or arithmetic."""
    server = Linear(prompt=draw(st.floats(1, 30_000)), output=draw(st.floats(2, 2000)))
    batches = draw(st.lists(st.floats(0.2, 250), min_size=1, max_size=4))
    seen = blocks([server.part(batch, number=k) for k, batch in enumerate(batches)])
    assert isinstance(seen, Blocks)
    tops = (0.1, 0.01, 1e-3, 1e-4, 1e-6, 1e-3)
    return seen, [draw(st.floats(top / 1000, top)) for top in tops]


@given(cases(), st.lists(st.sampled_from([512.0, 2048.0, 8192.0]), min_size=1, max_size=3))
def test_all_steps_at_once_take_what_each_takes_alone(case: tuple[Blocks, list[float]], limits: list[float]) -> None:
    seen, values = case
    taken = spent(Law.OVERLAPPED, np.tile(values, (len(limits), 1)), seen, classify(seen, np.array(limits)))
    for row, limit in enumerate(limits):
        for at in range(len(seen)):
            expected = of_block(values, seen, classify(seen, limit), at)
            whole = expected["busy"].sum()
            for name, seconds in expected.items():
                found = getattr(taken, name)[row, :, at]
                scale = whole * (seen.sequence_steps[at] if name == "gaps" else 1)
                assert found == pytest.approx(seconds, rel=1e-9, abs=1e-9 * scale), name


@given(cases(), st.sampled_from([512.0, 2048.0, 8192.0]), st.sampled_from(list(Law)))
def test_a_request_waits_for_its_own_chunks_each_beside_the_mean_batch(
    case: tuple[Blocks, list[float]], limit: float, law: Law
) -> None:
    """Full chunks: their bytes and their arithmetic one after the other, or the longer of both."""
    seen, values = case
    chunks = max(1.0, seen.lengths.prefill / limit)
    batch = float(np.average(seen.met_batch, weights=seen.covered_s))
    moved = chunks * (values[WEIGHTS] + values[KV] * seen.lengths.context * batch)
    computed = chunks * values[COMPUTE] * batch + values[PREFILL] * seen.lengths.prefill
    own = chunks * (values[OVERHEAD] + values[SEQUENCE] * batch)
    request = one_prefill(seen, classify(seen, limit))
    taken = spent(law, np.array(values), seen, request).exclusive
    together = moved + computed if law is Law.ADDITIVE else max(moved, computed)
    assert taken.shape == (6, 1)
    assert float(taken.sum()) == pytest.approx(own + together, rel=1e-9)
