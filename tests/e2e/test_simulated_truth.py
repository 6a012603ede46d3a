"""The estimates from simulated vLLM pages, read by the real reader, against the truth that only the simulator knows."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from analyzer.assumptions import Deployment
from analyzer.batching import decode_batch
from analyzer.evidence import Estimate
from analyzer.hardware import Hardware, resolve
from analyzer.phases import PhaseAccount, account
from analyzer.samples import Identity, ReplicaSample, bounds_of
from analyzer.throughput import generation_tokens_per_s, prefill_tokens_per_s
from analyzer.windows import Totals, add_up, pairwise_totals
from collector.jobs.simulated_polls import SimulatedPolls
from collector.simulator.scenarios import SimulatedReplica, build, demo_fleet
from collector.simulator.truth import Truth

INTERVAL_S = 5.0
SPAN_S = 1800.0
STARTS_S = (3600.0, 8 * 3600.0)


@dataclass(frozen=True)
class Seen:
    """Half an hour of polls of one simulated server, and what was true in it."""

    name: str
    totals: Totals
    truth: Truth
    account: PhaseAccount


def watched(replica: SimulatedReplica, start_s: float) -> Seen:
    return asyncio.run(_watched(replica, start_s))


async def _watched(replica: SimulatedReplica, start_s: float) -> Seen:
    polls = SimulatedPolls(replica, exclusive=False)
    samples, utilization = [], []
    for number in range(int(SPAN_S / INTERVAL_S) + 1):
        at_s = start_s + number * INTERVAL_S
        samples.append((await polls.poll(at_s, INTERVAL_S)).sample("t", 1, at_s, INTERVAL_S))
        utilization.append(replica.gpus.read(INTERVAL_S)[0]["utilization_ratio"])
        if number == 0:
            before = replica.server.truth()
    totals = add_up(pairwise_totals(samples))
    assert totals is not None
    gpus = replica.spec.tensor_parallel
    identity = Identity("vllm", model_path=replica.spec.model.name, mixed_steps=True)
    hardware = resolve(identity, Deployment("d", gpu=replica.spec.gpu.name, gpus_per_replica=gpus, weight_bits=16))
    assert isinstance(hardware, Hardware)
    duty = [float(one) for one in utilization if one is not None]
    found = account(totals, identity, hardware, sum(duty) / len(duty))
    return Seen(f"{replica.spec.name} at {start_s:.0f} s", totals, replica.server.truth() - before, found)


def fleets() -> Iterator[Seen]:
    for seed in (11, 12):
        for replica in build(demo_fleet(), seed, 1.7e9):
            for start_s in STARTS_S:
                yield watched(replica, start_s)


@pytest.fixture(scope="module")
def seen() -> list[Seen]:
    return list(fleets())


def value(figure: object) -> float:
    assert isinstance(figure, Estimate), figure
    return figure.value


def test_histograms_told_once_a_minute_hold_every_step_and_request(seen: list[Seen]) -> None:
    """Half an hour from minute to minute: as many as the counters say, and their sum lies between the buckets' ends."""
    for one in seen:
        for name, count, tokens in (
            ("step_tokens", "steps_total", "step_tokens_total"),
            ("prompt_lengths", "requests_finished_total", "finished_prompt_tokens_total"),
            ("generation_lengths", "requests_finished_total", "finished_generation_tokens_total"),
        ):
            counts, total = one.totals.histograms[name], one.totals.deltas[tokens]
            ends = (0.0, *bounds_of(ReplicaSample, name), 1e7)
            assert counts is not None, one.name
            assert total is not None
            assert sum(counts) == one.totals.deltas[count], one.name
            least = sum(number * low for number, low in zip(counts, ends, strict=False))
            most = sum(number * high for number, high in zip(counts, ends[1:], strict=True))
            assert least < total <= most, one.name


def test_decode_batch_is_within_three_percent(seen: list[Seen]) -> None:
    for one in seen:
        truth = one.truth.decode_sequence_steps / one.truth.decode_steps

        assert value(decode_batch(one.totals)) == pytest.approx(truth, rel=0.03), one.name


def test_tokens_per_second_are_within_one_percent(seen: list[Seen]) -> None:
    for one in seen:
        generated = one.truth.generated_tokens / SPAN_S
        computed = one.truth.computed_tokens / SPAN_S

        assert value(generation_tokens_per_s(one.totals, lumpy=False)) == pytest.approx(generated, rel=0.01), one.name
        assert value(prefill_tokens_per_s(one.totals)) == pytest.approx(computed, rel=0.01), one.name


def test_busy_time_from_the_gpu_is_within_five_points(seen: list[Seen]) -> None:
    for one in seen:
        assert value(one.account.busy) == pytest.approx(one.truth.busy_s / SPAN_S, abs=0.05), one.name


def test_the_modelled_shares_hold_the_truth_within_their_intervals(seen: list[Seen]) -> None:
    """The roofline's interval spans the efficiencies that real kernels reach, the simulator's among them."""
    for one in seen:
        busy_s = one.truth.busy_s
        for figure, truth in (
            (one.account.prefill_marginal, one.truth.marginal_prefill_s / busy_s),
            (one.account.prefill_exclusive, one.truth.exclusive_prefill_s / busy_s),
            (one.account.memory_bound, (one.truth.weight_read_s + one.truth.kv_read_s) / busy_s),
        ):
            assert isinstance(figure, Estimate)
            assert figure.low <= truth <= figure.high, (one.name, figure, truth)


def test_request_seconds_understate_prefill_wherever_requests_share_steps(seen: list[Seen]) -> None:
    """The contrast that must never be taken for a phase mix: at a decode batch above four it is too low by half."""
    crowded = [one for one in seen if one.truth.decode_sequence_steps / one.truth.decode_steps > 4]

    assert crowded
    for one in crowded:
        truth = one.truth.marginal_prefill_s / one.truth.busy_s

        assert value(one.account.request_seconds_prefill) < truth / 2, one.name
