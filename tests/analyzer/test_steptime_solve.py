"""Hypotheses solved at once are the ones solved one by one, and slopes are those of what is predicted."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from analyzer.assumptions import Deployment
from analyzer.evidence import Missing
from analyzer.hardware import resolve
from analyzer.samples import Identity
from analyzer.steptime.blocks import Blocks, blocks
from analyzer.steptime.equations import equations
from analyzer.steptime.laws import Law
from analyzer.steptime.prior import Prior, prior
from analyzer.steptime.solve import solve
from tests.fakes.step_blocks import Linear

LIMITS = (512.0, 2048.0, 8192.0)


def swinging(server: Linear | None = None, batch: float = 33.0) -> tuple[Blocks, Prior]:
    """Two hours of long prompts on an H100, the batch swinging by 80 %, and the roofline's prior."""
    server = server or Linear(prompt=4000.0)
    seen = blocks([server.part(batch * (1 + 0.8 * np.sin(k / 4)), number=k) for k in range(24)])
    assert isinstance(seen, Blocks)
    hardware = resolve(
        Identity("vllm", model_path="meta-llama/Llama-3.1-8B-Instruct", dtype="bfloat16"),
        Deployment("d", gpu="NVIDIA H100 80GB HBM3", gpus_per_replica=1),
    )
    assert not isinstance(hardware, Missing)
    return seen, prior(hardware, seen.traffic)


def test_hypotheses_solved_together_do_not_disturb_one_another() -> None:
    """Alone, each of the likely ones settles at the same place, within a fifth of its standard deviations."""
    seen, before = swinging()
    together = solve(equations(seen, tuple(Law), LIMITS), before, len(seen))
    hypotheses = [(law, limit) for law in Law for limit in LIMITS]
    for k, (law, limit) in enumerate(hypotheses):
        alone = solve(equations(seen, (law,), (limit,)), before, len(seen))
        if together.cost[k] > together.cost.min() + 5:
            continue
        apart = together.logs[k] - alone.logs[0]
        assert apart @ np.linalg.solve(alone.covariance[0], apart) < 0.2**2
        assert together.cost[k] == pytest.approx(alone.cost[0], abs=0.05)


@pytest.mark.parametrize("output", [100.0, 300.0])
def test_half_a_standard_deviation_from_the_end_nothing_is_likelier(output: float) -> None:
    """Steps quicker than the prior has them, so that arithmetic that may hide decides: the law has a kink there."""
    server = Linear(step_s=0.004, sequence_s=1e-5, kv_token_s=1e-8, prompt=400.0, output=output)
    seen, before = swinging(server, batch=60.0)
    known = equations(seen, tuple(Law), LIMITS)
    found = solve(known, before, len(seen))
    sd = known.deviations(found.logs, len(seen))

    def cost(logs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Residuals r in standard deviations cost 4 (sqrt(1 + (r / 2)^2) - 1), which is r^2 / 2 where r is small."""
        residuals = known.residuals(known.predicted(logs)[0], sd)
        whole: NDArray[np.float64] = 4 * (np.sqrt(1 + (residuals / 2) ** 2) - 1).sum(axis=-1)
        return whole + (before.residuals(logs) ** 2).sum(axis=-1) / 2

    spread, axes = np.linalg.eigh(found.covariance)
    for axis in range(6):
        away = 0.5 * np.sqrt(spread[:, axis, None]) * axes[:, :, axis]
        for nearby in (found.logs + away, found.logs - away):
            assert (cost(nearby) > cost(found.logs) - 0.01).all()


@pytest.mark.parametrize("law", list(Law))
def test_slopes_are_those_of_the_predictions(law: Law) -> None:
    """By central differences of 1e-5 in each log coefficient."""
    seen, before = swinging()
    known = equations(seen, (law,), LIMITS)
    logs = np.tile(before.mean + 0.1, (len(LIMITS), 1))
    _, slopes = known.predicted(logs)
    for index in range(6):
        nudge = 1e-5 * np.eye(6)[index]
        rise = known.predicted(logs + nudge)[0] - known.predicted(logs - nudge)[0]
        assert slopes[:, index] == pytest.approx(rise / 2e-5, rel=2e-3, abs=1e-3 * float(np.abs(rise).max()) / 2e-5)


def test_every_other_block_is_fitted_or_tested_never_both() -> None:
    seen, _ = swinging()
    fitted, tested = equations(seen, (Law.ADDITIVE,), (512.0, 512.0)).every_other()
    assert not (fitted & tested).any()
    assert (fitted[0] | fitted[1]).all()
    assert tested.any(axis=1).all()
