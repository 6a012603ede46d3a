"""`predict`: gates, directions that physics fixes, break-even, intervals, and the transform of coefficients."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.evidence import Evidence, Missing
from analyzer.facts.gpus import GPUS, find_gpu
from analyzer.facts.models import find_model
from analyzer.facts.scheme_support import Level
from analyzer.facts.schemes import SCHEMES
from analyzer.predict import (
    SHIPPED,
    Baseline,
    Coefficients,
    Machine,
    Prediction,
    Setting,
    Step,
    factors,
    format_of,
    predict,
    predict_all,
    transform,
    unquantized,
)
from analyzer.predict.calibrate import Modelled, speedup
from analyzer.predict.formats import Format, Kernel
from analyzer.predict.stand_in import shape_of
from analyzer.predict.stepcost import parts, seconds

DECODE = (Step(1.0, 8.0, 1000.0),)
PREFILL = (Step(1.0, 0.0, 0.0, 2048.0, 2048.0),)
OWN = Coefficients(8e-3, 2e-3, 4e-5, 1e-5, 7e-8, 6e-5)


def machine(gpu: str = "H100", model: str = "Llama-3.1-8B", gpus: int = 1) -> Machine:
    shape = find_model(model)
    assert shape is not None
    return Machine(shape, find_gpu(gpu), gpus)


def setting(gpu: str = "H100", work: tuple[Step, ...] = DECODE, model: str = "Llama-3.1-8B") -> Setting:
    return Setting(machine(gpu, model), "vllm", unquantized(), work)


def answer(of: Setting, scheme: str, baseline: Coefficients | Baseline | None = None) -> Prediction:
    found = predict(of, scheme, baseline)
    assert isinstance(found, Prediction), found
    return found


def test_fp8_on_ampere_only_shrinks_weights() -> None:
    """Its prefill is no faster: arithmetic stays at 16 bits."""
    found = answer(setting("A100 80GB", PREFILL), "fp8-w8a8")

    assert found.support.level is Level.WEIGHT_ONLY
    assert found.speedup.value < 1


@pytest.mark.parametrize(
    ("gpu", "scheme"), [("B300 SXM", "int8-w8a8"), ("A100 80GB", "nvfp4"), ("A100 80GB", "Q4_K_M"), ("T4", "kv-fp8")]
)
def test_what_cannot_run_is_refused_with_a_reason(gpu: str, scheme: str) -> None:
    """B300 has hardly any INT8; FP4 and FP8 KV need newer units; GGUF types are llama.cpp's."""
    found = predict(setting(gpu), scheme)

    if isinstance(found, Prediction):
        assert scheme == "nvfp4"
        assert found.support.level is Level.WEIGHT_ONLY
    else:
        assert found.reason


def test_nvfp4_on_hopper_is_weight_only_and_on_blackwell_not() -> None:
    assert answer(setting("H100"), "nvfp4").support.level is Level.WEIGHT_ONLY
    assert answer(setting("B200 SXM"), "nvfp4").support.level is Level.NATIVE
    assert answer(setting("B200 SXM", PREFILL), "nvfp4").speedup.value > 1.2


def test_decode_at_small_batch_gains_and_weight_only_prefill_loses() -> None:
    assert answer(setting("A100 80GB"), "w4a16").speedup.value > 1.3
    assert answer(setting("A100 80GB", PREFILL), "w4a16").speedup.value < 1


def test_a_kv_scheme_gains_with_context_only() -> None:
    short = answer(setting(work=(Step(1.0, 32.0, 100.0),)), "kv-fp8").speedup.value
    long = answer(setting(work=(Step(1.0, 32.0, 16000.0),)), "kv-fp8").speedup.value

    assert short == pytest.approx(1, abs=0.02)
    assert long > 1.3


def test_schemes_join() -> None:
    """Weights and KV cache together gain more than either alone at a long context."""
    work = (Step(1.0, 16.0, 8000.0),)
    both, weights, cache = (
        answer(setting(work=work), name).speedup.value for name in ("w4a16+kv-fp8", "w4a16", "kv-fp8")
    )

    assert both > max(weights, cache)


def test_small_models_lose_to_launches() -> None:
    """Qwen2.5 0.5B was published at 0.84 times its 16-bit speed in 4 bits; a smaller loss is predicted."""
    of = setting("A100 80GB", (Step(1.0, 1.0, 1000.0),), "Qwen2.5-0.5B")

    assert answer(of, "w4a16", Baseline(1 / 311.55)).speedup.value < 1


def test_weight_only_stops_helping_at_some_tokens_per_step_and_fp8_does_not() -> None:
    four_bits = answer(setting("A100 80GB"), "w4a16").break_even_tokens

    assert four_bits is not None
    assert 16 < four_bits < 2048
    assert answer(setting("H100"), "fp8-w8a8").break_even_tokens is None


def test_a_measured_baseline_that_is_slower_than_modelled_leaves_less_to_gain() -> None:
    """Host overhead stays on both sides: 10 ms of it beside a step of 6 ms halves the gain at least."""
    of = setting()
    own_s = seconds(of.machine, of.before, of.work, SHIPPED)
    free = answer(of, "fp8-w8a8", Baseline(own_s)).speedup.value
    bound = answer(of, "fp8-w8a8", Baseline(own_s + 10e-3)).speedup.value

    assert 1 < bound < free
    assert bound - 1 < 0.7 * (free - 1)


def test_calibration_by_hand() -> None:
    """Before 10, after 6, measured 20, host 2, a quarter scales: 20 / (6 * (1 + 8 * 0.25 / 10) + 2 + 6) = 20 / 15.2."""
    assert speedup(Modelled(10, 6, 2), 20, 0.25) == pytest.approx(20 / 15.2)
    assert speedup(Modelled(10, 6, 2), None, 0.25) == pytest.approx(12 / 8)
    assert speedup(Modelled(10, 6, 2), 8, 0.25) == pytest.approx(10 / 6)


def test_without_telemetry_the_interval_is_wider_and_the_evidence_modelled() -> None:
    with_own, without = answer(setting(), "w4a16", OWN).speedup, answer(setting(), "w4a16").speedup

    assert (with_own.evidence, without.evidence) == (Evidence.FITTED, Evidence.MODELLED)
    assert with_own.high / with_own.low < without.high / without.low


def test_a_stand_in_shape_is_assumed_and_wider() -> None:
    """A model that no table knows borrows the nearest shape."""
    shape, own = shape_of("Unheard-Of-9B", 9e9, 9e9)
    assert not own
    stranger = Setting(Machine(shape, find_gpu("H100")), "vllm", unquantized(), DECODE, own_shape=False)

    assert answer(stranger, "w4a16").speedup.evidence is Evidence.ASSUMED


def test_a_stand_in_mixture_has_the_stated_parameters() -> None:
    """397B with 17B active: total within 2 %, active within a quarter."""
    shape, own = shape_of("Some-397B-A17B", 397e9, 17e9)

    assert not own
    assert shape.experts is not None
    assert shape.parameters == pytest.approx(397e9, rel=0.02)
    assert shape.active_parameters == pytest.approx(17e9, rel=0.25)
    with pytest.raises(ValueError, match="cannot be"):
        shape_of("Odd-1B", 1e9, 2e9)


def test_every_scheme_is_answered_or_refused_on_every_gpu() -> None:
    """No GPU of the table makes it fail; those without a bandwidth are refused."""
    for gpu in GPUS:
        for name, found in predict_all(setting(gpu.name)).items():
            if isinstance(found, Missing):
                assert found.reason, (gpu.name, name)
            else:
                assert 0.2 < found.speedup.value < 5, (gpu.name, name)


def test_what_runs_already_is_not_predicted() -> None:
    of = Setting(machine(), "vllm", format_of("fp8-w8a8", unquantized()), DECODE)

    assert isinstance(predict(of, "fp8-w8a8"), Missing)
    assert isinstance(predict(of, "w4a16"), Prediction)


def test_an_unknown_scheme_and_a_setting_without_steps_are_errors() -> None:
    with pytest.raises(ValueError, match="no quantization scheme"):
        predict(setting(), "w3a16")
    with pytest.raises(ValueError, match="at least one step"):
        Setting(machine(), "vllm", unquantized(), ())
    with pytest.raises(ValueError, match="above 0"):
        Baseline(0.0)


def test_coefficients_transform_by_cause() -> None:
    """Weight-only: reads shrink, KV stays, arithmetic does not get faster, launches are added to overhead."""
    step = DECODE[0]
    change = factors(machine(), unquantized(), format_of("w4a16", unquantized()), step, SHIPPED)
    then = transform(OWN, change)

    assert 0.25 < change.weight_read < 0.5
    assert then.kv_token_s == OWN.kv_token_s
    assert then.sequence_compute_s == pytest.approx(OWN.sequence_compute_s * SHIPPED.dequantize)
    assert then.overhead_s == pytest.approx(OWN.overhead_s + 32 * 4 * SHIPPED.launch_weight_only_s)
    assert then.sequence_overhead_s == OWN.sequence_overhead_s


def test_steps_add_up_by_hand() -> None:
    """Additive: 8 + 2 + 4 * (1 + 3) + 100 * 5 + 4 * 0.5 * 200 ms; far apart, a rounded roofline is the longer side."""
    own = Coefficients(8.0, 2.0, 1.0, 3.0, 0.5, 5.0, rounding=1.0)

    assert own.step_s(Step(1.0, 4.0, 200.0, 100.0)) == pytest.approx(8 + 2 + 4 * 4 + 500 + 400)
    roof = Coefficients(1000.0, 0.0, 1.0, 0.0, 0.0, 0.0)
    assert roof.step_s(Step(1.0, 4.0, 0.0)) == pytest.approx(1000, rel=1e-6)


def test_unquantized_to_unquantized_changes_nothing() -> None:
    same = factors(machine(), unquantized(), unquantized(), DECODE[0], SHIPPED)

    assert (same.weight_read, same.kv_read, same.sequence_compute, same.prefill_token) == (1, 1, 1, 1)
    assert (same.step_s, same.token_s) == (0, 0)
    assert transform(OWN, same) == OWN


def test_experts_touched_bound_what_a_mixture_reads() -> None:
    """One token reads the active part; many read all."""
    of = machine("H100", "Mixtral 8x7B", 2)
    one, many = (parts(of, unquantized(), Step(1.0, batch, 100.0), SHIPPED).weights for batch in (1.0, 256.0))

    assert many > 3 * one


def test_communication_is_untouched() -> None:
    of = machine("H100", "Llama-3.1-70B", 8)
    step = Step(1.0, 8.0, 1000.0)
    before, after = (parts(of, form, step, SHIPPED) for form in (unquantized(), format_of("fp8-w8a8", unquantized())))

    assert before.communication == after.communication > 0
    assert parts(machine("H100"), unquantized(), step, SHIPPED).communication == 0


@given(
    bits=st.floats(2, 15),
    fewer=st.floats(0.3, 1),
    batch=st.floats(1, 512),
    context=st.floats(1, 1e5),
    kv=st.sampled_from([0.5, 1.0, 2.0]),
)
def test_fewer_bytes_are_never_slower_at_the_same_arithmetic(
    bits: float, fewer: float, batch: float, context: float, kv: float
) -> None:
    """The same kernel with fewer bits per weight, or per KV element, takes no longer."""
    of, step = machine(), Step(1.0, batch, context)
    larger = parts(of, Format(bits, "bf16", Kernel.TORCH_4BIT, 2.0), step, SHIPPED)
    smaller = parts(of, Format(bits * fewer, "bf16", Kernel.TORCH_4BIT, kv), step, SHIPPED)

    assert smaller.total <= larger.total * (1 + 1e-9)


@given(
    batch=st.floats(1, 2000), context=st.floats(0, 1e5), overhead=st.floats(0, 1), scheme=st.sampled_from(list(SCHEMES))
)
def test_the_interval_holds_its_value_and_overhead_pulls_it_towards_1(
    batch: float, context: float, overhead: float, scheme: str
) -> None:
    """More time that no scheme changes never takes a speed-up further from 1."""
    of = setting("B200 SXM", (Step(1.0, batch, context),))
    own = Coefficients(3e-3, overhead, 4e-5, 1e-5, 7e-8, 6e-5)
    more = Coefficients(3e-3, overhead + 0.1, 4e-5, 1e-5, 7e-8, 6e-5)
    found, slower = predict(of, scheme, own), predict(of, scheme, more)
    if isinstance(found, Missing):
        assert isinstance(slower, Missing)
        return
    assert isinstance(slower, Prediction)
    assert found.speedup.low <= found.speedup.value <= found.speedup.high
    assert abs(slower.speedup.value - 1) <= abs(found.speedup.value - 1) + 1e-9
