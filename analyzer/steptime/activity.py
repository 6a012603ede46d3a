"""What a GPU's SM activity tells of a step: SMs hold warps while bytes are read and numbers multiplied, not between.

DRAM activity over whole steps tells how many bytes a step moves, which is known, and not how long that takes. The time
in which no SM holds a warp is overhead, and what is left of a step are reads and arithmetic. While a kernel runs not
every SM is at work (its launch ramps up, its last wave leaves some idle), and some of the overhead is small kernels.
These shares are unknown, vary with the kernels, and are fitted along with the costs from where they usually lie. These
ranges are assumptions: no measurement of them is published. SM activity: DCGM field 1002, NVML GPM metric 2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analyzer.steptime.prior import COMPUTE, KV, OVERHEAD, PREFILL, SEQUENCE, WEIGHTS, Prior

Array = NDArray[np.float64]

READS, ARITHMETIC, LAUNCHES = range(3)
MEANS = (0.945, 0.96, 0.2)
"""Mean share of SMs that hold a warp while bytes are read, while numbers are multiplied, and during overhead."""
SDS = (0.025, 0.02, 0.5)
"""Their doubt, relative."""
KIND = np.zeros((3, 6))
"""Which of the three a coefficient's seconds belong to."""
KIND[READS, [WEIGHTS, KV]] = KIND[ARITHMETIC, [COMPUTE, PREFILL]] = KIND[LAUNCHES, [OVERHEAD, SEQUENCE]] = 1.0
SHARES = len(KIND)


def with_shares(before: Prior) -> Prior:
    """The prior of the costs with that of the three shares behind it (nine logarithms)."""
    rows = np.zeros((6 + SHARES, 6 + SHARES))
    rows[:6, :6] = before.rows
    rows[range(6, 6 + SHARES), range(6, 6 + SHARES)] = 1 / np.array(SDS)
    return Prior(np.concatenate([before.mean, np.log(MEANS)]), rows, before.split)


def active(busy: Array, shares: Array) -> Array:
    """SM-active seconds by what sets them: six coefficients and three shares (shape (..., 9, n)).

    `busy` are a block's seconds by coefficient (..., 6, n), `shares` the three shares (..., 3).
    """
    own = busy * (shares @ KIND)[..., None]
    return np.concatenate([own, KIND @ own], axis=-2)
