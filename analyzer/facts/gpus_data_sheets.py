"""NVIDIA and Intel GPUs that the compilation lacks, from their makers' data sheets and white papers."""

from __future__ import annotations

from analyzer.facts.gpu_type import Gpu

_A100 = "NVIDIA A100 data sheet (nvidia-a100-datasheet-us-nvidia-1758950)"
_A800 = "NVIDIA A800: A100's figures, its NVLink at 400 GB/s"
_V100 = "NVIDIA V100 data sheet (volta-v100-datasheet-update-us-1165301)"
_GA102 = "NVIDIA Ampere GA102 GPU architecture white paper 2.1, appendix A"
_A5000 = "NVIDIA RTX A5000 data sheet: 222.2 TFLOPS with sparsity, halved"
_ADA = "NVIDIA Ada GPU architecture white paper 2.1, appendix A"
_BLACKWELL = "NVIDIA RTX Blackwell GPU architecture white paper 1.1, appendix A"
_PRO_6000 = "NVIDIA RTX PRO 6000 Blackwell data sheet: 4,000 FP4 TOPS with sparsity; dense BF16 is an eighth"
_MAX_1100 = "Intel Data Center GPU Max Series product brief: 56 cores at 1,550 MHz"
_NOTHING = ""


def _nvidia(
    name: str,
    architecture: str,
    capability: tuple[int, int],
    memory_gb: int,
    bandwidth_gb_per_s: float,
    bf16_tflops: float,
    tdp_w: float,
    source: str,
    *names: str,
    fp8_tflops: float | None = None,
    int8_tops: float | None = None,
    fp4_tflops: float | None = None,
) -> Gpu:
    return Gpu(
        name=name,
        architecture=architecture,
        memory_bytes=memory_gb * 10**9,
        bandwidth_bytes_per_s=bandwidth_gb_per_s * 1e9,
        bf16_flops_per_s=bf16_tflops * 1e12,
        fp8_flops_per_s=None if fp8_tflops is None else fp8_tflops * 1e12,
        int8_ops_per_s=None if int8_tops is None else int8_tops * 1e12,
        fp4_flops_per_s=None if fp4_tflops is None else fp4_tflops * 1e12,
        tdp_w=tdp_w,
        compute_capability=capability,
        reference_price_usd_per_h=None,
        sources=(source,),
        disagreements=_NOTHING,
        names=names,
    )


DATA_SHEETS: tuple[Gpu, ...] = (
    _nvidia("A100 PCIe 40GB", "Ampere", (8, 0), 40, 1555, 312, 250, _A100, "NVIDIA A100-PCIE-40GB", int8_tops=624),
    _nvidia("A800 PCIe 80GB", "Ampere", (8, 0), 80, 1935, 312, 300, _A800, "NVIDIA A800 80GB PCIe", int8_tops=624),
    _nvidia("V100 SXM2 16GB", "Volta", (7, 0), 16, 900, 125, 300, _V100, "Tesla V100-SXM2-16GB"),
    _nvidia("V100 PCIe 32GB", "Volta", (7, 0), 32, 900, 112, 250, _V100, "Tesla V100-PCIE-32GB"),
    _nvidia("V100 PCIe 16GB", "Volta", (7, 0), 16, 900, 112, 250, _V100, "Tesla V100-PCIE-16GB"),
    _nvidia("RTX 3090 Ti", "Ampere", (8, 6), 24, 1008, 80, 450, _GA102, int8_tops=320),
    _nvidia("RTX A5000", "Ampere", (8, 6), 24, 768, 111.1, 230, _A5000, int8_tops=222.2),
    _nvidia("RTX 4080", "Ada", (8, 9), 16, 716.8, 97.5, 320, _ADA, fp8_tflops=194.9, int8_tops=389.9),
    _nvidia("RTX 5080", "Blackwell", (12, 0), 16, 960, 112.6, 360, _BLACKWELL, fp8_tflops=225.1, fp4_tflops=900.4),
    _nvidia(
        *("RTX PRO 6000 Blackwell (workstation)", "Blackwell", (12, 0), 96, 1792, 500, 600, _PRO_6000),
        "NVIDIA RTX PRO 6000 Blackwell Workstation Edition",
        fp8_tflops=1000,
        fp4_tflops=2000,
    ),
    Gpu(
        name="Intel Max 1100",
        architecture="Xe-HPC",
        memory_bytes=48 * 10**9,
        bandwidth_bytes_per_s=1228.8e9,
        bf16_flops_per_s=355.5e12,
        fp8_flops_per_s=None,
        int8_ops_per_s=711.1e12,
        fp4_flops_per_s=None,
        tdp_w=300,
        compute_capability=None,
        reference_price_usd_per_h=None,
        sources=(_MAX_1100,),
        disagreements="peak worked out: 56 cores x 8 engines x 512 BF16 operations (INT8: 1,024) a clock x 1.55 GHz",
        names=("Intel(R) Data Center GPU Max 1100", "Intel Max1100", "Data Center Max 1100"),
    ),
)
