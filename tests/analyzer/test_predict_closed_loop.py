"""From what a llama.cpp server in F16 told of itself, what Q8_0 and Q4_0 of the same model then did: within 20 %."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from analyzer.evidence import Evidence
from analyzer.facts.model_shape import ModelShape
from analyzer.predict import Coefficients, Machine, Prediction, Setting, Step, predict, unquantized

CAPTURED = json.loads((Path(__file__).parent / "data" / "llamacpp_closed_loop.json").read_text())
RUNS: dict[str, dict[str, dict[str, float]]] = CAPTURED["runs"]
BYTES_RATIO = {"Q8_0": 16 / 8.5, "Q4_0": 16 / 4.5}
CLEAR_CHANGE = 0.10


def machine() -> Machine:
    """Only the number of parameters is known; every type of GGUF quantizes all of them, so the rest has no say."""
    shape = ModelShape("s320m", CAPTURED["parameters"], 16, 1024, 16, 16, 64, 4096, 32000, False, ("capture",), ())
    return Machine(shape, gpu=None, llama_cpp=True, launches=False)


def coefficients(load: dict[str, float], loads: dict[str, dict[str, float]]) -> Coefficients:
    """From counters: the prompt rate, the lone sequence's step less its arithmetic, and the rest as overhead."""
    prompts = loads["prefill-c4"]
    token_s = prompts["prompt_s"] / prompts["prompt_tokens"]
    alone = loads["decode-c1"]
    read_s = (alone["wall_s"] - alone["prompt_s"]) / alone["steps"] - token_s
    tokens = (load["sequence_steps"] + load["prompt_tokens"]) / load["steps"]
    rest_s = load["wall_s"] / load["steps"] - read_s - token_s * tokens
    return Coefficients(read_s, max(0.0, rest_s), token_s, 0.0, 0.0, token_s, rounding=1.0)


def predicted(scheme: str, name: str) -> Prediction:
    loads = RUNS["f16"]
    load = loads[name]
    step = Step(1.0, load["sequence_steps"] / load["steps"], 100.0, load["prompt_tokens"] / load["steps"])
    setting = Setting(machine(), "llamacpp", unquantized(), (step,))
    answer = predict(setting, scheme, coefficients(load, loads))
    assert isinstance(answer, Prediction)
    return answer


def measured(scheme: str, name: str) -> float:
    """Output rate over that of F16."""
    return rate(RUNS[scheme.lower()][name]) / rate(RUNS["f16"][name])


def rate(load: dict[str, Any]) -> float:
    return float(load["output_tokens"] / load["wall_s"])


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
