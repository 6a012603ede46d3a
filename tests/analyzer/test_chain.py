"""The chain in a report: every counter that was told, every rung with what it gave or why not, every coefficient."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analyzer.assumptions import Deployment
from analyzer.chain import FitChain, SpanChain
from analyzer.evidence import Estimate, Evidence, Missing
from analyzer.hardware import resolve
from analyzer.replicas import ReplicaHistory, ReplicaReport, report_replica
from analyzer.samples import Identity
from analyzer.steptime.account import StepTime
from analyzer.steptime.fit import StepModel, fit
from tests.fakes.histories import CHAT, DAY_S, LLAMACPP, VLLM, decode_heavy, replica, totals
from tests.fakes.step_blocks import Linear

UNKNOWN = Deployment("chat")
SWING = [6 + 54 * (1 + np.sin(2 * np.pi * k / 24)) / 2 for k in range(24)]


def reported(known: ReplicaHistory, deployment: Deployment = CHAT) -> ReplicaReport:
    return report_replica(known, deployment, DAY_S + 1)


def rungs(one: ReplicaReport) -> dict[str, tuple[tuple[str, ...], str | None]]:
    recent = one.chain.recent
    assert isinstance(recent, SpanChain)
    return {rung.evidence.value: (rung.gave, rung.reason) for rung in recent.ladder}


def modelled(batches: list[float]) -> ReplicaHistory:
    """A replica with a model fitted to a server of known costs at these batches."""
    model = fit(
        [Linear().part(batch, number=k) for k, batch in enumerate(batches)],
        resolve(VLLM, CHAT),
        max_blocks=len(batches),
    )
    assert isinstance(model, StepModel)
    return replace(replica(decode_heavy()), model=model)


def test_the_chain_holds_every_counter_that_was_told_and_no_other() -> None:
    """What was not reported is not there: 0 would be a lie."""
    history = decode_heavy()
    chain = reported(replica(history)).chain.history
    assert isinstance(chain, SpanChain)

    assert chain.deltas == {name: value for name, value in history.deltas.items() if value is not None}
    assert "preemptions_total" not in chain.deltas
    assert (chain.windows, chain.covered_s, chain.gpu_utilization) == (10, DAY_S, 0.9)


def test_a_replica_without_a_window_has_no_chain_and_says_why() -> None:
    one = reported(replica(None))

    assert isinstance(one.chain.recent, Missing)
    assert isinstance(one.chain.history, Missing)
    assert isinstance(one.chain.fit, Missing)


def test_timers_give_the_exclusive_share_and_the_lower_rungs_say_why_they_did_not() -> None:
    """One slot: 20 s of prefill and 60 s of decode. Nothing is known of the hardware."""
    timed = totals(100.0, prefill_s_total=20.0, decode_s_total=60.0)
    found = rungs(reported(replica(timed, identity=LLAMACPP, busy=None), UNKNOWN))

    assert found["measured"] == (("busy", "prefill_marginal", "prefill_exclusive"), None)
    assert found["fitted"][0] == ()
    assert "no step-time model" in str(found["fitted"][1])
    assert found["modelled"] == ((), "not needed: a better rung told them")
    assert found["assumed"][0] == ()


def test_without_timers_and_model_the_roofline_tells_and_the_upper_rungs_say_why_not() -> None:
    found = rungs(reported(replica(decode_heavy())))

    assert found["measured"] == (("busy",), "the engine has no per-phase timer")
    assert found["fitted"] == ((), "no step-time model is fitted to this replica yet")
    assert found["modelled"] == (("prefill_marginal", "prefill_exclusive", "memory_bound"), None)


def test_with_nothing_known_every_rung_has_its_reason() -> None:
    found = rungs(reported(replica(decode_heavy(), identity=Identity("vllm"), busy=None), UNKNOWN))

    assert all(reason for _, reason in found.values())
    assert found["modelled"][1] == "the GPU is not known: set deployments[].gpu"


def test_the_fitted_rung_gives_the_shares_once_there_is_a_model() -> None:
    one = reported(modelled(SWING))
    gave, reason = rungs(one)["fitted"]

    assert gave == ("prefill_marginal", "prefill_exclusive", "memory_bound")
    prefill = one.phases.prefill_marginal
    assert isinstance(prefill, Estimate)
    assert (reason is None) == (prefill.evidence is Evidence.FITTED)


def test_a_model_that_live_data_do_not_decide_says_that_its_figures_are_modelled() -> None:
    """The batch stands still."""
    gave, reason = rungs(reported(modelled([8.0] * 12)))["fitted"]

    assert "prefill_marginal" in gave
    assert reason == "live data do not decide what a step costs: modelled only"


@pytest.mark.parametrize("batches", [SWING, [8.0] * 12])
def test_a_coefficient_is_identified_or_says_why_not(batches: list[float]) -> None:
    one = reported(modelled(batches))
    model, chain = one.step_time, one.chain.fit
    assert isinstance(model, StepTime)
    assert isinstance(chain, FitChain)

    assert chain.origins.keys() == model.coefficients.keys()
    for name, known in model.coefficients.items():
        assert (chain.origins[name].why_not is None) == known.identified
    assert sum(one.weight for one in chain.assumptions) == pytest.approx(1)


def test_the_prior_beside_a_coefficient_is_the_rooflines() -> None:
    """8.03e9 weights less the embedding table, 2 bytes each, at 86.5 % of 3.35 TB/s: 5.18 ms; 32 layers, 35 us each."""
    chain = reported(modelled(SWING)).chain.fit
    assert isinstance(chain, FitChain)
    prior = chain.origins["step_s"].prior

    assert prior.value == pytest.approx(5.18e-3 + 1.12e-3, rel=0.005)
    assert prior.low < prior.value < prior.high
    assert (prior.evidence, prior.method) == (Evidence.MODELLED, "roofline_prior")


def test_the_lengths_are_those_that_the_model_was_fitted_with() -> None:
    """Prompts of 1,000 and answers of 250 tokens: 1,000 + 250 / 2 tokens of context."""
    chain = reported(modelled(SWING)).chain.fit
    assert isinstance(chain, FitChain)

    assert (chain.lengths.context, chain.lengths.prefill) == pytest.approx((1125.0, 1000.0))
