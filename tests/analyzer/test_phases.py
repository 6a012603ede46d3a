"""Where the time went: engine timers first, then the roofline; shares sum to one and absence says why."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.assumptions import Deployment
from analyzer.busy import busy_ratio
from analyzer.evidence import Estimate, Evidence, Missing
from analyzer.hardware import Hardware, resolve
from analyzer.phases import COMPONENTS, account
from analyzer.roofline import seconds, work
from analyzer.windows import Totals
from tests.fakes.histories import CHAT, LLAMACPP, VLLM, decode_heavy, totals

NO_HARDWARE = Missing("not known")


def h100() -> Hardware:
    found = resolve(VLLM, CHAT)
    assert isinstance(found, Hardware)
    return found


def estimate(figure: object) -> Estimate:
    assert isinstance(figure, Estimate), figure
    return figure


def test_one_slot_timers_give_the_phase_mix_as_measured() -> None:
    """20 s in prompts and 60 s in generation: 20 / 80 = 0.25, exclusive and marginal alike."""
    result = account(totals(prefill_s_total=20, decode_s_total=60), LLAMACPP, NO_HARDWARE, None)

    assert estimate(result.prefill_exclusive).value == 0.25
    assert estimate(result.prefill_marginal).value == 0.25
    assert estimate(result.prefill_exclusive).evidence is Evidence.MEASURED
    assert estimate(result.busy).value == pytest.approx(0.8)


def test_where_steps_may_mix_phases_a_timer_gives_the_exclusive_mix_only() -> None:
    result = account(totals(prefill_s_total=20, decode_s_total=60), VLLM, NO_HARDWARE, None)

    assert estimate(result.prefill_exclusive).value == 0.25
    assert isinstance(result.prefill_marginal, Missing)


def test_a_prefill_timer_alone_is_held_against_the_busy_time() -> None:
    """20 s of prompts in 100 s of which the GPU was busy for 50: 20 / 50 = 0.4, as sure as the busy time."""
    result = account(totals(prefill_s_total=20), LLAMACPP, NO_HARDWARE, 0.5)

    exclusive = estimate(result.prefill_exclusive)
    assert exclusive.value == pytest.approx(0.4)
    assert exclusive.low < 0.4 < exclusive.high


def test_an_idle_server_has_no_phase_mix() -> None:
    result = account(totals(prefill_s_total=0, decode_s_total=0), LLAMACPP, NO_HARDWARE, None)

    assert isinstance(result.prefill_exclusive, Missing)
    assert isinstance(result.prefill_marginal, Missing)
    assert estimate(result.busy).value == 0


def test_without_hardware_or_timers_every_share_says_what_is_missing() -> None:
    result = account(decode_heavy(100), VLLM, Missing("the GPU is not known: set deployments[].gpu"), 0.9)

    for figure in (result.prefill_marginal, result.prefill_exclusive, result.memory_bound, result.components):
        assert isinstance(figure, Missing)
        assert "deployments[].gpu" in figure.reason


def test_the_roofline_of_one_second_of_decode_by_hand() -> None:
    """Llama 3.1 8B, 16 bits, H100 SXM at 3.35 TB/s times 0.8.

    The embedding table (128,256 x 4,096) is looked up, not read: 8.03e9 - 0.525e9 = 7.505e9 weights of 2 bytes.
    100 steps: 1.501e12 / 2.68e12 = 0.560 s.
    800 sequence-steps read 400.5 tokens (200 + 401 / 2) of 131,072 bytes: 4.2e10 / 2.68e12 = 0.0157 s.
    """
    done = work(decode_heavy(1.0))
    assert not isinstance(done, Missing)
    modelled = seconds(done, h100(), 0.8, 0.7, overlapped=True)

    assert modelled.weight_read == pytest.approx(0.560, rel=0.01)
    assert modelled.kv_read == pytest.approx(0.0157, rel=0.02)
    assert modelled.decode_compute == 0
    assert modelled.prefill_marginal < modelled.prefill_exclusive


def test_without_overlap_arithmetic_adds_to_the_reads() -> None:
    """800 sequence-steps of 2 * 8.03e9 FLOPs at 989e12 * 0.7: 1.285e13 / 6.92e14 = 0.0186 s."""
    done = work(decode_heavy(1.0))
    assert not isinstance(done, Missing)
    modelled = seconds(done, h100(), 0.8, 0.7, overlapped=False)

    assert modelled.decode_compute == pytest.approx(0.0186, rel=0.01)


def test_what_the_model_cannot_explain_of_the_busy_time_is_overhead() -> None:
    """0.9 busy, 0.560 + 0.016 s of reads in each second, some prefill: about 0.32 s of overhead."""
    result = account(decode_heavy(100), VLLM, h100(), 0.9)

    assert isinstance(result.components, Mapping)
    assert result.components["overhead"].value == pytest.approx(0.32, abs=0.01)
    assert result.components["idle"].value == pytest.approx(0.1)
    assert estimate(result.memory_bound).evidence is Evidence.MODELLED


def test_modelled_work_never_exceeds_the_busy_time() -> None:
    """A duty cycle of 0.3 cannot hold 0.58 s of reads a second: the model is scaled down to it."""
    result = account(decode_heavy(100), VLLM, h100(), 0.3)

    assert isinstance(result.components, Mapping)
    assert sum(result.components[name].value for name in COMPONENTS) == pytest.approx(1)
    assert result.components["overhead"].value == pytest.approx(0, abs=1e-12)


def test_assumed_weights_make_the_shares_assumed() -> None:
    """No endpoint and no operator told the precision: 16 bits are assumed, and the result says so."""
    silent = resolve(VLLM, Deployment("chat", gpu="H100 SXM 80GB", gpus_per_replica=1))
    assert isinstance(silent, Hardware)
    assert [text.split(":")[0] for text in silent.assumed] == ["16-bit weights"]
    result = account(decode_heavy(100), VLLM, silent, 0.9)

    assert estimate(result.memory_bound).evidence is Evidence.ASSUMED


def test_a_number_of_gpus_that_nobody_told_is_assumed_and_said() -> None:
    """One GPU where neither the operator, the engine nor a joined GPU told; two joined ones are no assumption."""
    silent = resolve(VLLM, Deployment("chat", gpu="H100 SXM 80GB", weight_bits=16))
    joined = resolve(VLLM, Deployment("chat", gpu="H100 SXM 80GB", weight_bits=16), joined_gpus=2)

    assert isinstance(silent, Hardware)
    assert isinstance(joined, Hardware)
    assert (silent.gpus, [text.split(":")[0] for text in silent.assumed]) == (1, ["one GPU a replica"])
    assert (joined.gpus, joined.assumed) == (2, ())


def test_weights_that_do_not_fit_are_a_mistake_not_a_roofline() -> None:
    """70.55e9 weights of 2 bytes are 141 GB: not on one H100 of 80 GB."""
    one = Deployment("big", gpu="H100 SXM 80GB", model="Llama-3.1-70B", weight_bits=16, gpus_per_replica=1)
    result = resolve(VLLM, one)

    assert isinstance(result, Missing)
    assert "141 GB of weights do not fit into 1 x H100" in result.reason


def test_decode_at_a_small_batch_is_memory_bound_by_the_articles_word_only() -> None:
    """Decode 0.75 of the time at batch 1 and no hardware facts: 0.75 at most, and `assumed`."""
    measured = totals(prefill_s_total=20, decode_s_total=60, steps_total=600, decode_sequence_steps_total=600)
    result = account(measured, LLAMACPP, NO_HARDWARE, None)

    memory = estimate(result.memory_bound)
    assert (memory.value, memory.high, memory.evidence) == (0.75, 0.75, Evidence.ASSUMED)


def test_decode_at_a_large_batch_is_not_called_memory_bound() -> None:
    measured = totals(prefill_s_total=20, decode_s_total=60, steps_total=100, decode_sequence_steps_total=3200)
    result = account(measured, LLAMACPP, NO_HARDWARE, None)

    assert isinstance(result.memory_bound, Missing)


def test_request_seconds_are_shown_as_a_contrast() -> None:
    """One second of prefill beside a decode batch of eight: 1 / 81 of request-seconds."""
    result = account(totals(request_prefill_s_total=10, request_decode_s_total=800), VLLM, NO_HARDWARE, None)

    assert estimate(result.request_seconds_prefill).value == pytest.approx(10 / 810)
    assert "not_a_phase_mix" in estimate(result.request_seconds_prefill).method


def test_busy_time_prefers_timers_then_the_gpu_then_the_steps() -> None:
    """Timers 80 of 100 s; GPU 0.7; steps: 1000 times a mean gap of 50 ms = 50 s."""
    timed = totals(prefill_s_total=20, decode_s_total=60)
    stepped = totals(steps_total=1000, decode_sequence_steps_total=4000, inter_token_s_total=200, active_s=55.0)

    assert estimate(busy_ratio(timed, 0.7)).value == pytest.approx(0.8)
    assert estimate(busy_ratio(stepped, 0.7)).method == "gpu_duty_cycle"
    assert estimate(busy_ratio(stepped, None)).value == pytest.approx(0.5)
    assert estimate(busy_ratio(stepped, None)).evidence is Evidence.MODELLED


def test_nothing_that_tells_busy_time_is_missing_not_zero() -> None:
    assert isinstance(busy_ratio(totals(generation_tokens_total=5), None), Missing)


loads = st.floats(0.001, 500)


@given(
    steps=loads,
    batch=st.floats(1, 256),
    prompts=st.floats(1, 30_000),
    answers=st.floats(1, 2000),
    busy=st.floats(0.001, 1),
)
def test_components_sum_to_one_and_shares_hold_their_intervals(
    steps: float, batch: float, prompts: float, answers: float, busy: float
) -> None:
    covered_s = 60.0
    sequence_steps = steps * batch * covered_s
    requests = sequence_steps / answers
    history: Totals = totals(
        covered_s,
        steps_total=steps * covered_s,
        decode_sequence_steps_total=sequence_steps,
        prefills_total=requests,
        prompt_tokens_total=prompts * requests,
        prefill_tokens_total=prompts * requests,
        generation_tokens_total=sequence_steps + requests,
    )
    result = account(history, VLLM, h100(), busy)

    assert isinstance(result.components, Mapping)
    assert sum(result.components[name].value for name in COMPONENTS) == pytest.approx(1)
    for figure in (result.prefill_marginal, result.prefill_exclusive, result.memory_bound):
        assert 0 <= estimate(figure).low <= estimate(figure).value <= estimate(figure).high <= 1 + 1e-9
    assert estimate(result.prefill_marginal).value <= estimate(result.prefill_exclusive).value + 1e-9
