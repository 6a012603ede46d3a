"""What a step should cost before anything was seen: a roofline from model shape and GPU facts, with its doubts.

The coefficients' logarithms are normal. Reads share one bandwidth and arithmetic one rate, so each pair is tied.
Shares of the data sheet's peaks come from published measurements, not from a fit (`analyzer.facts.kernel_rates`).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray

from analyzer.evidence import Missing
from analyzer.facts.kernel_rates import arithmetic_share, read_share
from analyzer.hardware import Hardware
from analyzer.steptime.blocks import Traffic

COEFFICIENTS = (
    *("weight_read_s", "overhead_s", "sequence_compute_s", "sequence_overhead_s", "kv_token_s", "prefill_token_s"),
)
"""Seconds per step, per step, per sequence-step, per sequence-step, per KV token read, per prompt token computed."""
WEIGHTS, OVERHEAD, COMPUTE, SEQUENCE, KV, PREFILL = range(6)

LAYER_OVERHEAD_S, OVERHEAD_SD = 35e-6, 0.8
"""Per layer of a step: launches, small kernels and what kernels take beside their bytes, and the host's part. Measured
on an H200 from CUDA graphs: 31 us a layer of 1B, 8B and 70B shapes, without a host (tests/captures/h200-steps); without
graphs 100 to 500 us where the batch is small."""
SEQUENCE_S, SEQUENCE_SD = 1e-5, 1.0
KV_TIE_SD, PREFILL_TIE_SD = 0.06, 0.10
UNTOLD_TIE_SD = 0.3
"""Prompt tokens of unknown length attend to unknown many: 10,000 make a token of an 8B model a third dearer."""
VAGUE = (5e-3, 1e-3, 5e-5, 1e-5, 5e-8, 5e-5)
VAGUE_SD = 3.0


@dataclass(frozen=True, slots=True)
class Prior:
    """Mean of the log coefficients (shape (6,)), and the rows that make their distance from it standard normal.

    `split`: whether it tells weight read from overhead; nothing that is measured does.
    """

    mean: NDArray[np.float64]
    rows: NDArray[np.float64]
    split: bool

    def residuals(self, logs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Standardised distances of log coefficients (shape (..., 6)) from the prior."""
        return (logs - self.mean) @ self.rows.T

    @property
    def sd(self) -> NDArray[np.float64]:
        """Standard deviation of each log coefficient (shape (6,))."""
        return np.sqrt(np.diag(np.linalg.inv(self.rows.T @ self.rows)))


def attention_ratio(hardware: Hardware) -> float:
    """Arithmetic of one pair of tokens over that of a token without attention.

    Two attention products per layer, 2 FLOPs each per width and pair of tokens; 2 FLOPs per parameter and token.
    """
    shape = hardware.shape
    return 4 * shape.layers * shape.attention_heads * shape.head_dim / (2 * shape.active_parameters)


def prior(hardware: Hardware | Missing, seen: Traffic) -> Prior:
    """The prior for one replica; without hardware facts one that says next to nothing."""
    if isinstance(hardware, Missing):
        return Prior(np.log(VAGUE), np.eye(6) / VAGUE_SD, split=False)
    shape = hardware.shape
    reads = read_share(hardware.gpu, hardware.weight_bits, hardware.engine)
    bytes_per_s = hardware.bandwidth_bytes_per_s * reads.share
    arithmetic = arithmetic_share(hardware.gpu)
    flops_per_s = hardware.flops_per_s * arithmetic.share
    token_s = 2 * shape.active_parameters / flops_per_s
    context = max(1.0, seen.lengths.context)
    means = (
        hardware.step_weight_bytes(seen.step_tokens) / bytes_per_s,
        LAYER_OVERHEAD_S * shape.layers,
        token_s * (1 + seen.drafts),
        SEQUENCE_S,
        hardware.kv_read_bytes(context) / context / bytes_per_s,
        token_s * (1 + attention_ratio(hardware) * seen.lengths.prefill_context),
    )
    mean = np.array([log(value) for value in means])
    told = seen.lengths.told
    rows = np.zeros((6, 6))
    for index, sd in (
        (WEIGHTS, reads.sd),
        (OVERHEAD, OVERHEAD_SD),
        (COMPUTE, arithmetic.sd),
        (SEQUENCE, SEQUENCE_SD if told else VAGUE_SD),
    ):
        rows[index, index] = 1 / sd
    rows[KV, [KV, WEIGHTS]] = 1 / KV_TIE_SD, -1 / KV_TIE_SD
    tie_sd = PREFILL_TIE_SD if told else UNTOLD_TIE_SD
    rows[PREFILL, [PREFILL, COMPUTE]] = 1 / tie_sd, -1 / tie_sd
    return Prior(mean, rows, split=True)
