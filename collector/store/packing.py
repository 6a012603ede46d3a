"""A histogram's counts as a few bytes, and back: unsigned varints (LEB128), without the empty buckets at the end."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

import numpy as np
from numpy.typing import NDArray

_LIMIT = 2**63


def pack(counts: Sequence[float] | None) -> bytes | None:
    """Counts, rounded to whole ones, as bytes; None for none, and for counts that cannot be."""
    if counts is None or not all(isfinite(count) and 0 <= count < _LIMIT for count in counts):
        return None
    packed = bytearray()
    for count in counts:
        left = round(count)
        while left >= 0x80:
            packed.append(left & 0x7F | 0x80)
            left >>= 7
        packed.append(left)
    return bytes(packed.rstrip(b"\x00"))  # a count's last byte is 0 only when the count is


def unpack(packed: bytes | None, buckets: int) -> tuple[float, ...] | None:
    """The counts of so many buckets; None for none, and for bytes that are no such counts."""
    if packed is None:
        return None
    counts: list[float] = []
    count = shift = 0
    for byte in packed:
        count |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            counts.append(float(count))
            count = shift = 0
    if shift or len(counts) > buckets:
        return None
    return tuple(counts + [0.0] * (buckets - len(counts)))


def unpack_many(packed: Sequence[bytes], buckets: int | Sequence[int]) -> NDArray[np.float64]:
    """The counts of many histograms at once (shape (histograms, buckets)); NaN where bytes are no such counts.

    Where each has its own number of `buckets`, the shape has the largest.
    """
    limits = np.broadcast_to(buckets, len(packed))
    counts = np.zeros((len(packed), buckets if isinstance(buckets, int) else max(buckets, default=0)))
    lengths = np.array([len(one) for one in packed], dtype=np.int64)
    octets = np.frombuffer(b"".join(packed), dtype=np.uint8)
    if not len(octets):
        return counts
    last = octets < 0x80
    # A count ends with its own histogram's bytes at the latest: one cut short must not run into the next.
    ends = last.copy()
    ends[np.cumsum(lengths)[lengths > 0] - 1] = True
    stops = np.flatnonzero(ends) + 1
    begins = np.append(0, stops[:-1])
    sizes = stops - begins
    place_in_count = np.arange(len(octets)) - np.repeat(begins, sizes)
    weights = 2.0 ** (7 * np.arange(sizes.max()))
    values = np.add.reduceat((octets & 0x7F) * weights[place_in_count], begins)
    everyone = np.arange(len(packed))
    owners = np.repeat(everyone, lengths)[begins]
    place = np.arange(len(begins)) - np.searchsorted(owners, everyone)[owners]
    fits, whole = place < limits[owners], last[stops - 1]
    counts[owners[fits], place[fits]] = values[fits]
    counts[owners[~(fits & whole)]] = np.nan
    return counts
