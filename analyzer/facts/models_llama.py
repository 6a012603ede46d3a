"""Shapes of the Llama models, each from the `config.json` that its sources name.

Parameter counts are the safetensors totals that the Hugging Face API gives for those repositories, except where a
source says otherwise.
"""

from __future__ import annotations

from analyzer.facts.model_shape import ModelShape, published_shape

LLAMA: tuple[ModelShape, ...] = (
    published_shape(
        "Llama 2 7B",
        6_738_417_664,
        (32, 4096, 32, 32, 128, 11008, 32000),
        "meta-llama/Llama-2-7b-hf",
        ("Llama-2-7b",),
    ),
    published_shape(
        "Llama 2 13B",
        13_015_866_880,
        (40, 5120, 40, 40, 128, 13824, 32000),
        "meta-llama/Llama-2-13b-hf",
        ("Llama-2-13b",),
    ),
    published_shape(
        "Llama 2 70B",
        68_976_653_312,
        (80, 8192, 64, 8, 128, 28672, 32000),
        "meta-llama/Llama-2-70b-hf",
        ("Llama-2-70b",),
    ),
    published_shape(
        "Llama 3 / 3.1 8B",
        8_030_261_248,
        (32, 4096, 32, 8, 128, 14336, 128256),
        "meta-llama/Llama-3.1-8B",
        ("Llama-3.1-8B", "Llama-3-8B", "DeepSeek-R1-Distill-Llama-8B"),
    ),
    published_shape(
        "Llama 3 / 3.1 / 3.3 70B",
        70_553_706_496,
        (80, 8192, 64, 8, 128, 28672, 128256),
        "meta-llama/Llama-3.3-70B-Instruct",
        ("Llama-3.1-70B", "Llama-3.3-70B", "Llama-3-70B", "DeepSeek-R1-Distill-Llama-70B"),
    ),
    published_shape(
        "Llama 3.1 405B",
        405_853_388_800,
        (126, 16384, 128, 8, 128, 53248, 128256),
        "meta-llama/Llama-3.1-405B",
        ("Llama-3.1-405B",),
    ),
    published_shape(
        "Llama 3.2 1B",
        1_235_814_400,
        (16, 2048, 32, 8, 64, 8192, 128256),
        "meta-llama/Llama-3.2-1B",
        ("Llama-3.2-1B",),
        tied=True,
    ),
    published_shape(
        "Llama 3.2 3B",
        3_212_749_824,
        (28, 3072, 24, 8, 128, 8192, 128256),
        "meta-llama/Llama-3.2-3B",
        ("Llama-3.2-3B",),
        tied=True,
    ),
)
