"""Schemes: what a weight takes, who can run them, what is published, and what servers call them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.facts.gpus import GPUS, Gpu, find_gpu
from analyzer.facts.schemes import (
    SCHEMES,
    Level,
    find_scheme,
    is_quantized,
    kv_read_speedup,
    kv_scheme_of,
    memory_bound_speedup,
    scheme_of,
    support,
)

ENGINES = [None, "vllm", "sglang", "tgi", "trtllm", "triton", "llamacpp", "lmdeploy", "dynamo", "nim", "new_engine"]


def gpu(name: str) -> Gpu:
    found = find_gpu(name)
    assert found is not None
    return found


def level(scheme: str, name: str, engine: str | None = None) -> str:
    return support(scheme, gpu(name), engine).level


def test_the_table_has_the_schemes_that_the_design_names() -> None:
    """All named schemes and the usual GGUF types."""
    assert list(SCHEMES) == [
        *("int8-w8a8", "fp8-w8a8", "w8a16", "w4a16", "w4a8", "nvfp4", "mxfp4", "kv-fp8", "kv-int8"),
        *("Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_0", "Q4_1"),
    ]
    with pytest.raises(ValueError, match="no quantization scheme 'q9'"):
        find_scheme("q9")


@pytest.mark.parametrize(
    ("scheme", "bits"),
    [
        ("w4a16", 4 + (16 + 16) / 128),
        ("w8a16", 8 + 16 / 128),
        ("nvfp4", 4 + 8 / 16),
        ("mxfp4", 4 + 8 / 32),
        ("Q8_0", 8 + 16 / 32),
        ("Q6_K", 6 + (16 * 8 + 16) / 256),
        ("Q4_0", 4 + 16 / 32),
        ("Q4_1", 4 + (16 + 16) / 32),
        ("Q5_K_M", 5.7036),
        ("Q4_K_M", 4.8944),
    ],
)
def test_bits_per_weight_follow_from_the_block_format(scheme: str, bits: float) -> None:
    """Nominal bits plus scales and zero points over the group they serve; mixtures as llama.cpp measured them."""
    assert bits == SCHEMES[scheme].weight_bits


def test_a_fallback_is_named_by_the_scheme_that_it_amounts_to() -> None:
    """FP8 on Ampere is W8A16, FP4 before Blackwell is W4A16; every named fallback exists."""
    named = {scheme.name: scheme.weight_only_as for scheme in SCHEMES.values() if scheme.weight_only_as is not None}

    assert named == {"fp8-w8a8": "w8a16", "nvfp4": "w4a16", "mxfp4": "w4a16"}
    assert all(SCHEMES[fallback].activation_bits == 16 for fallback in named.values())


def test_overhead_is_part_of_the_weight_bits_and_kv_schemes_leave_weights_alone() -> None:
    """weight_bits - overhead_bits is a whole number of bits; KV schemes say 16 bits and have bits of their own."""
    for scheme in SCHEMES.values():
        assert (scheme.weight_bits - scheme.overhead_bits) in (16, 8, 6, 5, 4), scheme.name
        assert (scheme.kv_bits is not None) is scheme.name.startswith("kv-"), scheme.name
        assert scheme.kv_bits is None or scheme.weight_bits == 16, scheme.name
        assert scheme.gguf is scheme.quantizes_embeddings, scheme.name


@pytest.mark.parametrize(
    ("scheme", "name", "engine", "expected"),
    [
        ("fp8-w8a8", "H100", "vllm", "native"),
        ("fp8-w8a8", "L4", "vllm", "native"),
        ("fp8-w8a8", "A100 80GB", "vllm", "weight_only"),
        ("fp8-w8a8", "T4", "vllm", "weight_only"),
        ("fp8-w8a8", "A100 80GB", "trtllm", "unsupported"),
        ("fp8-w8a8", "V100S", "vllm", "unsupported"),
        ("fp8-w8a8", "MI300X", "vllm", "native"),
        ("fp8-w8a8", "MI250X", "vllm", "unsupported"),
        ("fp8-w8a8", "Intel B60", None, "weight_only"),
        ("int8-w8a8", "A100 80GB", "vllm", "native"),
        ("int8-w8a8", "T4", "vllm", "native"),
        ("int8-w8a8", "V100S", "vllm", "unsupported"),
        ("int8-w8a8", "B200", "vllm", "unsupported"),
        ("int8-w8a8", "B200", "sglang", "native"),
        ("int8-w8a8", "B300", "sglang", "unsupported"),
        ("int8-w8a8", "GB300", None, "unsupported"),
        ("int8-w8a8", "MI300X", "vllm", "unsupported"),
        ("int8-w8a8", "MI300X", "sglang", "native"),
        ("int8-w8a8", "MI250X", "sglang", "weight_only"),
        ("w4a16", "A100 80GB", "vllm", "native"),
        ("w4a16", "V100S", "vllm", "unsupported"),
        ("w4a16", "B200", "trtllm", "unsupported"),
        ("w4a16", "MI300X", "sglang", "native"),
        ("w4a8", "H100", "vllm", "native"),
        ("w4a8", "A100 80GB", "vllm", "unsupported"),
        ("nvfp4", "B200", "vllm", "native"),
        ("nvfp4", "RTX 5090", "sglang", "native"),
        ("nvfp4", "H100", "vllm", "weight_only"),
        ("nvfp4", "H100", "trtllm", "unsupported"),
        ("nvfp4", "H100", "tgi", "unsupported"),
        ("nvfp4", "V100S", "vllm", "unsupported"),
        ("nvfp4", "MI355X", "vllm", "unsupported"),
        ("nvfp4", "MI300X", "sglang", "weight_only"),
        ("mxfp4", "MI355X", "vllm", "native"),
        ("mxfp4", "MI300X", "vllm", "weight_only"),
        ("mxfp4", "H100", "vllm", "weight_only"),
        ("mxfp4", "H100", "llamacpp", "weight_only"),
        ("kv-fp8", "H100", "vllm", "native"),
        ("kv-fp8", "A100 80GB", "vllm", "weight_only"),
        ("kv-fp8", "A100 80GB", "trtllm", "native"),
        ("kv-fp8", "T4", "vllm", "unsupported"),
        ("kv-fp8", "H100", "llamacpp", "unsupported"),
        ("kv-int8", "H100", "llamacpp", "native"),
        ("kv-int8", "V100S", "lmdeploy", "native"),
        ("kv-int8", "H100", "tgi", "unsupported"),
        ("Q4_K_M", "H100", "llamacpp", "native"),
        ("Q4_K_M", "H100", "vllm", "unsupported"),
        ("fp8-w8a8", "H100", "llamacpp", "unsupported"),
    ],
)
def test_hardware_and_engine_gates(scheme: str, name: str, engine: str | None, expected: str) -> None:
    """FP8 on Ampere is weight-only, INT8 is gone on B300, FP4 needs Blackwell, GGUF needs llama.cpp."""
    assert expected == level(scheme, name, engine)


def test_a_refusal_names_what_stands_in_the_way() -> None:
    """The reason is for the operator: the rates, the missing units, or the engine."""
    assert "153.5 T INT8 operations per second against 2250 BF16" in support("int8-w8a8", gpu("B300"), "sglang").reason
    assert "arithmetic stays 16-bit" in support("fp8-w8a8", gpu("A100 80GB"), "vllm").reason
    assert "llama.cpp" in support("Q8_0", gpu("H100"), "vllm").reason


def test_an_unknown_gpu_is_unknown_and_not_unsupported() -> None:
    """Nobody may read a missing fact as a refusal; llama.cpp's file types need no GPU facts."""
    assert support("fp8-w8a8", None, "vllm").level is Level.UNKNOWN
    assert support("fp8-w8a8", None, "llamacpp").level is Level.UNSUPPORTED
    assert support("Q4_K_M", None, "llamacpp").level is Level.NATIVE
    with pytest.raises(ValueError, match="fp9"):
        support("fp9", None, None)


@given(st.sampled_from(list(SCHEMES)), st.sampled_from(GPUS), st.sampled_from(ENGINES))
def test_every_combination_has_an_answer_with_a_reason(scheme: str, device: Gpu, engine: str | None) -> None:
    """No combination raises; native FP8 and FP4 never appear where the table says there are no such units."""
    answer = support(scheme, device, engine)

    assert answer.reason
    assert answer.level is not Level.UNKNOWN
    capability = device.compute_capability
    if answer.level is Level.NATIVE and scheme == "fp8-w8a8":
        assert device.fp8_flops_per_s is not None or (capability is not None and capability >= (8, 9))
    if answer.level is Level.NATIVE and scheme in ("nvfp4", "mxfp4"):
        assert device.fp4_flops_per_s is not None


def test_published_speedups_may_be_slow_downs_and_are_ordered() -> None:
    """P10 <= P50 <= P90; the 4-bit P10 of small models at batch 1 is below 1 and stays so."""
    for name in SCHEMES:
        published = memory_bound_speedup(name)
        if published is None:
            assert name.startswith("kv-")
            continue
        assert published.p10 <= published.p50 <= published.p90, name
        assert published.n >= 1
        assert published.source
        assert published.basis in ("batch_1", "decode", "borrowed")
    w4a16 = memory_bound_speedup("w4a16")
    assert w4a16 is not None
    assert w4a16.p10 < 1 < w4a16.p50


def test_kv_speedups_are_of_the_kv_read_alone() -> None:
    """They are never offered for the whole memory-bound part; 0.54 and 0.80 ms per token are 1.85 and 1.25."""
    kv = kv_read_speedup("kv-fp8")
    assert kv is not None

    assert kv.p50 == pytest.approx(1 / 0.54, abs=1e-4)
    assert memory_bound_speedup("kv-fp8") is None
    assert kv_read_speedup("kv-int8") is None
    assert kv_read_speedup("w4a16") is None


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("fp8", "fp8-w8a8"),
        ("FP8", "fp8-w8a8"),
        ("fbgemm_fp8", "fp8-w8a8"),
        ("w8a8_fp8", "fp8-w8a8"),
        ("w8a8_int8", "int8-w8a8"),
        ("awq", "w4a16"),
        ("awq_marlin", "w4a16"),
        ("gptq", "w4a16"),
        ("gptq_marlin", "w4a16"),
        ("w4a16", "w4a16"),
        ("W4A16_AWQ", "w4a16"),
        ("W4A8_AWQ", "w4a8"),
        ("my-model-W4A8-AWQ", "w4a8"),
        ("modelopt_fp4", "nvfp4"),
        ("NVFP4", "nvfp4"),
        ("gpt_oss_mxfp4", "mxfp4"),
        ("MXFP4 MoE", "mxfp4"),
        ("Q4_K_M", "Q4_K_M"),
        ("Q4_K - Medium", "Q4_K_M"),
        ("llama 8B Q4_K - Medium", "Q4_K_M"),
        ("Q8_0", "Q8_0"),
        ("Q8_0 (guessed)", "Q8_0"),
        ("Q4_1", "Q4_1"),
        ("Meta-Llama-3.1-8B-Instruct-Q5_K_M.gguf", "Q5_K_M"),
        ("RedHatAI/Meta-Llama-3.1-8B-Instruct-FP8-dynamic", "fp8-w8a8"),
        ("RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w4a16", "w4a16"),
        ("Qwen/Qwen2.5-7B-Instruct-AWQ", "w4a16"),
        ("Qwen/Qwen2.5-7B-Instruct-GPTQ-Int4", "w4a16"),
        ("Qwen/Qwen2.5-7B-Instruct-GPTQ-Int8", "w8a16"),
    ],
)
def test_a_servers_word_means_one_scheme(word: str, expected: str) -> None:
    """Engine options, llama.cpp file types and checkpoint names."""
    assert expected == scheme_of(word)
    assert is_quantized(word) is True


@pytest.mark.parametrize(
    "word",
    [
        *("compressed-tensors", "bitsandbytes", "modelopt", "w8a8", "int8", "marlin", "quark", "gptq_marlin_24"),
        *("Q4_K - Small", "IQ4_XS - 4.25 bpw", "Q3_K_L", "UD-Q4_K_XL", "some-model-quantized.w8a8", "fp8,awq"),
    ],
)
def test_a_word_with_several_meanings_is_quantized_but_none_in_particular(word: str) -> None:
    """None from scheme_of does not say unquantized."""
    assert scheme_of(word) is None
    assert is_quantized(word) is True


@pytest.mark.parametrize("word", ["", "None", "none", "bfloat16", "F16", "all F32", "auto"])
def test_sixteen_bits_are_not_quantized(word: str) -> None:
    """What servers print for an unquantized model."""
    assert scheme_of(word) is None
    assert is_quantized(word) is False


@pytest.mark.parametrize("word", ["Qwen2.5-7B", "meta-llama/Llama-3.1-8B-Instruct", "custom", "kv-fp8", "awqward"])
def test_a_word_nobody_knows_is_neither(word: str) -> None:
    """A model's plain name says nothing of its quantization, nor does half a word."""
    assert scheme_of(word) is None
    assert is_quantized(word) is None


@given(st.text(max_size=60))
def test_any_text_is_answered_with_a_weight_scheme_or_none(word: str) -> None:
    """Never a KV scheme, never a name that the table lacks."""
    found = scheme_of(word)

    assert found is None or SCHEMES[found].kv_bits is None
    assert found is None or is_quantized(word) is True


def test_scheme_names_mean_themselves() -> None:
    """Every weight scheme's own name is recognised."""
    assert [name for name in SCHEMES if scheme_of(name) == name] == [
        name for name in SCHEMES if not name.startswith("kv-")
    ]


def test_cache_types_of_servers() -> None:
    """The words of vLLM, SGLang and llama.cpp for their KV cache."""
    words = ["fp8", "fp8_e4m3", "fp8_e5m2", "int8_per_token_head", "q8_0", "auto", "bf16", "f16", "fp4_e2m1"]

    assert [kv_scheme_of(word) for word in words] == [
        *("kv-fp8", "kv-fp8", "kv-fp8", "kv-int8", "kv-int8"),
        *(None, None, None, None),
    ]
