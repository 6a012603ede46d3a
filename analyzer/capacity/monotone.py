"""A curve through points that never overshoots them: F. N. Fritsch and J. Butland's piecewise cubic (1984).

scipy has the same as `interpolate.PchipInterpolator`, which takes 30 MB to import; a test compares the two.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def monotone(places: Array, values: Array, at: Array) -> Array:
    """The curve at `at`; three points or more at rising places, values that never fall. Beyond the ends it goes on."""
    widths, rises = np.diff(places), np.diff(values)
    slopes = rises / widths
    tangents = _tangents(widths, slopes)
    piece = np.clip(np.searchsorted(places, at, side="right") - 1, 0, len(widths) - 1)
    curl = (tangents[:-1] + tangents[1:] - 2 * slopes) / widths
    cubic, square = curl / widths, (slopes - tangents[:-1]) / widths - curl
    beyond = at - places[piece]
    squared = beyond * beyond
    return np.asarray(
        values[piece] + tangents[piece] * beyond + square[piece] * squared + cubic[piece] * (squared * beyond)
    )


def _tangents(widths: Array, slopes: Array) -> Array:
    """Within, a mean of both slopes (harmonic, by the widths), flat where either is; at the ends one-sided."""
    before, after = slopes[:-1], slopes[1:]
    near, far = widths[1:] + 2 * widths[:-1], 2 * widths[1:] + widths[:-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        inner = 1 / ((far / before + near / after) / (far + near))
    inner = np.where((before == 0) | (after == 0), 0.0, inner)
    first = _end(widths[0], widths[1], slopes[0], slopes[1])
    last = _end(widths[-1], widths[-2], slopes[-1], slopes[-2])
    return np.concatenate([[first], inner, [last]])


def _end(width: float, next_width: float, slope: float, next_slope: float) -> float:
    """The tangent of a parabola through the three last points, where that keeps the curve from falling."""
    tangent = ((2 * width + next_width) * slope - width * next_slope) / (width + next_width)
    return float(max(tangent, 0.0))
