"""The shapes add up to the published parameter counts, and give the bytes that weights and KV cache take."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.facts.models import MODELS, ModelShape, find_model


def model(name: str) -> ModelShape:
    found = find_model(name)
    assert found is not None
    return found


def counted_parameters(shape: ModelShape) -> int:
    """Parameters by the usual decoder's formula.

    Attention: query and output h·heads·d each, key and value h·kv·d each. MLP: gate, up and down, 3·h·intermediate;
    with experts as many for each, and a router h·count per layer. Then what the families add per layer.
    """
    hidden, width, kv_width = shape.hidden_size, shape.attention_heads * shape.head_dim, shape.kv_heads * shape.head_dim
    attention = 2 * hidden * width + 2 * hidden * kv_width
    dense_layers = shape.layers if shape.experts is None else shape.layers - shape.experts.layers
    total = shape.layers * attention + dense_layers * 3 * hidden * shape.intermediate_size
    if shape.experts is not None:
        total += shape.experts.layers * shape.experts.count * (shape.expert_parameters + hidden)
    return total + shape.embedding_parameters + shape.layers * small_parameters(shape) + hidden


def small_parameters(shape: ModelShape) -> int:
    """Norms, biases and buffers of one layer, by family."""
    hidden, width, kv_width = shape.hidden_size, shape.attention_heads * shape.head_dim, shape.kv_heads * shape.head_dim
    norms = (4 if shape.name.startswith("Gemma 2") else 2) * hidden
    if shape.name.startswith("Qwen2.5"):
        return norms + width + 2 * kv_width
    if shape.name.startswith("Qwen3"):
        return norms + 2 * shape.head_dim
    if shape.name.startswith("Llama 2"):
        return norms + shape.head_dim // 2
    if shape.name.startswith("gpt-oss"):
        assert shape.experts is not None
        expert_biases = 2 * shape.experts.intermediate_size + hidden
        attention_biases = width + 2 * kv_width + hidden + shape.attention_heads
        return norms + attention_biases + shape.experts.count * (1 + expert_biases)
    return norms


def counted_latent_parameters(shape: ModelShape, query_rank: int) -> int:
    """DeepSeek's decoder: compressed queries and keys, one shared expert of a routed one's size per expert layer."""
    assert shape.experts is not None
    assert shape.latent is not None
    hidden, heads, nope = shape.hidden_size, shape.attention_heads, shape.head_dim
    rank, rope, value = shape.latent.rank, shape.latent.rope_dim, shape.head_dim
    attention = hidden * query_rank + query_rank * heads * (nope + rope)
    attention += hidden * (rank + rope) + rank * heads * (nope + value) + heads * value * hidden
    dense = (shape.layers - shape.experts.layers) * 3 * hidden * shape.intermediate_size
    routed = shape.experts.layers * ((shape.experts.count + 1) * shape.expert_parameters + shape.experts.count * hidden)
    return shape.layers * attention + dense + routed + shape.embedding_parameters


@pytest.mark.parametrize("shape", [one for one in MODELS if one.latent is None], ids=lambda one: one.name)
def test_the_shape_adds_up_to_the_published_count(shape: ModelShape) -> None:
    """To the last parameter, dense models and mixtures of experts alike: so every size in the row is right."""
    assert counted_parameters(shape) == shape.parameters


@pytest.mark.parametrize("shape", [one for one in MODELS if one.latent is not None], ids=lambda one: one.name)
def test_latent_attention_adds_up_too(shape: ModelShape) -> None:
    """Query rank 1536 in DeepSeek V3 and Kimi K2."""
    assert counted_latent_parameters(shape, 1536) == pytest.approx(shape.parameters, rel=1e-3)


@pytest.mark.parametrize(
    ("name", "active_billions"),
    [
        ("Mixtral-8x7B", 12.9),
        ("Mixtral-8x22B", 39.1),
        ("Qwen3-30B-A3B", 3.3),
        ("Qwen3-235B-A22B", 22.0),
        ("Qwen3-Coder-480B-A35B", 35.0),
        ("DeepSeek-V3", 37.0),
        ("Kimi-K2", 32.0),
        ("Llama-3.1-8B", 8.03),
    ],
)
def test_active_parameters_are_the_published_ones(name: str, active_billions: float) -> None:
    """As the authors give them, within 3 %: they round."""
    assert model(name).active_parameters / 1e9 == pytest.approx(active_billions, rel=0.03)


def test_gpt_oss_counts_active_parameters_without_the_embedding_table() -> None:
    """Its card gives 3.61e9 and 5.13e9 with the table of 201,088 x 2,880 = 0.58e9 left out."""
    table = 201_088 * 2_880

    assert (model("gpt-oss-20b").active_parameters - table) / 1e9 == pytest.approx(3.61, rel=0.01)
    assert (model("gpt-oss-120b").active_parameters - table) / 1e9 == pytest.approx(5.13, rel=0.01)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Llama-3.1-8B", 2 * 32 * 8 * 128 * 2),
        ("Llama-3.1-70B", 2 * 80 * 8 * 128 * 2),
        ("Qwen2.5-7B", 2 * 28 * 4 * 128 * 2),
        ("Llama-2-7b", 2 * 32 * 32 * 128 * 2),
        ("DeepSeek-R1", 61 * (512 + 64) * 2),
    ],
)
def test_kv_bytes_per_token_by_hand(name: str, expected: int) -> None:
    """Key and value · layers · KV heads · head dimension · 2 bytes; latent attention keeps one vector per layer."""
    assert expected == model(name).kv_bytes_per_token(2)
    assert expected / 2 == model(name).kv_bytes_per_token(1)


def test_sliding_windows_bound_what_a_step_reads() -> None:
    """gpt-oss: of 24 layers 12 read at most 128 tokens; 10,000 tokens of context read 12 · 10,000 + 12 · 128."""
    shape = model("gpt-oss-20b")
    per_layer = 2 * 8 * 64 * 2

    assert shape.kv_read_bytes(10_000, 2) == (12 * 10_000 + 12 * 128) * per_layer
    assert shape.kv_read_bytes(100, 2) == 24 * 100 * per_layer
    assert model("Llama-3.1-8B").kv_read_bytes(10_000, 2) == 10_000 * model("Llama-3.1-8B").kv_bytes_per_token(2)


def test_weight_bytes_leave_embeddings_at_sixteen_bits() -> None:
    """Llama-3.1-8B: 2 · 128,256 · 4,096 = 1.0507e9 unquantized; 4.25 bits of 6.9796e9 + 2 bytes of it = 5.81 GB."""
    shape = model("Llama-3.1-8B")
    embeddings = 2 * 128_256 * 4_096
    linear = 8_030_261_248 - embeddings

    assert shape.weight_bytes(16) == 8_030_261_248 * 2
    assert shape.weight_bytes(32) == 8_030_261_248 * 4
    assert shape.weight_bytes(4.25) == pytest.approx(linear * 4.25 / 8 + embeddings * 2)
    assert shape.weight_bytes(4.8944, embeddings_quantized=True) == pytest.approx(8_030_261_248 * 4.8944 / 8)
    assert shape.weight_bytes(8, embedding_bits=8) == 8_030_261_248


def test_a_gguf_file_is_as_large_as_llama_cpp_says() -> None:
    """Q4_K_M of Llama-3.1-8B at 4.8944 bits per weight is the 4.58 GiB of llama.cpp's table; Q8_0 7.95 GiB."""
    shape = model("Llama-3.1-8B")

    assert f"{shape.weight_bytes(4.8944, embeddings_quantized=True) / 2**30:.2f}" == "4.58"
    assert f"{shape.weight_bytes(8.5008, embeddings_quantized=True) / 2**30:.2f}" == "7.95"


def test_a_step_reads_lm_head_but_not_an_untied_embedding_table() -> None:
    """Llama-3.1-8B leaves out 128,256 · 4,096 · 2 bytes; tied SmolLM2 reads its one matrix."""
    assert model("Llama-3.1-8B").step_weight_bytes(16, 1) == (8_030_261_248 - 128_256 * 4_096) * 2
    assert model("SmolLM2-135M").step_weight_bytes(16, 1) == model("SmolLM2-135M").weight_bytes(16)


def test_a_step_of_a_mixture_reads_the_experts_it_touches() -> None:
    """One token of Mixtral reads 2 of 8 experts; two tokens 8 · (1 - 0.75²) = 3.5; many tokens all of them."""
    shape = model("Mixtral-8x7B")
    table = 32_000 * 4_096
    expert = 3 * 4_096 * 14_336 * 32

    assert shape.step_weight_bytes(16, 1) == pytest.approx((shape.active_parameters - table) * 2)
    two_tokens = shape.parameters - table - (8 - 3.5) * expert
    assert shape.step_weight_bytes(16, 2) == pytest.approx(two_tokens * 2)
    assert shape.step_weight_bytes(16, 1_000) == pytest.approx((shape.parameters - table) * 2)
    with pytest.raises(ValueError, match="-1 tokens"):
        shape.step_weight_bytes(16, -1)


@given(st.sampled_from(MODELS), st.floats(2, 16), st.floats(2, 16), st.floats(0, 500), st.floats(0, 500))
def test_fewer_bits_and_fewer_tokens_never_read_more(
    shape: ModelShape, bits: float, other_bits: float, tokens: float, other_tokens: float
) -> None:
    """Bytes grow with bits and with the tokens of a step, and a step never reads more than there is."""
    low, high = sorted((bits, other_bits))
    few, many = sorted((tokens, other_tokens))

    assert shape.weight_bytes(low) <= shape.weight_bytes(high) <= shape.parameters * 2
    assert shape.step_weight_bytes(low, few) <= shape.step_weight_bytes(low, many) * (1 + 1e-12)
    assert shape.step_weight_bytes(high, many) <= shape.weight_bytes(high) * (1 + 1e-12)


def test_every_model_has_a_source_and_a_name_of_its_own() -> None:
    """Names are unique, sizes positive, heads divide, and each row says where it was read."""
    assert len({one.name for one in MODELS}) == len(MODELS)
    for one in MODELS:
        assert one.sources[0].startswith("config.json of "), one.name
        assert one.attention_heads % one.kv_heads == 0, one.name
        assert one.sliding_layers <= one.layers, one.name
        assert (one.sliding_window_tokens is None) is (one.sliding_layers == 0), one.name
