"""The kernel efficiencies shipped are the medians of the measured tables, recomputed where these lie beside us."""

from __future__ import annotations

import csv
from pathlib import Path
from statistics import median

import pytest

from analyzer.facts.gpus import find_gpu
from analyzer.facts.kernels import TABLE_WEIGHTS, TOKENS, relative_arithmetic

TABLES = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "kernel_gemm_speedups.csv"
SYSTEMS = {
    "L40S": ("l40s",),
    "H100": ("h100_sxm", "h200_sxm"),
    "B200 SXM": ("b200_sxm", "gb200"),
    "B300 SXM": ("b300_sxm", "gb300"),
    "RTX PRO 6000 Blackwell (server)": ("rtx_pro_6000_server",),
}
NAMES = {"fp8": "fp8", "fp4": "nvfp4"}
HALF_OCTAVE = 2**0.5


@pytest.mark.parametrize("compute", list(NAMES))
@pytest.mark.parametrize("gpu", list(SYSTEMS))
def test_each_figure_is_the_median_over_engines_and_half_an_octave(gpu: str, compute: str) -> None:
    """The last class takes all larger numbers of tokens."""
    if not TABLES.exists():
        pytest.skip("NOT CHECKED: the published kernel tables do not lie in ../shared/data beside this checkout")
    with TABLES.open(newline="", encoding="utf-8") as file:
        rows = [
            (float(row["m"]), float(row["eff_quant"]) / float(row["eff_bf16"]))
            for row in csv.DictReader(file)
            if row["system"] in SYSTEMS[gpu] and row["dtype"] == NAMES[compute]
        ]
    if not rows:
        assert gpu in ("L40S", "H100")
        assert compute == "fp4"
        return
    for tokens in TOKENS:
        last = tokens == TOKENS[-1]
        near = [ratio for m, ratio in rows if tokens / HALF_OCTAVE < m and (last or m <= tokens * HALF_OCTAVE)]
        assert relative_arithmetic(find_gpu(gpu), compute, tokens, TABLE_WEIGHTS) == pytest.approx(
            median(near), abs=0.011
        ), tokens
