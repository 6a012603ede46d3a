"""A GPU's name finds that GPU's facts or nothing, never a neighbour's."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.evidence import Evidence
from analyzer.facts.gpus import (
    COMPILED,
    DECORATION,
    GPUS,
    REFERENCE_PRICE_DATE,
    REFERENCE_PRICE_EVIDENCE,
    REFERENCE_PRICE_SOURCE,
    Gpu,
    find_gpu,
    gpu_candidates,
    measured_matmul_efficiency,
)

NAMED = [(gpu, name) for gpu in GPUS for name in (gpu.name, *gpu.names)]


def named(name: str) -> str | None:
    gpu = find_gpu(name)
    return None if gpu is None else gpu.name


@pytest.mark.parametrize(
    ("driver_name", "expected"),
    [
        ("NVIDIA H100 80GB HBM3", "H100 SXM 80GB"),
        ("NVIDIA H100 PCIe", "H100 PCIe 80GB"),
        ("NVIDIA H100 NVL", "H100 NVL 94GB"),
        ("NVIDIA H200", "H200 SXM"),
        ("NVIDIA H200 NVL", "H200 NVL"),
        ("NVIDIA H20", "H20"),
        ("NVIDIA H20-3e", "H20-3e 141GB"),
        ("NVIDIA GH200 480GB", "GH200"),
        ("NVIDIA A100-SXM4-80GB", "A100 SXM4 80GB"),
        ("NVIDIA A100-SXM4-40GB", "A100 SXM4 40GB"),
        ("NVIDIA A100 80GB PCIe", "A100 PCIe 80GB"),
        ("NVIDIA A10", "A10"),
        ("NVIDIA A10G", "A10G"),
        ("NVIDIA A40", "A40"),
        ("NVIDIA RTX A6000", "RTX A6000"),
        ("NVIDIA L4", "L4"),
        ("NVIDIA L40", "L40"),
        ("NVIDIA L40S", "L40S"),
        ("Tesla T4", "T4"),
        ("Tesla V100-SXM2-32GB", "V100 SXM2 32GB"),
        ("NVIDIA GeForce RTX 3090", "RTX 3090"),
        ("NVIDIA GeForce RTX 4090", "RTX 4090"),
        ("NVIDIA GeForce RTX 4090 D", "RTX 4090 D"),
        ("NVIDIA GeForce RTX 5090", "RTX 5090"),
        ("NVIDIA RTX 6000 Ada Generation", "RTX 6000 Ada"),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", "RTX PRO 6000 Blackwell (server)"),
        ("NVIDIA RTX PRO 6000 Blackwell Workstation Edition", "RTX PRO 6000 Blackwell (workstation)"),
        ("NVIDIA A100-PCIE-40GB", "A100 PCIe 40GB"),
        ("NVIDIA A800 80GB PCIe", "A800 PCIe 80GB"),
        ("Tesla V100-SXM2-16GB", "V100 SXM2 16GB"),
        ("Tesla V100-PCIE-32GB", "V100 PCIe 32GB"),
        ("NVIDIA GeForce RTX 3090 Ti", "RTX 3090 Ti"),
        ("NVIDIA RTX A5000", "RTX A5000"),
        ("NVIDIA GeForce RTX 4080", "RTX 4080"),
        ("NVIDIA GeForce RTX 5080", "RTX 5080"),
        ("NVIDIA B200", "B200 SXM"),
        ("NVIDIA B300 SXM6 AC", "B300 SXM"),
        ("Simulated NVIDIA H100 80GB HBM3", "H100 SXM 80GB"),
        ("AMD Instinct MI300X", "MI300X"),
        ("Intel(R) Arc(TM) Pro B60 Graphics", "Intel Arc Pro B60"),
        ("Intel(R) Data Center GPU Max 1100", "Intel Max 1100"),
    ],
)
def test_the_drivers_name_finds_the_gpu(driver_name: str, expected: str) -> None:
    """Names as NVML and the other vendors' tools print them."""
    assert expected == named(driver_name)


@pytest.mark.parametrize(
    ("short", "expected"),
    [
        ("H100", "H100 SXM 80GB"),
        ("h100-sxm", "H100 SXM 80GB"),
        ("H100 80 GB", "H100 SXM 80GB"),
        ("nvidia-h100-80gb", "H100 SXM 80GB"),
        ("h100_pcie", "H100 PCIe 80GB"),
        ("A100 80GB", "A100 SXM4 80GB"),
        ("a100-80g", "A100 SXM4 80GB"),
        ("A100-PCIE-80GB", "A100 PCIe 80GB"),
        ("nvidia-tesla-t4", "T4"),
        ("rtx4090", "RTX 4090"),
        ("4090", "RTX 4090"),
        ("RTX4090D", "RTX 4090 D"),
        ("A6000", "RTX A6000"),
        ("mi300x", "MI300X"),
        ("L40S", "L40S"),
    ],
)
def test_an_operators_short_name_finds_the_gpu(short: str, expected: str) -> None:
    """Short names, Kubernetes labels and glued brands; a form left open means SXM."""
    assert expected == named(short)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "NVIDIA",
        "GPU",
        "A100",
        "V100",
        "A",
        "RTX 6000",
        "Quadro RTX 6000",
        "NVIDIA A100-SXM4-80GB MIG 3g.40gb",
        "GRID A100-40C",
        "NVIDIA A100X",
        "NVIDIA A800 40GB Active",
        "NVIDIA GeForce RTX 3080 Ti",
        "NVIDIA GeForce RTX 4080 SUPER",
        "NVIDIA GeForce RTX 5080 Laptop GPU",
        "NVIDIA RTX 5000 Ada Generation",
        "NVIDIA GeForce RTX 4090 Laptop GPU",
        "NVIDIA GeForce RTX 5090 D",
        "NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition",
        "Tesla V100-SXM3-32GB",
        "NVIDIA GH200 144G HBM3e",
        "NVIDIA H800 PCIe",
        "NVIDIA H100 64GB HBM2",
        "MI300A",
        "MI300",
        "Apple M2 Ultra",
        "H100 H200",
        "A10 GB",
    ],
)
def test_a_gpu_that_is_not_in_the_table_is_not_given_a_neighbours_facts(name: str) -> None:
    """Another memory, form, partition, mobile part or cut-down part is None."""
    assert named(name) is None


def test_a10_is_neither_a100_nor_a10g() -> None:
    """Whole words are compared, not beginnings."""
    assert [named(name) for name in ("A10", "A10G", "A100 80GB")] == ["A10", "A10G", "A100 SXM4 80GB"]
    assert [gpu.name for gpu in gpu_candidates("A10")] == ["A10"]


def test_candidates_list_what_a_short_name_leaves_open() -> None:
    """`A100` alone is not answered; its forms are listed."""
    a100 = ["A100 SXM4 80GB", "A100 SXM4 40GB", "A100 PCIe 80GB", "A100 PCIe 40GB"]
    assert [gpu.name for gpu in gpu_candidates("A100")] == a100
    assert [gpu.name for gpu in gpu_candidates("NVIDIA H100")] == ["H100 SXM 80GB", "H100 PCIe 80GB", "H100 NVL 94GB"]
    assert gpu_candidates("NVIDIA") == ()
    assert gpu_candidates("TPU v5") == ()


@given(
    st.sampled_from(NAMED),
    st.sampled_from([" ", "-", "_", "  ", " / "]),
    st.sampled_from([str.upper, str.lower, str.title]),
    st.sampled_from(["", "NVIDIA ", "Simulated NVIDIA ", "Tesla "]),
)
def test_separators_case_and_brand_never_matter(
    pair: tuple[Gpu, str], between: str, case: Callable[[str], str], brand: str
) -> None:
    """Every name of the table, written in another way, still finds the same GPU, which is among its candidates."""
    gpu, name = pair
    written = brand + between.join(name.split())
    written = case(written)

    assert find_gpu(written) is gpu
    assert gpu in gpu_candidates(written)


@given(st.sampled_from(NAMED), st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=8))
def test_an_unknown_word_is_never_ignored(pair: tuple[Gpu, str], word: str) -> None:
    """A word more gives nothing, or the other GPU that the longer name means; only brands may be added."""
    gpu, name = pair
    found = find_gpu(f"{name} {word}")

    known = {part for other in GPUS for one in (other.name, *other.names) for part in one.lower().split()}
    assert found is None or found is not gpu or word in DECORATION or word in known


@given(st.text(max_size=40))
def test_any_text_is_answered(name: str) -> None:
    """No name raises."""
    found = find_gpu(name)
    assert found is None or found in gpu_candidates(name)


def test_every_row_is_plausible() -> None:
    """Dense rates: FP8 at most twice BF16, no more memory than 288 GB, and no GPU without a source."""
    assert len(COMPILED) == 40
    assert len({gpu.name for gpu in GPUS}) == len(GPUS) == 51
    for gpu in GPUS:
        assert 16e9 <= gpu.memory_bytes <= 288e9, gpu.name
        assert gpu.bandwidth_bytes_per_s is None or 3e11 <= gpu.bandwidth_bytes_per_s <= 8e12, gpu.name
        assert gpu.fp8_flops_per_s is None or 1 <= gpu.fp8_flops_per_s / gpu.bf16_flops_per_s < 2.03, gpu.name
        assert gpu.sources, gpu.name
        if gpu.compute_capability is not None and gpu.compute_capability < (8, 9):
            assert gpu.fp8_flops_per_s is None, gpu.name
        if gpu.compute_capability is not None and gpu.compute_capability < (10, 0):
            assert gpu.fp4_flops_per_s is None, gpu.name


def test_known_traps_of_data_sheets() -> None:
    """Sparse figures are not taken for dense ones, FP16 accumulation not for FP32, and INT8 is nearly gone on B300."""
    h100, b300, rtx = find_gpu("H100"), find_gpu("B300"), find_gpu("RTX 4090")
    assert h100 is not None
    assert b300 is not None
    assert rtx is not None

    assert (h100.bf16_flops_per_s, h100.fp8_flops_per_s) == (989e12, 1979e12)
    assert b300.int8_ops_per_s == 153.5e12
    assert rtx.bf16_flops_per_s == 165.2e12
    assert (h100.memory_bytes, h100.bandwidth_bytes_per_s, h100.compute_capability) == (80 * 10**9, 3.35e12, (9, 0))


def test_reference_prices_are_dated_and_only_assumed() -> None:
    """A shipped price is never taken for the operator's own; most GPUs have none."""
    priced = [gpu for gpu in GPUS if gpu.reference_price_usd_per_h is not None]

    assert (REFERENCE_PRICE_DATE, REFERENCE_PRICE_EVIDENCE) == ("2026-04", Evidence.ASSUMED)
    assert "cloud_pricing.json" in REFERENCE_PRICE_SOURCE
    assert 0 < len(priced) < len(GPUS)


def test_measured_matmul_efficiency_is_over_this_tables_peak() -> None:
    """H100 SXM: 794.5 / 989 = 0.803; MI355X: 1565 / 2500 = 0.626, where its source divides by 2300."""
    h100, mi355x, l4 = find_gpu("H100"), find_gpu("MI355X"), find_gpu("L4")
    assert h100 is not None
    assert mi355x is not None
    assert l4 is not None

    assert measured_matmul_efficiency(h100, "bf16") == pytest.approx(794.5 / 989)
    assert measured_matmul_efficiency(mi355x, "bf16") == pytest.approx(0.626)
    assert measured_matmul_efficiency(l4, "bf16") is None
    with pytest.raises(ValueError, match="int4"):
        measured_matmul_efficiency(h100, "int4")
