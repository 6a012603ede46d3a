"""Shapes of the Mistral and Mixtral models, each from the `config.json` that its sources name.

Parameter counts are the safetensors totals that the Hugging Face API gives for those repositories, except where a
source says otherwise.
"""

from __future__ import annotations

from analyzer.facts.model_shape import Experts, ModelShape, published_shape

MISTRAL: tuple[ModelShape, ...] = (
    published_shape(
        "Mistral 7B v0.1",
        7_241_732_096,
        (32, 4096, 32, 8, 128, 14336, 32000),
        "mistralai/Mistral-7B-v0.1",
        ("Mistral-7B-v0.1",),
        sliding_window_tokens=4096,
        sliding_layers=32,
    ),
    published_shape(
        "Mistral 7B v0.2",
        7_241_732_096,
        (32, 4096, 32, 8, 128, 14336, 32000),
        "mistralai/Mistral-7B-Instruct-v0.2",
        ("Mistral-7B-v0.2",),
    ),
    published_shape(
        "Mistral 7B v0.3",
        7_248_023_552,
        (32, 4096, 32, 8, 128, 14336, 32768),
        "mistralai/Mistral-7B-v0.3",
        ("Mistral-7B-v0.3",),
    ),
    published_shape(
        "Mistral Nemo 12B",
        12_247_782_400,
        (40, 5120, 32, 8, 128, 14336, 131072),
        "mistralai/Mistral-Nemo-Base-2407",
        ("Mistral-Nemo-2407", "Mistral-Nemo-12B", "Mistral-Nemo"),
    ),
    published_shape(
        "Mistral Small 24B",
        23_572_403_200,
        (40, 5120, 32, 8, 128, 32768, 131072),
        "mistralai/Mistral-Small-24B-Instruct-2501",
        ("Mistral-Small-24B-2501", "Mistral-Small-24B"),
    ),
    published_shape(
        "Mistral Large 123B",
        122_610_069_504,
        (88, 12288, 96, 8, 128, 28672, 32768),
        "mistralai/Mistral-Large-Instruct-2407",
        ("Mistral-Large-2407", "Mistral-Large-2411"),
        note="parameters added up from its config.json; its card says 123B",
    ),
    published_shape(
        "Mixtral 8x7B",
        46_702_792_704,
        (32, 4096, 32, 8, 128, 0, 32000),
        "mistralai/Mixtral-8x7B-v0.1",
        ("Mixtral-8x7B-v0.1", "Mixtral-8x7B"),
        experts=Experts(8, 2, 14336, 32),
    ),
    published_shape(
        "Mixtral 8x22B",
        140_630_071_296,
        (56, 6144, 48, 8, 128, 0, 32768),
        "mistralai/Mixtral-8x22B-Instruct-v0.1",
        ("Mixtral-8x22B-v0.1", "Mixtral-8x22B"),
        note="the base model's vocabulary is 32000, 0.007 % of parameters less",
        experts=Experts(8, 2, 16384, 56),
    ),
)
