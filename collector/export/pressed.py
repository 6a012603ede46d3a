"""Text compressed once, in pieces that fit into any gzip answer beside others, fresh or compressed before.

A page of a thousand replicas is 20 MB, of which a scraper is sent half a megabyte. Pieces end on a byte and refer to
nothing before them (a full flush of RFC 1951's deflate); RFC 1952's checksum of them together follows from their own.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, reduce

LEVEL = 1
"""A quarter more bytes than the usual level for a third of its time."""
PIECE_CHARS = 64 * 1024
"""So much text is gathered before it is compressed: twice the window of deflate."""
_POLYNOMIAL = 0xEDB88320
"""Of CRC-32, its bits reflected: the highest is x^0."""
_ONE, _X_8 = 1 << 31, 1 << 23
_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff"
"""Of a gzip member: deflate, no name, no time, compressed for speed, on any system."""
_LAST_BLOCK = b"\x03\x00"
"""An empty one that says it is the last."""


@dataclass(frozen=True, slots=True)
class Pressed:
    """A piece: deflated, with the checksum of its text, its size, and what a checksum before it is multiplied by."""

    deflated: bytes
    crc: int
    size_bytes: int
    shift: int


Part = bytes | Pressed


def pressed(text: bytes) -> Pressed:
    """One piece of text."""
    squeeze = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    deflated = squeeze.compress(text) + squeeze.flush(zlib.Z_FULL_FLUSH)
    return Pressed(deflated, zlib.crc32(text), len(text), _beyond(len(text)))


def pressed_whole(pieces: Iterable[Pressed]) -> Pressed:
    """Pieces as one."""
    found = list(pieces)
    crc = reduce(lambda before, piece: _times(before, piece.shift) ^ piece.crc, found, 0)
    size = sum(piece.size_bytes for piece in found)
    return Pressed(b"".join(piece.deflated for piece in found), crc, size, _beyond(size))


def pressed_text(texts: Iterable[str]) -> Pressed:
    """A long text that comes in many small parts, as one piece; it is nowhere whole."""
    return pressed_whole(map(pressed, _gathered(texts)))


def gzipped(parts: Iterable[Part]) -> bytes:
    """All parts as one gzip member."""
    whole = pressed_whole(part if isinstance(part, Pressed) else pressed(part) for part in parts)
    return b"".join([_HEAD, whole.deflated, _LAST_BLOCK, struct.pack("<LL", whole.crc, whole.size_bytes & 0xFFFFFFFF)])


def plain(parts: Iterable[Part]) -> bytes:
    """All parts as they were before."""
    return b"".join(part if isinstance(part, bytes) else _inflated(part) for part in parts)


def size_bytes(parts: Sequence[Part]) -> int:
    """How long the parts are together, uncompressed."""
    return sum(len(part) if isinstance(part, bytes) else part.size_bytes for part in parts)


def _inflated(piece: Pressed) -> bytes:
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(piece.deflated)


def _gathered(texts: Iterable[str]) -> Iterator[bytes]:
    held: list[str] = []
    chars = 0
    for text in texts:
        held.append(text)
        chars += len(text)
        if chars >= PIECE_CHARS:
            yield "".join(held).encode()
            held, chars = [], 0
    if held:
        yield "".join(held).encode()


def _times(one: int, other: int) -> int:
    """The product of two polynomials modulo that of the checksum."""
    product, bit = 0, _ONE
    while one:
        if one & bit:
            product ^= other
            one ^= bit
        bit >>= 1
        other = other >> 1 ^ (_POLYNOMIAL if other & 1 else 0)
    return product


@cache
def _power(exponent: int) -> int:
    """x^(8 * 2^exponent) modulo the polynomial."""
    return _X_8 if exponent == 0 else _times(_power(exponent - 1), _power(exponent - 1))


def _beyond(count: int) -> int:
    """x^(8 * count): by this a checksum is multiplied when so many bytes follow what it is of."""
    exponents = (exponent for exponent in range(count.bit_length()) if count >> exponent & 1)
    return reduce(lambda power, exponent: _times(power, _power(exponent)), exponents, _ONE)
