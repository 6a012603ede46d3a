"""One HTTP/1.1 answer, put together from the bytes of a connection as they come: strictly, and within limits.

Source of the rules: RFC 9112 (message framing). What it leaves to the recipient is refused here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus

from collector.errors import Kind, SourceError
from collector.scrape.inflate import Inflater

HEAD_BYTES = 32 * 1024
"""A head, or the trailer of a chunked body, is no longer than this."""
_CHUNK_LINE_BYTES = 1024
_FREE_CHUNKS = 1000
_CHUNK_BYTES = 16
"""Beyond the free ones, chunks have at least this many bytes on average: smaller ones cost us more than their peer."""
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9]\d\d)(?: [^\x00-\x08\x0a-\x1f\x7f]*)?")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_SIZE = re.compile(rb"([0-9a-fA-F]{1,15})[ \t]*(?:;.*)?")
_OPENING = b"HTTP/1."
_HEAD_END = b"\r\n\r\n"
_USUAL_HEAD_BYTES = 1024
"""A head ends within so many bytes nearly always: the page that comes with it is not copied to find that end."""


class NotHttpError(ValueError):
    """The peer does not answer in HTTP/1.1, or not in a way that can mean only one thing."""


class Answer:
    """The answer to one GET. `feed` it until `complete`; when the peer closes before that, ask `ended`.

    A status other than 200 is complete with its head: its body is nobody's business. Raises SourceError for an answer
    beyond the limits and NotHttpError for one that is no HTTP; it must not be fed after that.
    """

    __slots__ = (
        "_body",
        "_chunk_left",
        "_chunked",
        "_chunks_left",
        "_head_bytes_left",
        "_held",
        "_in_trailer",
        "_inflater",
        "_left",
        "_limit_bytes",
        "_started",
        "complete",
        "headers",
        "reusable",
        "status",
    )

    def __init__(self, limit_bytes: int) -> None:
        """`limit_bytes` is the most that the uncompressed body may have."""
        self.status = 0
        self.headers: Mapping[str, str] = {}
        self.complete = False
        self.reusable = False
        self._limit_bytes = limit_bytes
        self._held = b""
        self._head_bytes_left = HEAD_BYTES
        self._started = False
        self._chunked = False
        self._chunks_left = _FREE_CHUNKS + limit_bytes // _CHUNK_BYTES
        self._chunk_left = 0
        self._in_trailer = False
        self._left: int | None = None
        self._body: bytes | bytearray = b""
        self._inflater: Inflater | None = None

    @property
    def started(self) -> bool:
        """Whether anything of it came."""
        return self._started

    @property
    def body(self) -> bytes:
        """The uncompressed body of a complete answer. Raises SourceError for a compressed one that is cut off."""
        if self._inflater is not None:
            return self._inflater.finish()
        return bytes(self._body)

    def feed(self, data: bytes | memoryview) -> None:
        """The next bytes of the connection. Of a view nothing is kept but copies."""
        self._started = True
        while not self.status and data:
            data = self._head(data)
        if not self.status or self.complete:
            if data:
                self.reusable = False  # more than was asked for
            return
        if self._chunked:
            self._chunks(data)
        elif self._left is None:
            self._take(data)
        else:
            self._take(data[: self._left])
            if len(data) > self._left:
                self.reusable = False
            self._left -= min(self._left, len(data))
            self.complete = self._left == 0

    def ended(self) -> bool:
        """The peer closed the connection: whether the answer is whole all the same, as one without a length is."""
        if self.status and not self._chunked and self._left is None:
            self.complete = True
        return self.complete

    def _head(self, data: bytes | memoryview) -> bytes | memoryview:
        """Takes a head; what follows it. An interim answer (1xx) is passed over."""
        before = len(self._held)
        held = self._held + data[:_USUAL_HEAD_BYTES]
        if held[: len(_OPENING)] != _OPENING[: len(held)]:
            raise NotHttpError
        end = held.find(_HEAD_END, max(0, before - 3))
        if end < 0 and len(data) > _USUAL_HEAD_BYTES:
            held = self._held + data
            end = held.find(_HEAD_END, max(0, before - 3))
        if (end if end >= 0 else len(held)) > self._head_bytes_left:
            raise _too_large_headers()
        if end < 0:
            self._held = held
            return b""
        self._held = b""
        status_line, _, rest = held[:end].partition(b"\r\n")
        found = _STATUS_LINE.fullmatch(status_line)
        if found is None:
            raise NotHttpError
        status = int(found[2])
        if 100 <= status < 200:
            if status == HTTPStatus.SWITCHING_PROTOCOLS:
                raise NotHttpError
            self._head_bytes_left -= end
            return data[end + len(_HEAD_END) - before :]
        self.headers = _headers(rest)
        self.status = status
        self._frame(found[1] == b"1")
        return data[end + len(_HEAD_END) - before :]

    def _frame(self, persistent: bool) -> None:
        """How the body will end, and whether the connection can be used again."""
        headers = self.headers
        options = {one.strip() for one in headers.get("connection", "").lower().split(",")}
        self.reusable = "close" not in options and (persistent or "keep-alive" in options)
        if self.status != HTTPStatus.OK:
            self.complete, self.reusable = True, False
            return
        self._inflater = Inflater.for_encoding(headers.get("content-encoding", ""), self._limit_bytes)
        coding, length = headers.get("transfer-encoding"), headers.get("content-length")
        if coding is not None:
            if coding.strip().lower() != "chunked" or length is not None:
                raise NotHttpError
            self._chunked = True
        elif length is not None:
            if not length.isascii() or not length.isdecimal() or len(length) > 18:
                raise NotHttpError
            self._left = int(length)
            if self._inflater is None and self._left > self._limit_bytes:
                text = f"the page has {self._left} bytes; body_size_limit {self._limit_bytes}"
                raise SourceError(Kind.TOO_LARGE, text)
            self.complete = self._left == 0
        else:
            self.reusable = False

    def _take(self, piece: bytes | memoryview) -> None:
        if not piece:
            return
        if self._inflater is not None:
            self._inflater.feed(piece)
            return
        if len(self._body) + len(piece) > self._limit_bytes:
            text = f"the page exceeds body_size_limit ({self._limit_bytes} bytes)"
            raise SourceError(Kind.TOO_LARGE, text)
        if not self._body:
            self._body = bytes(piece)  # nearly always the whole of it
            return
        if isinstance(self._body, bytes):
            self._body = bytearray(self._body)
        self._body += piece

    def _chunks(self, data: bytes | memoryview) -> None:
        held = self._held + data
        at = 0
        while at < len(held):
            if self._chunk_left > 2:
                piece = held[at : at + self._chunk_left - 2]
                self._take(piece)
                self._chunk_left -= len(piece)
                at += len(piece)
                continue
            if self._chunk_left:  # the line's end that follows a chunk
                ending = held[at : at + self._chunk_left]
                if ending != b"\r\n"[2 - self._chunk_left :][: len(ending)]:
                    raise NotHttpError
                self._chunk_left -= len(ending)
                at += len(ending)
                continue
            end = held.find(b"\r\n", at)
            if end < 0:
                break
            line, at = held[at:end], end + 2
            if self._in_trailer:
                self._head_bytes_left -= len(line)
                if self._head_bytes_left < 0:
                    raise _too_large_headers()
                if line:
                    continue
                self.complete = True
                self.reusable = self.reusable and at == len(held)
                return
            self._chunk(line)
        self._held = held[at:]
        if len(self._held) > _CHUNK_LINE_BYTES:
            raise NotHttpError

    def _chunk(self, line: bytes) -> None:
        found = _SIZE.fullmatch(line) if len(line) <= _CHUNK_LINE_BYTES else None
        if found is None:
            raise NotHttpError
        self._chunks_left -= 1
        if self._chunks_left < 0:
            raise SourceError(Kind.TOO_LARGE, "the page comes in more pieces than we accept")
        size = int(found[1], 16)
        if size == 0:
            self._in_trailer = True
        else:
            self._chunk_left = size + 2


def _too_large_headers() -> SourceError:
    return SourceError(Kind.TOO_LARGE, "the answer has larger headers than we accept")


def _headers(lines: bytes) -> dict[str, str]:
    """Headers by lower-case name; values of one that stands several times are joined by commas."""
    found: dict[str, str] = {}
    for line in lines.decode("latin-1").split("\r\n") if lines else ():
        name, colon, value = line.partition(":")
        if not colon or _NAME.fullmatch(name) is None:
            raise NotHttpError
        name, value = name.lower(), value.strip(" \t")
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found
