"""Points that fill a unit cube evenly: the Sobol sequence, with the direction numbers of Joe and Kuo.

I. M. Sobol (1967), in the order of Antonov and Saleev (1979); numbers from S. Joe and F. Y. Kuo (2008), "Constructing
Sobol sequences with better two-dimensional projections". scipy has the same in `stats.qmc`, which takes 50 MB and half
a second to import; a test compares the two.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_POLYNOMIALS: tuple[tuple[int, tuple[int, ...]], ...] = (
    (0, (1,)),
    (1, (1, 3)),
    (1, (1, 3, 1)),
    (2, (1, 1, 1)),
    (1, (1, 1, 3, 3)),
    (4, (1, 3, 5, 13)),
    (2, (1, 1, 5, 5, 17)),
    (4, (1, 1, 5, 5, 5)),
    (7, (1, 1, 7, 11, 19)),
    (11, (1, 1, 5, 1, 1)),
    (13, (1, 1, 1, 3, 11)),
    (14, (1, 3, 5, 5, 31)),
    (1, (1, 3, 3, 9, 7, 49)),
    (13, (1, 1, 1, 15, 21, 21)),
    (16, (1, 3, 1, 13, 27, 49)),
)
"""From the second dimension on: the inner coefficients of a primitive polynomial as bits, and the first numbers."""
MOST_DIMENSIONS = 1 + len(_POLYNOMIALS)


def points(dimensions: int, count_log2: int) -> NDArray[np.float64]:
    """The first 2^`count_log2` points, (points, dimensions), each in [0, 1); the first is zero.

    Raises ValueError for no dimensions or more than `MOST_DIMENSIONS`.
    """
    if not 1 <= dimensions <= MOST_DIMENSIONS:
        raise ValueError(f"a Sobol sequence of 1 to {MOST_DIMENSIONS} dimensions, not {dimensions}")
    each = [(1,) * count_log2, *(_numbers(bits, first, count_log2) for bits, first in _POLYNOMIALS[: dimensions - 1])]
    number = np.arange(2**count_log2)
    gray = number ^ number >> 1
    found = np.zeros((len(number), dimensions), dtype=np.int64)
    for bit in range(count_log2):
        direction = np.array([numbers[bit] << count_log2 - 1 - bit for numbers in each])
        found ^= (gray >> bit & 1)[:, None] * direction
    shares: NDArray[np.float64] = found / 2**count_log2
    return shares


def _numbers(bits: int, first: tuple[int, ...], count: int) -> tuple[int, ...]:
    """So many direction numbers by the polynomial's recurrence."""
    found, degree = list(first), len(first)
    for _ in range(count - degree):
        number = found[-degree] ^ found[-degree] << degree
        for back in range(1, degree):
            if bits >> degree - 1 - back & 1:
                number ^= found[-back] << back
        found.append(number)
    return tuple(found[:count])
