"""A model's name finds that model's shape or nothing, never a neighbour's."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.facts.models import DECORATION, MODELS, ModelShape, find_model

NAMED = [(model, name) for model in MODELS for name in model.names]


def model(name: str) -> ModelShape:
    found = find_model(name)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", "Llama 3 / 3.1 8B"),
        ("neuralmagic/Meta-Llama-3.1-8B-Instruct-FP8", "Llama 3 / 3.1 8B"),
        ("RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w8a8", "Llama 3 / 3.1 8B"),
        ("hugging-quants/Meta-Llama-3.1-8B-Instruct-AWQ-INT4", "Llama 3 / 3.1 8B"),
        ("unsloth/Llama-3.2-1B-Instruct-bnb-4bit", "Llama 3.2 1B"),
        ("/models/llama-3.1-8b", "Llama 3 / 3.1 8B"),
        ("/models/llama-3.1-8b/", "Llama 3 / 3.1 8B"),
        ("llama3.1:8b-instruct-q4_K_M", "Llama 3 / 3.1 8B"),
        ("Meta-Llama-3.1-8B-Instruct-Q4_K_M.gguf", "Llama 3 / 3.1 8B"),
        ("Meta-Llama-3.1-8B-Instruct.Q4_K_M.gguf", "Llama 3 / 3.1 8B"),
        (
            "models--meta-llama--Llama-3.1-8B-Instruct/snapshots/0e9e39f249a16976918f6564b8830bc894c89659",
            "Llama 3 / 3.1 8B",
        ),
        ("casperhansen/llama-3.3-70b-instruct-awq", "Llama 3 / 3.1 / 3.3 70B"),
        ("meta-llama/Llama-3.1-405B-Instruct-FP8", "Llama 3.1 405B"),
        ("deepseek-ai/DeepSeek-R1-Distill-Llama-70B", "Llama 3 / 3.1 / 3.3 70B"),
        ("Qwen/Qwen2.5-7B-Instruct-AWQ", "Qwen2.5 7B"),
        ("Qwen/Qwen2.5-72B-Instruct", "Qwen2.5 72B"),
        ("Qwen/Qwen2.5-Coder-32B-Instruct-GPTQ-Int4", "Qwen2.5 32B"),
        ("Qwen/Qwen3-30B-A3B-Instruct-2507-FP8", "Qwen3 30B-A3B"),
        ("Qwen3-235B-A22B-UD-Q4_K_XL-00001-of-00003.gguf", "Qwen3 235B-A22B"),
        ("qwen3:8b", "Qwen3 8B"),
        ("mistralai/Mistral-7B-Instruct-v0.3", "Mistral 7B v0.3"),
        ("TheBloke/Mistral-7B-Instruct-v0.2-GPTQ", "Mistral 7B v0.2"),
        ("mistralai/Mixtral-8x7B-Instruct-v0.1", "Mixtral 8x7B"),
        ("mistralai/Mistral-Small-24B-Instruct-2501", "Mistral Small 24B"),
        ("google/gemma-2-27b-it", "Gemma 2 27B"),
        ("gemma2:9b", "Gemma 2 9B"),
        ("microsoft/phi-4", "Phi-4 14B"),
        ("phi4-mini", "Phi-4 mini"),
        ("openai/gpt-oss-120b", "gpt-oss 120B"),
        ("gpt-oss:20b", "gpt-oss 20B"),
        ("nvidia/DeepSeek-R1-0528-FP4", "DeepSeek V3 / V3.1 / R1"),
        ("HuggingFaceTB/SmolLM2-135M-Instruct", "SmolLM2 135M"),
        ("smollm2-135m-instruct-q4_1.gguf", "SmolLM2 135M"),
    ],
)
def test_served_names_and_paths_find_the_model(name: str, expected: str) -> None:
    """Repositories, local paths, caches, GGUF files and registry tags."""
    assert expected == model(name).name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/",
        "model",
        "llama",
        "llama-3.1",
        "8b",
        "Llama-3.1-80B",
        "Llama-3.1-8",
        "Llama-31-8B",
        "Llama-3.4-8B",
        "Llama-3.1-8B-Instruct-pruned",
        "Llama-3.1-8B-Llama-3.1-70B",
        "yuhuili/EAGLE3-LLaMA3.1-Instruct-8B",
        "nvidia/Llama-3.1-Nemotron-70B-Instruct",
        "nvidia/Llama-3.1-Minitron-4B-Width-Base",
        "my-company/Llama-3.1-8B-support-bot",
        "/models/llama-3.1-8b/checkpoint-1000",
        "deepseek-r1:8b",
        "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B",
        "deepseek-ai/DeepSeek-V3.2",
        "deepseek-ai/DeepSeek-V2-Lite",
        "Qwen/Qwen2.5-VL-7B-Instruct",
        "Qwen/Qwen2-7B-Instruct",
        "Qwen/Qwen2.5-7.2B",
        "Qwen/Qwen3-Next-80B-A3B-Instruct",
        "Qwen/Qwen3-Embedding-8B",
        "mistral-7b",
        "mistralai/Mistral-Small-3.1-24B-Instruct-2503",
        "NousResearch/Nous-Hermes-2-Mixtral-8x7B-DPO",
        "openai/gpt-oss-safeguard-20b",
        "google/gemma-3-27b-it",
        "meta-llama/Llama-Guard-3-8B",
    ],
)
def test_a_model_that_is_not_in_the_table_is_not_given_a_neighbours_shape(name: str) -> None:
    """Another size, version, drafter, distillation, modality or fine-tune is None."""
    assert find_model(name) is None


def test_near_names_stay_apart() -> None:
    """72B is not 7B, 3.2 is not 3.1, and V3 is not R1's distillation."""
    names = ["Qwen2.5-7B", "Qwen2.5-72B", "Qwen3-32B", "Qwen2.5-32B", "Llama-3.2-3B", "Llama-3-8B"]

    assert [model(name).name for name in names] == [
        *("Qwen2.5 7B", "Qwen2.5 72B", "Qwen3 32B", "Qwen2.5 32B", "Llama 3.2 3B", "Llama 3 / 3.1 8B"),
    ]


@given(
    st.sampled_from(NAMED),
    st.sampled_from(["", "org/", "/srv/models/", "models--org--"]),
    st.sampled_from(["", "-Instruct", "-FP8", "-AWQ-INT4", "-Q4_K_M.gguf", "-00002-of-00009", "-quantized.w4a16"]),
    st.sampled_from([str.upper, str.lower, str]),
)
def test_owner_format_and_case_never_matter(
    pair: tuple[ModelShape, str], owner: str, tail: str, case: Callable[[str], str]
) -> None:
    """Every known name, as a path, quantized and in another case, finds the same model."""
    shape, name = pair

    assert find_model(case(owner + name + tail)) is shape


@given(st.sampled_from(NAMED), st.text("abcdefghijklmnopqrstuvwxyz", min_size=2, max_size=8))
def test_an_unknown_word_is_never_ignored(pair: tuple[ModelShape, str], word: str) -> None:
    """A word more gives nothing, unless it says only how the model is tuned or stored."""
    shape, name = pair
    known = {part for other in MODELS for one in other.names for part in one.lower().split("-")}

    if word not in DECORATION | known:
        assert find_model(f"{name}-{word}") is None
        assert find_model(f"{word}-{name}") is None
    assert find_model(name) is shape


@given(st.text(max_size=60))
def test_any_text_is_answered(name: str) -> None:
    """No name raises."""
    assert find_model(name) is None or find_model(name) in MODELS
