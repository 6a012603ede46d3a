"""What a scheme did is told by two fitted models on one replica's work, with an interval, or there is a reason."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.assumptions import Deployment, Policy
from analyzer.canary import NO_CANARY, PER_FORMAT, Canary, canary_of, served, tried_of, watched
from analyzer.evidence import Estimate, Evidence, Missing
from analyzer.hardware import resolve
from analyzer.replicas import NO_BUSY, ReplicaHistory, predict_replica
from analyzer.report import analyse
from analyzer.samples import Identity, ReplicaKey
from analyzer.steptime.fit import StepModel, fit
from tests.fakes.histories import CHAT, DAY_S, VLLM, decode_heavy, replica
from tests.fakes.modelled import SWING
from tests.fakes.step_blocks import Linear

PLAIN = Linear()
FP8 = replace(VLLM, quantization="fp8")
QUANTIZED = replace(PLAIN, step_s=0.0048, sequence_s=3e-5, prefill_token_s=2e-5)
LIGHTER = tuple(0.6 * batch for batch in SWING)


def history(
    server: Linear,
    number: int,
    identity: Identity = VLLM,
    batches: tuple[float, ...] = SWING,
    deployment: Deployment = CHAT,
) -> ReplicaHistory:
    """A replica of known costs with the model that is fitted to it, and what that predicts."""
    parts = [server.part(batch, number=k) for k, batch in enumerate(batches)]
    model = fit(parts, resolve(identity, deployment))
    assert isinstance(model, StepModel)
    known = replace(replica(decode_heavy(), number=number, identity=identity), parts=tuple(parts), model=model)
    return replace(known, predicted=predict_replica(known, deployment, NO_BUSY), compared=True)


def compared(*fleet: ReplicaHistory, scheme: str = "fp8-w8a8", deployment: Deployment = CHAT) -> Canary | Missing:
    return canary_of(scheme, [tried_of(one, deployment) for one in fleet])


def true_speedup(before: Linear, after: Linear) -> float:
    """By hand: seconds of the steps that `before` made, at its costs and at those of `after`."""
    then_s = now_s = 0.0
    for batch in SWING:
        steps = before.part(batch).totals.deltas["steps_total"]
        assert steps is not None
        for server in (before, after):
            context, prompts = before.prompt + before.output / 2, batch / before.output
            step_s = server.step_s + batch * (server.sequence_s + server.kv_token_s * context)
            step_s += prompts * before.prompt * server.prefill_token_s
            if server is before:
                then_s += steps * step_s
            else:
                now_s += steps * step_s
    return then_s / now_s


def test_the_realised_speedup_is_that_of_one_replicas_work_although_the_two_carry_different_loads() -> None:
    """The canary has 0.6 of the other's batch, so that its own steps are shorter than the scheme makes them."""
    found = compared(history(PLAIN, 0), history(QUANTIZED, 1, FP8, LIGHTER))

    assert isinstance(found, Canary)
    truth = true_speedup(PLAIN, QUANTIZED)
    assert found.realised.value == pytest.approx(truth, rel=0.03)
    assert found.realised.low < truth < found.realised.high
    assert found.realised.evidence is Evidence.FITTED
    assert (found.beside.target, found.canary.target) == tuple(f"http://127.0.0.1:800{n}/metrics" for n in (0, 1))


def test_the_ratio_is_realised_over_predicted_with_the_interval_of_what_was_realised() -> None:
    found = compared(history(PLAIN, 0), history(QUANTIZED, 1, FP8, LIGHTER))

    assert isinstance(found, Canary)
    assert isinstance(found.predicted, Estimate)
    assert isinstance(found.ratio, Estimate)
    for end in ("low", "value", "high"):
        assert getattr(found.ratio, end) == pytest.approx(getattr(found.realised, end) / found.predicted.value)


@given(factor=st.floats(0.4, 2.5))
def test_a_canary_that_is_so_many_times_as_slow_realises_so_much_less(factor: float) -> None:
    """All costs times a factor: 1 / factor, whatever the prior expects."""
    slower = Linear(*(factor * cost for cost in (0.008, 4e-5, 5e-8, 3e-5)))
    found = compared(history(PLAIN, 0), history(slower, 1, FP8))

    assert isinstance(found, Canary)
    assert found.realised.value == pytest.approx(1 / factor, rel=0.05)


def test_replicas_that_serve_alike_are_no_canary() -> None:
    assert compared(history(PLAIN, 0), history(PLAIN, 1)) == NO_CANARY
    assert compared(history(PLAIN, 0, FP8), history(PLAIN, 1, FP8)) == NO_CANARY
    assert compared(history(PLAIN, 0), history(QUANTIZED, 1, FP8), scheme="w4a16") == NO_CANARY


def test_a_replica_whose_model_is_not_decided_by_live_data_is_named() -> None:
    """At one batch nothing tells a step's own cost from a sequence's: the prior would be compared with itself."""
    canary = history(QUANTIZED, 1, FP8, (12.0,) * 24)

    found = compared(history(PLAIN, 0), canary)

    assert found == Missing(f"{canary.replica.target}: live data do not decide yet what a step of it costs")


def test_a_replica_without_a_model_says_why() -> None:
    canary = replace(history(QUANTIZED, 1, FP8), model=Missing("only 3 minutes of traffic"))

    assert compared(history(PLAIN, 0), canary) == Missing(f"{canary.replica.target}: only 3 minutes of traffic")


@pytest.mark.parametrize(
    ("identity", "told"),
    [
        (replace(FP8, engine_version="0.16.0"), "engine version 0.16.0, not 0.10.2 as"),
        (replace(FP8, engine="sglang", engine_version=None), "engine sglang, not vllm as"),
    ],
)
def test_replicas_that_differ_in_more_than_their_format_are_not_compared(identity: Identity, told: str) -> None:
    before = history(PLAIN, 0, replace(VLLM, engine_version="0.10.2"))

    found = compared(before, history(QUANTIZED, 1, identity))

    assert isinstance(found, Missing)
    assert told in found.reason


def test_a_canary_on_another_gpu_is_not_compared() -> None:
    """Where the operator states no GPU, each replica's own counts."""
    open_ = replace(CHAT, gpu=None)
    before = history(PLAIN, 0, replace(VLLM, gpu="H100 SXM 80GB"), deployment=open_)
    canary = history(QUANTIZED, 1, replace(FP8, gpu="L40S 48GB"), deployment=open_)

    found = compared(before, canary, deployment=open_)

    assert isinstance(found, Missing)
    assert "GPU L40S, not H100 SXM 80GB as" in found.reason


def test_a_canary_that_gets_other_requests_is_not_compared() -> None:
    """Prompts of 4,000 tokens beside those of 1,000."""
    found = compared(history(PLAIN, 0), history(replace(QUANTIZED, prompt=4000.0), 1, FP8))

    assert isinstance(found, Missing)
    assert "has other requests" in found.reason


def test_the_pair_that_tells_most_is_taken() -> None:
    """A third replica whose load hardly varies knows less of its steps."""
    vague = history(QUANTIZED, 2, FP8, tuple(30 + 8 * (k % 2) for k in range(24)))
    sure = history(QUANTIZED, 1, FP8, LIGHTER)

    found = compared(history(PLAIN, 0), vague, sure)

    assert isinstance(found, Canary)
    assert found.canary == sure.replica


@pytest.mark.parametrize(
    ("quantization", "kv", "schemes"),
    [
        (None, None, set()),
        ("bf16", "auto", set()),
        ("fp8", None, {"fp8-w8a8"}),
        (None, "fp8", {"kv-fp8"}),
        ("awq", "fp8_e4m3", {"w4a16", "kv-fp8"}),
        ("compressed-tensors", None, None),
    ],
)
def test_what_a_replica_serves_is_told_by_its_identity(
    quantization: str | None, kv: str | None, schemes: set[str] | None
) -> None:
    assert served(replace(VLLM, quantization=quantization, kv_dtype=kv)) == schemes


def test_few_replicas_of_each_format_are_watched_and_none_of_a_fleet_of_one() -> None:
    fleet = [
        (name, ReplicaKey(f"http://{name}-{number}/metrics", "m"), replace(VLLM, quantization=quantization))
        for name, formats in (("mixed", (None, "fp8")), ("alike", (None, None)))
        for quantization in formats
        for number in range(5)
    ]
    fleet = [(name, replace(key, rank=str(at)), identity) for at, (name, key, identity) in enumerate(fleet)]

    found = watched(fleet)

    told = [(name, identity.quantization) for name, key, identity in fleet if key in found]
    assert sorted(told, key=str) == [("mixed", "fp8")] * PER_FORMAT + [("mixed", None)] * PER_FORMAT


@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.integers(0, 30), st.sampled_from([None, "fp8", "awq", "modelopt"])),
        unique_by=lambda one: one[1],
    )
)
def test_every_deployment_of_several_formats_has_each_of_them_watched(fleet: list[tuple[str, int, str | None]]) -> None:
    members = [
        (name, ReplicaKey(f"http://{number}", "m"), replace(VLLM, quantization=told)) for name, number, told in fleet
    ]

    found = watched(members)

    for name in "ab":
        own = [(key, served(identity)) for of, key, identity in members if of == name]
        formats = {schemes for _, schemes in own} - {None}
        seen = [schemes for key, schemes in own if key in found]
        assert set(seen) == (formats if len(formats) > 1 else set())
        assert all(seen.count(schemes) <= PER_FORMAT for schemes in formats)


def test_a_report_has_the_canary_of_each_scheme_that_a_replica_serves() -> None:
    fleet = [history(PLAIN, 0), history(QUANTIZED, 1, FP8, LIGHTER)]

    report = analyse(fleet, [CHAT], {}, Policy(), now_s=DAY_S + 1, recent_s=300, history_s=7 * DAY_S)

    canaries = {one.scheme: one.canary for one in report.deployments[0].schemes}
    assert isinstance(canaries["fp8-w8a8"], Canary)
    assert canaries["w4a16"] == NO_CANARY
