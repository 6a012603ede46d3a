"""An HTTP answer means the same however its bytes are cut, and what could mean two things is refused."""

from __future__ import annotations

import contextlib
import gzip
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.errors import Kind, SourceError
from collector.scrape.answer import HEAD_BYTES, Answer, NotHttpError

LIMIT = 1000
HEAD = b"HTTP/1.1 200 OK\r\n"
BODY = b"x 1\ny 2\n"


def read(pieces: Sequence[bytes], limit_bytes: int = LIMIT) -> Answer:
    """Fed from one buffer, as a connection does: what was in it before is overwritten by the next piece."""
    answer, buffer = Answer(limit_bytes), bytearray(max(map(len, pieces), default=0))
    for piece in pieces:
        buffer[: len(piece)] = piece
        answer.feed(memoryview(buffer)[: len(piece)])
        buffer[:] = b"\xff" * len(buffer)
    return answer


def chunked(*chunks: bytes, trailer: bytes = b"") -> bytes:
    coded = b"".join(b"%x;name=value\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + coded + b"0\r\n" + trailer + b"\r\n"


ANSWERS = [
    pytest.param(HEAD + b"Content-Length: 8\r\n\r\n" + BODY, True, id="length"),
    pytest.param(
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + HEAD + b"Content-Length: 8\r\n\r\n" + BODY, True, id="interim"
    ),
    pytest.param(chunked(BODY[:3], BODY[3:]), True, id="chunked"),
    pytest.param(chunked(BODY, trailer=b"X-A: b\r\n"), True, id="trailer"),
    pytest.param(HEAD + b"X: " + b"x" * 3000 + b"\r\nContent-Length: 8\r\n\r\n" + BODY, True, id="long head"),
    pytest.param(HEAD + b"Connection: close\r\nContent-Length: 8\r\n\r\n" + BODY, False, id="close"),
    pytest.param(b"HTTP/1.0 200 OK\r\nContent-Length: 8\r\n\r\n" + BODY, False, id="http-1.0"),
    pytest.param(b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 8\r\n\r\n" + BODY, True, id="1.0-kept"),
    pytest.param(
        HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(gzip.compress(BODY)) + gzip.compress(BODY),
        True,
        id="gzip",
    ),
]


@pytest.mark.parametrize(("whole", "reusable"), ANSWERS)
@given(data=st.data())
def test_where_the_bytes_are_cut_changes_nothing(whole: bytes, reusable: bool, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    ends = [*cuts, len(whole)]
    answer = read([whole[start:end] for start, end in zip([0, *cuts], ends, strict=True)])
    assert (answer.complete, answer.body, answer.reusable) == (True, BODY, reusable)


@pytest.mark.parametrize(("whole", "reusable"), ANSWERS)
def test_an_answer_is_not_whole_before_its_last_byte(whole: bytes, reusable: bool) -> None:
    for end in range(len(whole)):
        answer = read([whole[:end]])
        assert not answer.complete
        assert not answer.ended()


def test_without_a_length_the_answer_ends_with_the_connection_which_is_not_used_again() -> None:
    answer = read([HEAD + b"\r\n" + BODY])
    assert not answer.complete
    assert answer.ended()
    assert (answer.body, answer.reusable) == (BODY, False)


@pytest.mark.parametrize("more", [HEAD, b"\0"])
@pytest.mark.parametrize("whole", [HEAD + b"Content-Length: 8\r\n\r\n" + BODY, chunked(BODY)])
def test_what_follows_an_answer_is_not_taken_for_the_next(whole: bytes, more: bytes) -> None:
    answer = read([whole + more])
    assert (answer.complete, answer.body, answer.reusable) == (True, BODY, False)


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(b"HTTP/2 200 OK\r\n\r\n", id="version"),
        pytest.param(b"HTTP/1.1 20 OK\r\n\r\n", id="status"),
        pytest.param(b"HTTP/1.1 101 Switching Protocols\r\n\r\n", id="upgrade"),
        pytest.param(HEAD + b"X\r\n\r\n", id="no-colon"),
        pytest.param(HEAD + b"X : a\r\n\r\n", id="space-before-colon"),
        pytest.param(HEAD + b"X: a\r\n folded\r\n\r\n", id="folded"),
        pytest.param(HEAD + b"Content-Length: -1\r\n\r\n", id="negative-length"),
        pytest.param(HEAD + b"Content-Length: 8\r\nContent-Length: 9\r\n\r\n", id="two-lengths"),
        pytest.param(HEAD + b"Content-Length: +8\r\n\r\n", id="signed-length"),
        pytest.param(HEAD + b"Content-Length: 8\r\nTransfer-Encoding: chunked\r\n\r\n", id="length-and-chunks"),
        pytest.param(HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n", id="other-coding"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", id="no-size"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n", id="longer-than-said"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1" * 2000, id="endless-size"),
    ],
)
def test_what_is_no_http_or_could_mean_two_things_is_refused(broken: bytes) -> None:
    for pieces in ([broken], [broken[at : at + 1] for at in range(len(broken))]):
        with pytest.raises(NotHttpError):
            read(pieces)


@pytest.mark.parametrize(
    "huge",
    [
        pytest.param(HEAD + b"X: " + b"x" * HEAD_BYTES, id="header"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" * 2000, id="interim-answers"),
        pytest.param(chunked(BODY)[:-2] + b"X: a\r\n" * 10_000, id="trailer"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 1500, id="tiny-chunks"),
        pytest.param(HEAD + b"Content-Length: 1001\r\n\r\n", id="announced"),
        pytest.param(HEAD + b"\r\n" + b"x" * 1001, id="body"),
        pytest.param(chunked(b"x" * 1001), id="chunk"),
    ],
)
def test_what_is_too_large_is_told_before_all_of_it_is_there(huge: bytes) -> None:
    with pytest.raises(SourceError) as raised:
        read([huge[at : at + 500] for at in range(0, len(huge), 500)], limit_bytes=1000)
    assert raised.value.kind is Kind.TOO_LARGE


def test_a_status_other_than_200_is_complete_with_its_head() -> None:
    answer = read([b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 99999999\r\n\r\n"])
    assert (answer.complete, answer.status, answer.headers["retry-after"], answer.reusable) == (True, 503, "5", False)


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_else(garbage: bytes) -> None:
    for opening in (b"", HEAD, HEAD + b"Transfer-Encoding: chunked\r\n\r\n"):
        with contextlib.suppress(SourceError, NotHttpError):
            read([opening, garbage]).ended()
