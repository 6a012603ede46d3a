"""Decompression that counts uncompressed bytes and stops at the limit: a gzip bomb costs no more than the limit."""

from __future__ import annotations

import zlib

from collector.errors import Kind, SourceError

_GZIP_OR_ZLIB = 47
"""zlib's window bits for: 32 kB window, header told by its magic bytes."""


class Inflater:
    """Collects one compressed body piece by piece."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._pieces: list[bytes] = []
        self._size_bytes = 0
        self._stream = zlib.decompressobj(_GZIP_OR_ZLIB)

    @classmethod
    def for_encoding(cls, encoding: str, limit_bytes: int) -> Inflater | None:
        """The inflater for a Content-Encoding; None when the body is not compressed.

        Raises SourceError BAD_PAGE for an encoding that nobody asked for.
        """
        name = encoding.strip().lower()
        if name in {"", "identity"}:
            return None
        if name in {"gzip", "x-gzip", "deflate"}:
            return cls(limit_bytes)
        raise SourceError(Kind.BAD_PAGE, f"the answer is compressed in a way that was not asked for ({name[:20]!a})")

    def feed(self, chunk: bytes | memoryview) -> None:
        """Takes compressed bytes. Raises SourceError: TOO_LARGE beyond the limit, BAD_PAGE for a broken stream."""
        while chunk:
            if self._stream.eof:
                raise SourceError(Kind.BAD_PAGE, "something follows the end of the compressed answer")
            try:
                piece = self._stream.decompress(chunk, self._limit_bytes - self._size_bytes + 1)
            except zlib.error:
                raise SourceError(Kind.BAD_PAGE, "the compressed answer is damaged") from None
            self._size_bytes += len(piece)
            if self._size_bytes > self._limit_bytes:
                text = f"the page exceeds body_size_limit ({self._limit_bytes} bytes) once uncompressed"
                raise SourceError(Kind.TOO_LARGE, text)
            self._pieces.append(piece)
            chunk = self._stream.unconsumed_tail or self._stream.unused_data

    def finish(self) -> bytes:
        """The whole body. Raises SourceError BAD_PAGE when the stream was cut off."""
        if not self._stream.eof:
            raise SourceError(Kind.BAD_PAGE, "the compressed answer was cut off")
        return b"".join(self._pieces)
