"""A histogram of lengths -> a few equally likely lengths with the mean that was counted."""

from __future__ import annotations

import numpy as np

from analyzer.capacity.monotone import monotone
from analyzer.histograms import Counts
from analyzer.samples import ReplicaSample, bounds_of

POINTS = 24
"""Lengths that stand for a distribution, each for one part of it."""
FINE = 960

Points = tuple[float, ...]
"""Equally likely values."""


def alike(value: float) -> Points:
    """No spread."""
    return (value,) * POINTS


def points(counts: Counts | None, name: str, mean: float) -> Points:
    """`POINTS` lengths of the histogram `name` scaled to `mean`; all alike where no histogram tells.

    Between the bounds the cumulative share is interpolated smoothly over the logarithm of length.
    """
    if counts is None or sum(counts) <= 0:
        return alike(mean)
    bounds = np.array(bounds_of(ReplicaSample, name))
    ends = np.log([bounds[0] / 2, *bounds, 2 * bounds[-1]])
    shares = np.concatenate([[0.0], np.cumsum(counts) / sum(counts)])
    filled = np.flatnonzero(np.diff(shares) > 0)
    first, last = int(filled[0]), int(filled[-1]) + 1
    ends, shares = ends[first : last + 1], shares[first : last + 1]
    places = np.linspace(ends[0], ends[-1], FINE)
    told = monotone(ends, shares, places) if len(ends) > 2 else np.interp(places, ends, shares)
    quantiles = (np.arange(FINE) + 0.5) / FINE
    lengths = np.exp(np.interp(quantiles, told, places)).reshape(POINTS, -1).mean(axis=1)
    return tuple(map(float, lengths * mean / lengths.mean()))
