"""Other GPUs and fewer of them: measured costs are scaled by data sheets, and weights have to fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analyzer.assumptions import Deployment, OtherGpu, Policy, Price
from analyzer.elsewhere import elsewhere, on_other
from analyzer.evidence import Estimate, Evidence, Missing
from analyzer.facts.gpus import find_gpu
from analyzer.replicas import ReplicaHistory, fit_replica
from analyzer.report import analyse
from analyzer.samples import Identity
from analyzer.steptime.fit import StepModel
from analyzer.steptime.prior import COMPUTE, KV, OVERHEAD, PREFILL, WEIGHTS
from analyzer.windows import add_up
from tests.fakes.histories import CHAT, DAY_S, replica
from tests.fakes.step_blocks import Linear

MODEL = "meta-llama/Llama-3.1-8B-Instruct"
PARTS = [Linear().part(batch, number=number) for number, batch in enumerate([2, 4, 8, 12, 16, 20, 10, 6] * 3)]
OTHER = (OtherGpu("H200", Price(3.0, "quote", 0.0)),)


def known(deployment: Deployment = CHAT, identity: Identity | None = None) -> ReplicaHistory:
    whole = add_up([part.totals for part in PARTS])
    told = Identity("vllm", model_path=MODEL, mixed_steps=True, kv_capacity_tokens=400_000)
    one = replace(replica(whole), identity=told if identity is None else identity, parts=tuple(PARTS))
    return replace(one, model=fit_replica(one, deployment))


def test_reads_go_by_bandwidth_arithmetic_by_its_rate_and_overhead_stays() -> None:
    """An H200 reads 4.8 TB/s where an H100 reads 3.35, and multiplies as fast."""
    before = known()
    after = on_other(before, CHAT, replace(CHAT, gpu="H200"))
    old, new = find_gpu("H100 SXM 80GB"), find_gpu("H200")
    assert old is not None
    assert new is not None
    assert old.bandwidth_bytes_per_s is not None
    assert new.bandwidth_bytes_per_s is not None
    assert isinstance(before.model, StepModel)
    assert isinstance(after.model, StepModel)
    shift = np.exp(after.model.hypotheses[0].logs - before.model.hypotheses[0].logs)
    reads, sums = old.bandwidth_bytes_per_s / new.bandwidth_bytes_per_s, old.bf16_flops_per_s / new.bf16_flops_per_s

    assert shift[[WEIGHTS, KV]] == pytest.approx([reads, reads])
    assert shift[[COMPUTE, PREFILL]] == pytest.approx([sums, sums])
    assert shift[OVERHEAD] == pytest.approx(1.0)
    assert not after.model.decided


def test_the_same_gpus_change_nothing_of_what_was_measured() -> None:
    before = known()
    after = on_other(before, CHAT, replace(CHAT, price=None))

    assert after.model is before.model
    assert after.identity == before.identity


def test_more_memory_holds_more_kv_tokens() -> None:
    """0.9 of the H200's 61 GB more, over 131,072 bytes a token of Llama 3.1 8B."""
    after = on_other(known(), CHAT, replace(CHAT, gpu="H200"))
    old, new = find_gpu("H100 SXM 80GB"), find_gpu("H200")
    assert old is not None
    assert new is not None
    more = 0.9 * (new.memory_bytes - old.memory_bytes) / 131_072

    assert after.identity.kv_capacity_tokens == pytest.approx(400_000 + more, abs=1)


def test_another_gpu_carries_more_and_is_told_with_its_price() -> None:
    asked = replace(CHAT, other_gpus=OTHER)
    made = analyse([known(asked)], [asked], {}, Policy(min_history_s=0), now_s=DAY_S, recent_s=300, history_s=DAY_S)
    (one,) = made.deployments
    plain = next(option for option in one.options if option.scheme is None)

    assert {option.gpu for option in one.options} == {"H200 SXM"}
    assert {option.scheme for option in one.options} == {None, *CHAT.schemes}
    assert isinstance(plain.capacity_per_s, Estimate)
    assert isinstance(one.capacity.capacity_per_s, Estimate)
    assert plain.capacity_per_s.value > one.capacity.capacity_per_s.value
    assert plain.capacity_per_s.evidence is Evidence.MODELLED
    assert isinstance(plain.usd_per_month, Estimate)
    assert isinstance(plain.replicas, Estimate)
    assert plain.usd_per_month.value == pytest.approx(plain.replicas.value * 3.0 * 730)


def test_seventy_billion_parameters_fit_one_gpu_only_in_four_bits() -> None:
    """141 GB in 16 bits on two GPUs; on one H100 of 80 GB they do not fit, nor in 8 bits beside a cache; 4 bits do."""
    large = "meta-llama/Llama-3.1-70B-Instruct"
    asked = replace(CHAT, gpus_per_replica=2, tensor_parallel_choices=(1,), schemes=("w4a16",), model=large)
    told = Identity("vllm", model_path=large, mixed_steps=True, kv_capacity_tokens=10_000)
    found = {one.scheme: one.capacity_per_s for one in elsewhere(known(asked, told), asked)}
    unable = found[None]

    assert isinstance(unable, Missing)
    assert "do not fit 1 x H100 SXM 80GB" in unable.reason
    assert isinstance(found["w4a16"], Estimate)


def test_without_stated_choices_there_are_no_options() -> None:
    made = analyse([known()], [CHAT], {}, Policy(min_history_s=0), now_s=DAY_S, recent_s=300, history_s=DAY_S)

    assert made.deployments[0].options == ()
