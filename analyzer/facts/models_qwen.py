"""Shapes of the Qwen models, each from the `config.json` that its sources name.

Parameter counts are the safetensors totals that the Hugging Face API gives for those repositories, except where a
source says otherwise.
"""

from __future__ import annotations

from analyzer.facts.model_shape import Experts, ModelShape, published_shape

TIED_ONCE = "parameters without the second copy of the tied embeddings that its safetensors hold"

QWEN: tuple[ModelShape, ...] = (
    published_shape(
        "Qwen2.5 0.5B",
        494_032_768,
        (24, 896, 14, 2, 64, 4864, 151936),
        "Qwen/Qwen2.5-0.5B",
        ("Qwen2.5-0.5B", "Qwen2.5-Coder-0.5B"),
        tied=True,
    ),
    published_shape(
        "Qwen2.5 1.5B",
        1_543_714_304,
        (28, 1536, 12, 2, 128, 8960, 151936),
        "Qwen/Qwen2.5-1.5B",
        ("Qwen2.5-1.5B", "Qwen2.5-Coder-1.5B"),
        tied=True,
    ),
    published_shape(
        "Qwen2.5 3B",
        3_085_938_688,
        (36, 2048, 16, 2, 128, 11008, 151936),
        "Qwen/Qwen2.5-3B",
        ("Qwen2.5-3B", "Qwen2.5-Coder-3B"),
        tied=True,
    ),
    published_shape(
        "Qwen2.5 7B",
        7_615_616_512,
        (28, 3584, 28, 4, 128, 18944, 152064),
        "Qwen/Qwen2.5-7B",
        ("Qwen2.5-7B", "Qwen2.5-Coder-7B", "Qwen2.5-7B-1M", "DeepSeek-R1-Distill-Qwen-7B"),
    ),
    published_shape(
        "Qwen2.5 14B",
        14_770_033_664,
        (48, 5120, 40, 8, 128, 13824, 152064),
        "Qwen/Qwen2.5-14B",
        ("Qwen2.5-14B", "Qwen2.5-Coder-14B", "Qwen2.5-14B-1M", "DeepSeek-R1-Distill-Qwen-14B"),
    ),
    published_shape(
        "Qwen2.5 32B",
        32_763_876_352,
        (64, 5120, 40, 8, 128, 27648, 152064),
        "Qwen/Qwen2.5-32B",
        ("Qwen2.5-32B", "Qwen2.5-Coder-32B", "QwQ-32B", "QwQ-32B-Preview", "DeepSeek-R1-Distill-Qwen-32B"),
    ),
    published_shape(
        "Qwen2.5 72B",
        72_706_203_648,
        (80, 8192, 64, 8, 128, 29568, 152064),
        "Qwen/Qwen2.5-72B",
        ("Qwen2.5-72B",),
    ),
    published_shape(
        "Qwen3 0.6B",
        596_049_920,
        (28, 1024, 16, 8, 128, 3072, 151936),
        "Qwen/Qwen3-0.6B",
        ("Qwen3-0.6B",),
        tied=True,
        note=TIED_ONCE,
    ),
    published_shape(
        "Qwen3 1.7B",
        1_720_574_976,
        (28, 2048, 16, 8, 128, 6144, 151936),
        "Qwen/Qwen3-1.7B",
        ("Qwen3-1.7B",),
        tied=True,
        note=TIED_ONCE,
    ),
    published_shape(
        "Qwen3 4B",
        4_022_468_096,
        (36, 2560, 32, 8, 128, 9728, 151936),
        "Qwen/Qwen3-4B",
        ("Qwen3-4B", "Qwen3-4B-2507"),
        tied=True,
    ),
    published_shape(
        "Qwen3 8B",
        8_190_735_360,
        (36, 4096, 32, 8, 128, 12288, 151936),
        "Qwen/Qwen3-8B",
        ("Qwen3-8B",),
    ),
    published_shape(
        "Qwen3 14B",
        14_768_307_200,
        (40, 5120, 40, 8, 128, 17408, 151936),
        "Qwen/Qwen3-14B",
        ("Qwen3-14B",),
    ),
    published_shape(
        "Qwen3 32B",
        32_762_123_264,
        (64, 5120, 64, 8, 128, 25600, 151936),
        "Qwen/Qwen3-32B",
        ("Qwen3-32B",),
    ),
    published_shape(
        "Qwen3 30B-A3B",
        30_532_122_624,
        (48, 2048, 32, 4, 128, 0, 151936),
        "Qwen/Qwen3-30B-A3B",
        ("Qwen3-30B-A3B", "Qwen3-30B-A3B-2507", "Qwen3-Coder-30B-A3B"),
        experts=Experts(128, 8, 768, 48),
    ),
    published_shape(
        "Qwen3 235B-A22B",
        235_093_634_560,
        (94, 4096, 64, 4, 128, 0, 151936),
        "Qwen/Qwen3-235B-A22B",
        ("Qwen3-235B-A22B", "Qwen3-235B-A22B-2507"),
        experts=Experts(128, 8, 1536, 94),
    ),
    published_shape(
        "Qwen3 Coder 480B-A35B",
        480_154_875_392,
        (62, 6144, 96, 8, 128, 0, 151936),
        "Qwen/Qwen3-Coder-480B-A35B-Instruct",
        ("Qwen3-Coder-480B-A35B",),
        experts=Experts(160, 8, 2560, 62),
    ),
)
