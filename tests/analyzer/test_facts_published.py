"""Shipped figures are those of the compilation they were taken from, recomputed where it lies beside the checkout."""

from __future__ import annotations

import csv
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from analyzer.facts.gpus import COMPILED, find_gpu, measured_matmul_efficiency
from analyzer.facts.quality import ALL_SIZES, MIN_ROWS, quality_prior
from analyzer.facts.schemes import kv_read_speedup, memory_bound_speedup
from analyzer.facts.schemes import scheme_of as _scheme_of

COMPILATION = Path(__file__).resolve().parents[2].parent / "shared" / "data"

NOT_COMPARABLE = {
    *("open_loop", "saturated_base", "queueing_dominated", "batch_not_equal", "engine_differs", "gpu_count_differs"),
    *("source_internally_inconsistent", "baseline_outlier_in_source", "non_marlin_gptq_kernel", "config_differs_ep"),
    *("max_batch_each", "tuning_differs", "other_optimisations_bundled", "gpu_not_stated", "image_or_date_differs"),
    "quant_runs_used_enforce_eager_base_not_stated",
}


def rows(name: str) -> list[dict[str, str]]:
    """The rows of one file of the compilation; skips the test where it is not there."""
    path = COMPILATION / name
    if not path.exists():
        pytest.skip(f"NOT CHECKED: the published data {name} do not lie in ../shared/data beside this checkout")
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def scaled(text: str, exponent: int) -> float | None:
    """A table figure in base units, exactly rounded; None for an empty cell."""
    return None if text == "" else float(Decimal(text) * 10**exponent)


def test_every_gpu_figure_equals_the_table() -> None:
    """All 40 rows and every column: decimal units, sources and disagreements included."""
    table = rows("gpus.csv")
    by_name = {gpu.name: gpu for gpu in COMPILED}

    assert {row["gpu"] for row in table} == set(by_name)
    for row in table:
        gpu = by_name[row["gpu"]]
        capability = None if row["sm"] == "" else divmod(int(row["sm"]), 10)
        assert (
            gpu.architecture,
            gpu.memory_bytes,
            gpu.bandwidth_bytes_per_s,
            gpu.bf16_flops_per_s,
            gpu.fp8_flops_per_s,
            gpu.int8_ops_per_s,
            gpu.fp4_flops_per_s,
            gpu.tdp_w,
            gpu.compute_capability,
            gpu.reference_price_usd_per_h,
            "; ".join(gpu.sources),
            gpu.disagreements,
        ) == (
            row["arch"],
            int(row["mem_gb"]) * 10**9,
            scaled(row["mem_bw_gbs"], 9),
            scaled(row["bf16_dense_tflops"], 12),
            scaled(row["fp8_dense_tflops"], 12),
            scaled(row["int8_dense_tops"], 12),
            scaled(row["fp4_dense_tflops"], 12),
            scaled(row["tdp_w"], 0),
            capability,
            scaled(row["price_usd_hr_ref_accelmark_2026_04"], 0),
            row["sources"],
            row["disagreements"],
        ), gpu.name


def test_every_measured_matmul_rate_equals_the_table() -> None:
    """16 measurements; times our peak they give back the measured TFLOPS."""
    table = rows("gpu_measured_efficiency.csv")
    names = {"A100 SXM": "A100 80GB", "A100 PCIe": "A100 PCIe 80GB", "GH200 SXM": "GH200", "GB200 SXM": "GB200"}

    assert len(table) == 16
    for row in table:
        gpu = find_gpu(names.get(row["gpu"], row["gpu"]))
        assert gpu is not None
        efficiency = measured_matmul_efficiency(gpu, row["dtype"])
        peak = gpu.bf16_flops_per_s if row["dtype"] == "bf16" else gpu.fp8_flops_per_s
        assert efficiency is not None
        assert peak is not None
        assert efficiency * peak / 1e12 == pytest.approx(float(row["max_achieved_tflops"])), row["gpu"]


SCHEME_OF_TABLE = {
    "FP8-W8A8": "fp8-w8a8",
    "W8A8-INT8": "int8-w8a8",
    "W8A16": "w8a16",
    "W4A16": "w4a16",
    "W4A8": "w4a8",
    "NVFP4": "nvfp4",
    "KV-FP8": "kv-fp8",
    "KV-INT8": "kv-int8",
}


def test_every_quality_prior_equals_the_table() -> None:
    """Median, P90 and number of pairs per scheme, in ratios instead of percent."""
    table = [row for row in rows("accuracy_prior_by_scheme.csv") if row["scheme"] in SCHEME_OF_TABLE]

    assert len(table) == len(SCHEME_OF_TABLE)
    for row in table:
        found = quality_prior(SCHEME_OF_TABLE[row["scheme"]], None)
        assert found is not None
        assert (found.median * 100, found.p90 * 100) == pytest.approx((float(row["median"]), float(row["p90"])))
        assert (found.n, found.bin) == (int(row["n"]), ALL_SIZES), row["scheme"]


def test_every_sized_quality_prior_equals_the_table() -> None:
    """Per scheme and size bin; bins below the least number of pairs are answered over all sizes instead."""
    parameters = {"<=2.5B": 1e9, "3-5B": 4e9, "6-9B": 8e9, "10-20B": 14e9, "30-50B": 32e9, ">=65B": 70e9}
    table = [row for row in rows("accuracy_prior_by_scheme_size.csv") if row["scheme"] in SCHEME_OF_TABLE]

    for row in table:
        found = quality_prior(SCHEME_OF_TABLE[row["scheme"]], int(parameters[row["size"]]))
        assert found is not None
        if int(row["n"]) < MIN_ROWS:
            assert found.bin == ALL_SIZES, row
            continue
        assert (found.median * 100, found.p90 * 100) == pytest.approx((float(row["median"]), float(row["p90"])))
        assert (found.n, found.bin) == (int(row["n"]), row["size"]), row


def core_rows() -> list[dict[str, str]]:
    """Rows whose two sides are comparable: 562 of the compilation's 1,337."""

    def comparable(row: dict[str, str]) -> bool:
        flags = [flag for flag in row["flags"].split(";") if flag]
        dropped = any(flag in NOT_COMPARABLE or flag.startswith(("hf_transformers", "bnb")) for flag in flags)
        return not dropped and "bitsandbytes" not in row["source"]

    return [row for row in rows("speedups_dev.csv") if comparable(row)]


@pytest.mark.parametrize(
    ("scheme", "table_schemes", "batch_1"),
    [
        ("w4a16", ("W4A16",), True),
        ("w8a16", ("W8A16", "FP8-W8A16"), True),
        ("Q4_K_M", ("GGUF-Q4_K_M",), True),
        ("fp8-w8a8", ("FP8-W8A8",), False),
        ("int8-w8a8", ("W8A8-INT8",), False),
        ("nvfp4", ("NVFP4",), False),
    ],
)
def test_published_speedups_are_the_percentiles_of_the_core_rows(
    scheme: str, table_schemes: tuple[str, ...], batch_1: bool
) -> None:
    """Decode over a 16-bit base, at batch 1 where there are 5 such rows, without what is compute-bound there."""
    decode = [
        row
        for row in core_rows()
        if row["scheme"] in table_schemes
        and row["base_precision"] in ("BF16", "FP16", "F16")
        and row["phase"] == "decode"
        and "compute_bound_scheme_at_batch1" not in row["flags"]
    ]
    single = [row for row in decode if row["load"] == "1"]
    published = memory_bound_speedup(scheme)
    assert published is not None

    assert (len(single) >= 5) is batch_1
    used = [float(row["speedup"]) for row in (single if batch_1 else decode)]
    assert published.basis == ("batch_1" if batch_1 else "decode")
    assert published.n == len(used)
    assert np.round(np.percentile(used, [10, 50, 90]), 4).tolist() == [published.p10, published.p50, published.p90]


def test_the_filter_leaves_the_documented_number_of_rows() -> None:
    """562 core rows of 1,337."""
    assert (len(rows("speedups_dev.csv")), len(core_rows())) == (1337, 562)


@pytest.mark.parametrize("scheme", ["Q8_0", "Q6_K", "Q5_K_M"])
def test_single_published_values_carry_the_spread_of_q4_k_m(scheme: str) -> None:
    """The median is llama.cpp's own tg128 ratio; P10 and P90 stand to it as those of Q4_K_M do."""
    found = [
        float(row["speedup"])
        for row in rows("speedups_dev.csv")
        if row["scheme"] == f"GGUF-{scheme}" and row["phase"] == "decode"
    ]
    published, spread = memory_bound_speedup(scheme), memory_bound_speedup("Q4_K_M")
    assert published is not None
    assert spread is not None

    assert found == [published.p50]
    assert published.p10 / published.p50 == pytest.approx(spread.p10 / spread.p50, abs=1e-4)
    assert published.p90 / published.p50 == pytest.approx(spread.p90 / spread.p50, abs=1e-4)


def test_kv_read_speedup_is_the_inverse_of_the_published_slopes() -> None:
    """Milliseconds of inter-token latency per token of context, with FP8 over without."""
    slopes = [
        1 / float(row["published_ratio"])
        for row in rows("speedups_ratio_only.csv")
        if row["scheme"] == "KV-FP8" and row["metric"].startswith("ITL slope")
    ]
    published = kv_read_speedup("kv-fp8")
    assert published is not None

    assert published.n == len(slopes)
    assert np.round(np.percentile(slopes, [10, 50, 90]), 4).tolist() == [published.p10, published.p50, published.p90]


def test_every_scheme_name_of_the_compilation_is_understood_or_ambiguous() -> None:
    """The compilation's own scheme words find the scheme they stand for."""
    expected = {"W4A16": "w4a16", "W8A16": "w8a16", "FP8-W8A8": "fp8-w8a8", "NVFP4": "nvfp4", "W8A8-INT8": "int8-w8a8"}
    present = {row["scheme"] for row in rows("speedups_dev.csv")}

    assert {word: _scheme_of(word) for word in expected if word in present} == expected
