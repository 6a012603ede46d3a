"""From what a llama.cpp server in F16 told of itself, what Q8_0 and Q4_0 of the same model then did: within 20 %."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median

import pytest

from analyzer.evidence import Evidence
from analyzer.facts.cpu_kernels import AVX2, cpu_kernels
from analyzer.predict import Prediction
from tests.fakes import closed_loop
from tests.fakes.closed_loop import BYTES_RATIO, CLEAR_CHANGE, Told, coefficients

CAPTURED = json.loads((Path(__file__).parent / "data" / "llamacpp_closed_loop.json").read_text())
CPU = cpu_kernels("Zen 3", AVX2)
RUNS = {
    scheme: {name: Told(**counted) for name, counted in loads.items()} for scheme, loads in CAPTURED["runs"].items()
}


def predicted(scheme: str, name: str) -> Prediction:
    return closed_loop.predicted(scheme, name, RUNS["f16"], CAPTURED["parameters"], CPU)


def measured(scheme: str, name: str) -> float:
    """Output rate over that of F16."""
    return RUNS[scheme.lower()][name].output_per_s / RUNS["f16"][name].output_per_s


CASES = [(scheme, name) for scheme in BYTES_RATIO for name in RUNS["f16"]]


def test_the_median_error_is_at_most_20_per_cent_and_below_that_of_the_bytes_rule() -> None:
    """The rule multiplies by the ratio of bits."""
    ours = [abs(predicted(*case).speedup.value / measured(*case) - 1) for case in CASES]
    rule = [abs(BYTES_RATIO[case[0]] / measured(*case) - 1) for case in CASES]

    assert median(ours) <= 0.20
    assert median(ours) < median(rule)


@pytest.mark.parametrize(("scheme", "name"), CASES)
def test_a_clear_change_has_the_right_direction(scheme: str, name: str) -> None:
    """Faster where it was more than 10 % faster, slower where it was more than 10 % slower: prefill is."""
    change = measured(scheme, name)
    if abs(change - 1) <= CLEAR_CHANGE:
        assert 0.5 < predicted(scheme, name).speedup.value < 2
        return
    assert (predicted(scheme, name).speedup.value > 1) == (change > 1)


def test_it_is_fitted_evidence_with_the_coefficients_that_the_server_would_have() -> None:
    answer = predicted("Q8_0", "decode-c4")

    assert answer.speedup.evidence is Evidence.FITTED
    assert answer.after is not None
    assert answer.after.weight_read_s < coefficients(RUNS["f16"]["decode-c4"], RUNS["f16"]).weight_read_s
    assert answer.after.prefill_token_s > coefficients(RUNS["f16"]["decode-c4"], RUNS["f16"]).prefill_token_s


def test_a_processor_that_was_not_measured_is_answered_by_the_mean_of_those_that_were_as_assumed_and_wider() -> None:
    unknown = cpu_kernels("Zen 9", AVX2)
    known = predicted("Q8_0", "prefill-c4").speedup
    answer = closed_loop.predicted("Q8_0", "prefill-c4", RUNS["f16"], CAPTURED["parameters"], unknown).speedup

    assert unknown.rate_8bit == pytest.approx((0.74 * 1.00 * 0.81 * 1.14) ** (1 / 4))
    assert answer.evidence is Evidence.ASSUMED
    assert answer.value == pytest.approx(known.value * unknown.rate_8bit / CPU.rate_8bit, rel=0.01)
    assert answer.high / answer.low > known.high / known.low
