"""What a model's name says of its quantization is taken where it is plain, and nowhere else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.scrape.modelname import quantization


@pytest.mark.parametrize(
    ("name", "scheme"),
    [
        ("RedHatAI/Meta-Llama-3.1-8B-Instruct-FP8", "fp8-w8a8"),
        ("neuralmagic/Meta-Llama-3.1-70B-Instruct-FP8-dynamic", "fp8-w8a8"),
        ("amd/Llama-3.1-8B-Instruct-FP8-KV", "fp8-w8a8"),
        ("Qwen/Qwen3-32B-FP8", "fp8-w8a8"),
        ("org/model-W8A8-FP8", "fp8-w8a8"),
        ("RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w8a8", "int8-w8a8"),
        ("org/model-INT8-W8A8", "int8-w8a8"),
        ("RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w4a16", "w4a16"),
        ("RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w8a16", "w8a16"),
        ("Qwen/Qwen2.5-7B-Instruct-AWQ", "w4a16"),
        ("hugging-quants/Meta-Llama-3.1-8B-Instruct-AWQ-INT4", "w4a16"),
        ("Qwen/Qwen2.5-7B-Instruct-GPTQ-Int4", "w4a16"),
        ("Qwen/Qwen2.5-7B-Instruct-GPTQ-Int8", "w8a16"),
        ("org/model-gptq-4bit", "w4a16"),
        ("Intel/model-int4-AutoRound", "w4a16"),
        ("org/model-awq-kv-fp8", "w4a16"),
        ("nvidia/Llama-3.3-70B-Instruct-NVFP4", "nvfp4"),
        ("org/gpt-oss-120b-MXFP4", "mxfp4"),
        ("org/model-W4A8", "w4a8"),
        ("org/model-W4AFP8", "w4a8"),
        ("models/SmolLM2-135M-Instruct.Q4_1.gguf", "Q4_1"),
        ("bartowski/Qwen2.5-7B-Instruct-GGUF/Qwen2.5-7B-Instruct-Q4_K_M.gguf", "Q4_K_M"),
        ("x-IQ4_XS.gguf", "IQ4_XS"),
        ("x-UD-Q2_K_XL.gguf", "Q2_K_XL"),
        ("x-TQ1_0.gguf", "TQ1_0"),
        ("/cache/models--RedHatAI--Llama-3.1-8B-Instruct-FP8/snapshots/0123456789abcdef", "fp8-w8a8"),
        ("/models/fp8/Qwen2.5-7B-Instruct-AWQ", "w4a16"),
        ("C:\\models\\Qwen2.5-7B-Instruct-AWQ\\", "w4a16"),
    ],
)
def test_a_plain_name_is_understood(name: str, scheme: str) -> None:
    assert quantization(name) == scheme


@pytest.mark.parametrize(
    "name",
    [
        None,
        "",
        "/",
        "meta-llama/Llama-3.1-8B-Instruct",
        "TheBloke/Llama-2-7B-GPTQ",  # the bits are not said
        "org/model-INT8",  # weights only, or activations too
        "org/model-4bit",
        "unsloth/Llama-3.2-1B-bnb-4bit",
        "nvidia/DeepSeek-R1-FP4",  # which FP4 is not said
        "org/model-w4a16-FP8",  # two answers
        "org/model-NVFP4A16",
        "org/FP8thing",
        "org/awqward-7b",
        "org/Llama-kv-fp8",
        "org/Q-7B",
        "x-F16.gguf",
        "x-BF16.gguf",
    ],
)
def test_a_name_that_says_nothing_plain_is_not_guessed(name: str | None) -> None:
    assert quantization(name) is None


@given(st.text(st.sampled_from("fpawq48int_-./\\8kvgGUFQ MXNbw1 "), max_size=40))
def test_any_name_has_an_answer_in_known_words(name: str) -> None:
    answer = quantization(name)
    known = {"nvfp4", "mxfp4", "w4a8", "fp8-w8a8", "int8-w8a8", "w8a16", "w4a16", None}
    assert answer in known or answer[:1] in {"Q", "I", "T"}
