"""NVIDIA GPUs of the Blackwell generation."""

from __future__ import annotations

from analyzer.facts.gpu_sources import AICONFIGURATOR, GPU_SPECS_DUMA, ML_ENGINEERING, TORCHAO, TORCHTITAN
from analyzer.facts.gpu_type import Gpu

BLACKWELL: tuple[Gpu, ...] = (
    Gpu(
        name="B200 SXM",
        architecture="Blackwell",
        memory_bytes=180 * 10**9,
        bandwidth_bytes_per_s=7700e9,
        bf16_flops_per_s=2250e12,
        fp8_flops_per_s=4500e12,
        int8_ops_per_s=4500e12,
        fp4_flops_per_s=9000e12,
        tdp_w=1000,
        compute_capability=(10, 0),
        reference_price_usd_per_h=None,
        sources=(AICONFIGURATOR, ML_ENGINEERING, TORCHAO, TORCHTITAN),
        disagreements=(
            "BW 7700 (AIC) / 7672 computed from device properties (torchao) / 8000 (datasheet, ml-engineering, "
            "GenZ) / 8200 (gpu_specs); memory 180 vs 192; gpu_specs has HALF figures (BF16 1125 dense); one table"
            " says BF16 2500"
        ),
        names=("NVIDIA B200", "B200 180GB", "B200 SXM6"),
    ),
    Gpu(
        name="B300 SXM",
        architecture="Blackwell",
        memory_bytes=270 * 10**9,
        bandwidth_bytes_per_s=7750e9,
        bf16_flops_per_s=2250e12,
        fp8_flops_per_s=4500e12,
        int8_ops_per_s=153.5e12,
        fp4_flops_per_s=14000e12,
        tdp_w=1100,
        compute_capability=(10, 3),
        reference_price_usd_per_h=None,
        sources=(AICONFIGURATOR, ML_ENGINEERING, TORCHAO),
        disagreements=(
            "TDP 1100 (AIC) vs 1000 (ml-engineering). FP4 dense: 14000 (AIC, torchao) vs 12600 (ml-engineering "
            "fp4) / 15000 (nvfp4). INT8: AIC 153.5 TOPS (Blackwell Ultra cut INT8) vs ml-engineering 4500 - a "
            "W8A8-INT8 recommendation on B300/GB300 would be wrong by ~30x"
        ),
        names=("NVIDIA B300 SXM6 AC", "B300", "B300 SXM6"),
    ),
    Gpu(
        name="GB200",
        architecture="Blackwell",
        memory_bytes=186 * 10**9,
        bandwidth_bytes_per_s=8000e9,
        bf16_flops_per_s=2500e12,
        fp8_flops_per_s=5000e12,
        int8_ops_per_s=5000e12,
        fp4_flops_per_s=10000e12,
        tdp_w=1200,
        compute_capability=(10, 0),
        reference_price_usd_per_h=None,
        sources=(AICONFIGURATOR, ML_ENGINEERING, TORCHTITAN),
        disagreements="torchao lists GB200 2250; GenZ 4500",
        names=("NVIDIA GB200", "GB200 NVL72"),
    ),
    Gpu(
        name="GB300",
        architecture="Blackwell",
        memory_bytes=278 * 10**9,
        bandwidth_bytes_per_s=8000e9,
        bf16_flops_per_s=2500e12,
        fp8_flops_per_s=5000e12,
        int8_ops_per_s=165e12,
        fp4_flops_per_s=15000e12,
        tdp_w=1400,
        compute_capability=(10, 3),
        reference_price_usd_per_h=None,
        sources=(AICONFIGURATOR, ML_ENGINEERING),
        disagreements="INT8 165 (AIC) vs 5000 (ml-engineering)",
        names=("NVIDIA GB300", "GB300 NVL72"),
    ),
    Gpu(
        name="RTX PRO 6000 Blackwell (server)",
        architecture="Blackwell",
        memory_bytes=96 * 10**9,
        bandwidth_bytes_per_s=1792e9,
        bf16_flops_per_s=467.8e12,
        fp8_flops_per_s=935.6e12,
        int8_ops_per_s=935.6e12,
        fp4_flops_per_s=1871.2e12,
        tdp_w=600,
        compute_capability=(12, 0),
        reference_price_usd_per_h=None,
        sources=(AICONFIGURATOR,),
        disagreements=("gpu_specs 500 / 1000 / 2000; jarvislabs blog quotes 1 / 2 / 4 PFLOPS (sparse) and ~1.6 TB/s"),
        names=("NVIDIA RTX PRO 6000 Blackwell Server Edition", "RTX PRO 6000 Server Edition", "RTX PRO 6000 Server"),
    ),
    Gpu(
        name="RTX 5090",
        architecture="Blackwell",
        memory_bytes=32 * 10**9,
        bandwidth_bytes_per_s=1792e9,
        bf16_flops_per_s=209.5e12,
        fp8_flops_per_s=419e12,
        int8_ops_per_s=838e12,
        fp4_flops_per_s=1676e12,
        tdp_w=575,
        compute_capability=(12, 0),
        reference_price_usd_per_h=0.75,
        sources=(TORCHAO, GPU_SPECS_DUMA),
        disagreements=(
            "torchao bandwidth entry has a unit slip (1.792e15); gpu_specs lists BF16 419 / 838* "
            "(FP16-accumulate) - a 2x trap"
        ),
        names=("NVIDIA GeForce RTX 5090", "RTX 5090 32GB"),
    ),
)
