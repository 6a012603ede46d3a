"""Pieces that were compressed apart are one gzip answer, whose reader sees nothing of that."""

from __future__ import annotations

import gzip
import zlib

from hypothesis import given
from hypothesis import strategies as st

from collector.export.pressed import PIECE_CHARS, gzipped, plain, pressed, pressed_text, pressed_whole, size_bytes

PARTS = st.lists(st.tuples(st.binary(max_size=300), st.booleans()), max_size=6)


@given(PARTS)
def test_any_mixture_of_fresh_and_compressed_parts_comes_out_as_it_was(told: list[tuple[bytes, bool]]) -> None:
    """Python's gzip checks the checksum and the length as well."""
    parts = [pressed(text) if early else text for text, early in told]
    whole = b"".join(text for text, _ in told)

    assert gzip.decompress(gzipped(parts)) == whole
    assert plain(parts) == whole
    assert size_bytes(parts) == len(whole)


@given(st.lists(st.binary(max_size=300), max_size=6))
def test_pieces_as_one_have_the_checksum_of_their_text(texts: list[bytes]) -> None:
    assert pressed_whole(map(pressed, texts)).crc == zlib.crc32(b"".join(texts))


def test_a_long_text_in_small_parts_is_one_piece() -> None:
    """Three times as long as what is gathered, and a little: by lines of 100 characters."""
    line = "a line of a hundred characters" + "." * 69 + "\n"
    count = 3 * PIECE_CHARS // len(line) + 1

    piece = pressed_text(line for _ in range(count))

    assert piece.size_bytes == count * len(line)
    assert gzip.decompress(gzipped([b"before ", piece, b"after"])) == b"before " + line.encode() * count + b"after"
    assert len(piece.deflated) < piece.size_bytes / 20


def test_the_answer_is_one_member_that_strict_readers_take_whole() -> None:
    """Browsers and some libraries stop after the first member of several: nothing may be left over."""
    reader = zlib.decompressobj(16 + zlib.MAX_WBITS)

    assert reader.decompress(gzipped([pressed(b"one, "), b"two, ", pressed(b"three")])) == b"one, two, three"
    assert reader.eof
    assert reader.unused_data == b""
