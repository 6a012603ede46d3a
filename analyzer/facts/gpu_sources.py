"""Where the GPU table's figures were read, each with its version or commit."""

from __future__ import annotations

AICONFIGURATOR = "aiconfigurator-core 0.12.0 systems/*.yaml"
ML_ENGINEERING = "stas00/ml-engineering@744d01e compute/accelerator/README.md"
LLM_VIEWER = "hahnyuan/LLM-Viewer@472f71f hardware_params.py"
LLM_ANALYSIS = "llm-analysis 0.2.2 gpu_configs"
GPU_SPECS_WINSTON_ZHANG = "winston-zhang-orz/gpu-specs@4b0c72d specs.md"
GPU_SPECS_DUMA = "VladislavDuma/gpu_specs@f13d60a README.md"
LLM_PROF = "citsjtu2020/LLM-Prof hardware_spec.md"
TORCHTITAN = "pytorch/torchtitan@b5bcd76 tools/utils.py"
TORCHAO = "pytorch/ao@36027d8 roofline_utils.py"
GENZ = "genz-llm 0.0.16 Systems/system_configs.py"
