"""Counts come back as they went in, rounded to whole ones, in as few bytes as they need."""

from __future__ import annotations

from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.store.packing import pack, unpack

counts = st.lists(st.sampled_from([0, 0, 1, 127, 128, 16_383, 16_384]) | st.integers(0, 2**53), max_size=25)


@given(counts, st.integers(0, 5))
def test_whole_counts_come_back_exactly(found: list[int], more: int) -> None:
    packed = pack([float(count) for count in found])
    assert unpack(packed, len(found) + more) == (*map(float, found), *[0.0] * more)


@given(st.lists(st.floats(0, 1e12), max_size=25))
def test_other_counts_are_rounded(found: list[float]) -> None:
    assert unpack(pack(found), len(found)) == tuple(float(round(count)) for count in found)


def test_not_reported_is_not_zero() -> None:
    assert pack(None) is None
    assert pack([0.0, 0.0]) == b""
    assert unpack(None, 2) is None
    assert unpack(b"", 2) == (0.0, 0.0)


def test_small_counts_take_a_byte_and_empty_buckets_at_the_end_none() -> None:
    """300 = 2 x 128 + 44: two bytes, the low seven bits first."""
    assert pack([1.0, 0.0, 127.0, 300.0, 0.0, 0.0]) == bytes([1, 0, 127, 0x80 | 44, 2])


@pytest.mark.parametrize("absurd", [nan, inf, -1.0, 1e300])
def test_counts_that_cannot_be_are_not_reported(absurd: float) -> None:
    assert pack([1.0, absurd]) is None


@pytest.mark.parametrize("spoilt", [b"\x01\x02\x03", b"\x80", b"\x01\xff"])
def test_bytes_that_are_no_such_counts_are_not_reported(spoilt: bytes) -> None:
    """Too many buckets, or a number that does not end."""
    assert unpack(spoilt, 2) is None


@given(st.binary(max_size=40), st.integers(0, 20))
def test_no_bytes_do_harm(found: bytes, buckets: int) -> None:
    told = unpack(found, buckets)
    assert told is None or (len(told) == buckets and all(count >= 0 for count in told))
