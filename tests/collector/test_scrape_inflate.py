"""Decompression gives the body back, or a SourceError, and never more than the limit."""

from __future__ import annotations

import gzip
import zlib

from hypothesis import given
from hypothesis import strategies as st

from collector.errors import SourceError
from collector.scrape.inflate import Inflater


@given(st.binary(max_size=300), st.integers(1, 50), st.sampled_from(["gzip", "deflate"]))
def test_a_compressed_body_comes_back_whole_however_it_is_cut(body: bytes, piece: int, encoding: str) -> None:
    packed = gzip.compress(body) if encoding == "gzip" else zlib.compress(body)
    inflater = Inflater.for_encoding(encoding, len(body))
    assert inflater is not None
    for at in range(0, len(packed), piece):
        inflater.feed(packed[at : at + piece])
    assert inflater.finish() == body


@given(st.lists(st.binary(max_size=60), max_size=5))
def test_no_bytes_break_the_inflater_but_by_a_source_error(pieces: list[bytes]) -> None:
    inflater = Inflater.for_encoding("gzip", 100)
    assert inflater is not None
    try:
        for piece in (b"\x1f\x8b", *pieces):
            inflater.feed(piece)
        body = inflater.finish()
    except SourceError:
        return
    assert len(body) <= 100
