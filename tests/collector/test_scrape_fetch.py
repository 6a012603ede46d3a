"""A fetch survives every rude peer: the right error, within its deadline, in bounded memory, without secrets."""

from __future__ import annotations

import asyncio
import gzip
import json
import tracemalloc
import zlib

import pytest

from collector.errors import Kind, SourceError
from collector.scrape.fetch import Fetcher, client_session
from collector.scrape.limits import Limits
from tests.fakes import rude
from tests.fakes.fetching import PATIENT, failure, fetch_from

LIMITS = Limits(timeout_s=0.3, body_size_limit_bytes=1024 * 1024)
GZIP = b"Content-Encoding: gzip"


def test_a_page_arrives_with_its_headers_in_lower_case() -> None:
    got = fetch_from(rude.answering(rude.page(b"x 1\n", b"Content-Type: Text/Plain", b"Process-Start-Time-Unix: 7")))
    assert (got.status, got.body, got.content_type) == (200, b"x 1\n", "text/plain")
    assert got.headers["process-start-time-unix"] == "7"
    assert got.duration_s >= 0


def test_the_request_asks_for_plain_text_uncompressed_and_carries_the_given_credentials() -> None:
    heads: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await rude.request(reader))
        writer.write(rude.page(b"x 1\n", b"Set-Cookie: a=b"))

    async def go() -> None:
        async with rude.serving(handler) as url, client_session() as session:
            for _ in range(2):
                await Fetcher(session).get(url, limits=PATIENT, headers={"Authorization": "Bearer secret"})

    asyncio.run(go())
    for head in heads:
        assert b"\r\nAuthorization: Bearer secret\r\n" in head
        assert b"\r\nAccept-Encoding: identity\r\n" in head
        assert b"\r\nAccept: text/plain;version=0.0.4," in head
        assert b"Cookie" not in head


@pytest.mark.fault(
    "2",
    "a body or headers that trickle",
    promise="one deadline covers the whole poll; the target is down for `timeout`",
)
@pytest.mark.parametrize(
    "handler",
    [
        pytest.param(rude.silent, id="silent"),
        pytest.param(rude.trickling(rude.HEAD, b"X"), id="one-byte-headers"),
        pytest.param(rude.trickling(rude.HEAD + b"Content-Length: 100000\r\n\r\n", b"x"), id="trickled-body"),
        pytest.param(rude.trickling(rude.HEAD + b"\r\n", b"x"), id="trickled-body-without-length"),
        pytest.param(rude.stalling(rude.HEAD + b"Content-Length: 10\r\n\r\n"), id="body-that-never-comes"),
    ],
)
def test_a_slow_peer_costs_no_more_than_the_deadline(handler: rude.Handler) -> None:
    kind, text = failure(lambda: fetch_from(handler, LIMITS))
    assert kind is Kind.TIMEOUT
    assert "within 0.3 s" in text


CHUNKED = rude.HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
BLOCK = b"x" * 65536


@pytest.mark.fault("2", "a gzip bomb", promise="uncompressed bytes count; memory stays near body_size_limit")
@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        pytest.param(rude.endless(rude.HEAD + b"\r\n", BLOCK), Kind.TOO_LARGE, id="endless-body"),
        pytest.param(rude.endless(CHUNKED, b"10000\r\n" + BLOCK + b"\r\n"), Kind.TOO_LARGE, id="endless-chunks"),
        pytest.param(rude.endless(rude.HEAD, b"X-A: b\r\n" * 1000), Kind.TOO_LARGE, id="endless-headers"),
        pytest.param(rude.endless(rude.HEAD + b"X-A: ", b"x" * 1000), Kind.TOO_LARGE, id="endless-header"),
        pytest.param(
            rude.answering(rude.HEAD + b"Content-Length: 99999999999\r\n\r\n"), Kind.TOO_LARGE, id="announced-size"
        ),
        pytest.param(rude.answering(rude.page(rude.bomb(64 << 20), GZIP)), Kind.TOO_LARGE, id="gzip-bomb"),
        pytest.param(
            rude.answering(rude.page(zlib.compress(bytes(8 << 20)), b"Content-Encoding: deflate")),
            Kind.TOO_LARGE,
            id="deflate-bomb",
        ),
    ],
)
def test_a_huge_peer_costs_no_more_than_the_limit(handler: rude.Handler, expected: Kind) -> None:
    tracemalloc.start()
    try:
        assert failure(lambda: fetch_from(handler, PATIENT))[0] is expected
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 8 * 1024 * 1024


@pytest.mark.fault("2", "an endless body", promise="reading stops at body_size_limit; the poll fails as `too_large`")
def test_a_body_of_exactly_the_limit_is_accepted_plain_and_compressed() -> None:
    body = b"x" * 1000
    limits = Limits(timeout_s=20, body_size_limit_bytes=1000)
    assert fetch_from(rude.answering(rude.page(body)), limits).body == body
    assert fetch_from(rude.answering(rude.page(gzip.compress(body), GZIP)), limits).body == body
    over = body + b"x"
    for answer in (rude.page(over), rude.page(gzip.compress(over), GZIP), rude.HEAD + b"\r\n" + over):
        assert failure(lambda answer=answer: fetch_from(rude.answering(answer), limits))[0] is Kind.TOO_LARGE


@pytest.mark.fault(
    "2", "a redirect to another address", promise="redirects are never followed, and their secrets never told"
)
def test_a_redirect_is_not_followed_and_its_secrets_are_not_told() -> None:
    visits: list[str] = []

    async def canary(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visits.append("visited")

    async def go() -> None:
        async with rude.serving(canary) as secret_place, client_session() as session:
            location = secret_place.replace("http://", "http://user:hunter2@") + "?token=hunter2"
            answer = rude.page(b"", b"Location: " + location.encode(), status=b"302 Found")
            async with rude.serving(rude.answering(answer)) as url:
                await Fetcher(session).get(url, limits=PATIENT)

    kind, text = failure(lambda: asyncio.run(go()))
    assert kind is Kind.REDIRECT
    assert text.startswith("HTTP 302: redirects to 127.0.0.1:")
    assert "hunter2" not in text
    assert visits == []


@pytest.mark.parametrize(
    ("location", "says"),
    [
        (b"/metrics/", "another path of itself"),
        (b"http://[bad", "an invalid address"),
        (b"https://a.b/x", "to a.b:443"),
    ],
)
def test_a_redirect_says_where_it_leads(location: bytes, says: str) -> None:
    answer = rude.page(b"", b"Location: " + location, status=b"307 Temporary Redirect")
    kind, text = failure(lambda: fetch_from(rude.answering(answer)))
    assert kind is Kind.REDIRECT
    assert says in text


@pytest.mark.fault("2", "the server wants credentials", promise="401 and 403 have a reason of their own")
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (b"401 Unauthorized", Kind.UNAUTHORIZED),
        (b"403 Forbidden", Kind.UNAUTHORIZED),
        (b"503 Service Unavailable", Kind.NOT_READY),
        (b"404 Not Found", Kind.HTTP_STATUS),
        (b"500 Oops", Kind.HTTP_STATUS),
        (b"501 Not Implemented", Kind.HTTP_STATUS),
        (b"204 No Content", Kind.HTTP_STATUS),
        (b"304 Not Modified", Kind.HTTP_STATUS),
        (b"599 Whatever", Kind.HTTP_STATUS),
    ],
)
def test_a_status_other_than_200_is_told_apart(status: bytes, kind: Kind) -> None:
    body = b"" if status[:3] in (b"204", b"304") else b'{"error": "x"}'
    got, text = failure(lambda: fetch_from(rude.answering(rude.page(body, status=status))))
    assert got is kind
    assert f"HTTP {status[:3].decode()}" in text


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        pytest.param(b"", Kind.DISCONNECTED, id="nothing"),
        pytest.param(b"HTTP/1.1 200", Kind.DISCONNECTED, id="half-a-status-line"),
        pytest.param(rude.HEAD + b"Content-Length: 100\r\n\r\nx 1\n", Kind.DISCONNECTED, id="half-a-body"),
        pytest.param(CHUNKED + b"5\r\nx 1\n", Kind.DISCONNECTED, id="half-a-chunk"),
        pytest.param(b"220 smtp.example ESMTP\r\n", Kind.NOT_METRICS, id="mail-server"),
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", Kind.NOT_METRICS, id="ssh"),
        pytest.param(rude.HEAD + b"Content-Length: x\r\n\r\n", Kind.NOT_METRICS, id="bad-content-length"),
        pytest.param(rude.page(b"x", b"Content-Encoding: br"), Kind.BAD_PAGE, id="brotli"),
        pytest.param(rude.page(b"not gzip", GZIP), Kind.BAD_PAGE, id="no-gzip"),
        pytest.param(rude.page(gzip.compress(b"x 1\n" * 99)[:-9], GZIP), Kind.BAD_PAGE, id="half-a-gzip"),
        pytest.param(rude.page(gzip.compress(b"x 1\n") + b"more", GZIP), Kind.BAD_PAGE, id="more-after-gzip"),
        pytest.param(rude.page(b"", GZIP), Kind.BAD_PAGE, id="empty-gzip"),
    ],
)
def test_a_broken_answer_is_an_error_and_never_half_a_page(answer: bytes, kind: Kind) -> None:
    assert failure(lambda: fetch_from(rude.answering(answer)))[0] is kind


def test_a_stale_kept_connection_is_replaced_once_within_the_same_poll() -> None:
    """llama.cpp closes connections it promised to keep: the second and third polls meet a dead one."""

    async def go() -> list[bytes]:
        async with rude.serving(rude.stale_keep_alive(1)) as url, client_session() as session:
            fetcher = Fetcher(session)
            return [(await fetcher.get(url, limits=PATIENT)).body for _ in range(3)]

    assert asyncio.run(go()) == [rude.PAGE] * 3


def test_a_server_that_breaks_off_every_connection_is_not_asked_for_ever() -> None:
    connections: list[int] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(1)
        await rude.request(reader)

    assert failure(lambda: fetch_from(handler))[0] is Kind.DISCONNECTED
    assert len(connections) == 2


def test_a_cancelled_fetch_is_cancelled_and_no_source_error() -> None:
    async def go() -> None:
        async with rude.serving(rude.silent) as url, client_session() as session:
            task = asyncio.create_task(Fetcher(session).get(url, limits=PATIENT))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(go())


@pytest.mark.fault("2", "a body or headers that trickle", promise="waiting for a connection counts too")
def test_one_deadline_covers_waiting_for_a_free_connection() -> None:
    async def go() -> None:
        async with rude.serving(rude.silent) as url, client_session(connections=1) as session:
            fetcher = Fetcher(session)
            tasks = [fetcher.get(url, limits=LIMITS) for _ in range(3)]
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert [one.kind for one in results if isinstance(one, SourceError)] == [Kind.TIMEOUT] * 3

    asyncio.run(go())


def test_json_answers_are_fetched_as_they_are() -> None:
    body = json.dumps({"version": "0.33.0"}).encode()
    assert fetch_from(rude.answering(rude.page(body, b"Content-Type: application/json"))).body == body
