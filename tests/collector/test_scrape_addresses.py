"""Where a fetch goes and where never: names, ports, link-local addresses, schemes, certificates."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from collector.errors import Kind
from collector.scrape.fetch import Fetcher, Response, client_session
from tests.fakes import rude
from tests.fakes.fetching import PATIENT, failure, failure_at


def test_nothing_listening_is_refused() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        kind, text = failure_at(f"http://127.0.0.1:{port}/metrics?token=hunter2")
    assert (kind, f"127.0.0.1:{port} refuses the connection: nothing listens there") == (Kind.REFUSED, text)


def test_a_name_that_does_not_resolve_is_dns() -> None:
    assert failure_at("http://no-such-host.invalid/metrics") == (
        Kind.DNS,
        "the host name of no-such-host.invalid:80 cannot be resolved",
    )


@pytest.mark.fault("2", "discovery names a link-local address", promise="no connection is made")
@pytest.mark.parametrize(
    "host", ["169.254.169.254", "[fe80::1]", "[fe80::1%25lo]", "[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]"]
)
def test_link_local_addresses_are_never_connected_to(host: str) -> None:
    kind, text = failure_at(f"http://{host}/latest/meta-data")
    assert kind is Kind.REFUSED
    assert "link-local" in text


@pytest.mark.fault(
    "2",
    "discovery names a link-local address",
    promise="the address that is connected to is what counts, whatever name led there",
)
def test_a_name_that_leads_to_a_link_local_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The address that is connected to is checked, whatever name gave it."""
    metadata = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("169.254.169.254", 80))

    async def resolved(*_: object, **__: object) -> list[object]:
        return [metadata]

    monkeypatch.setattr(asyncio.base_events.BaseEventLoop, "getaddrinfo", resolved)
    kind, text = failure_at("http://harmless.example/metrics")
    assert kind is Kind.REFUSED
    assert "169.254.169.254 is a link-local address" in text


@pytest.mark.parametrize(
    "url",
    [
        "ftp://host/x",
        "file:///etc/passwd",
        "unix:///run/docker.sock",
        "host:8000/metrics",
        "http://",
        "http:///metrics",
        "http://[::1",
        "http://host:99999/",
        "http://user:hunter2@host/metrics",
        "http://hunter2@host/metrics",
        "",
    ],
)
def test_addresses_that_are_never_fetched_are_refused_without_being_repeated(url: str) -> None:
    kind, text = failure_at(url)
    assert kind is Kind.REFUSED
    assert "hunter2" not in text
    assert "passwd" not in text


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for localhost with its key in one file."""
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    command = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost")
    names = ("-addext", "subjectAltName=DNS:localhost", "-keyout", str(path) + ".key", "-out", str(path))
    subprocess.run([*command, *names], check=True, capture_output=True)
    path.write_text(path.read_text() + Path(str(path) + ".key").read_text())
    return path


def over_tls(certificate: Path, host: str = "127.0.0.1", **options: object) -> Response:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    async def go() -> Response:
        handler = rude.answering(rude.page(rude.PAGE))
        async with rude.serving(handler, "https", ssl=context) as url, client_session() as session:
            target = url.replace("127.0.0.1", host)
            return await Fetcher(session).get(target, limits=PATIENT, **options)  # type: ignore[arg-type]

    return asyncio.run(go())


@pytest.mark.fault(
    "2",
    "a certificate that is expired, self-signed or of another name",
    promise="certificates are checked unless insecure_skip_verify says otherwise",
)
def test_a_certificate_nobody_vouches_for_is_refused_unless_told_otherwise(certificate: Path) -> None:
    kind, text = failure(lambda: over_tls(certificate))
    assert kind is Kind.TLS
    assert "self-signed certificate" in text
    assert over_tls(certificate, ssl=False).body == rude.PAGE


@pytest.mark.fault(
    "2",
    "a certificate that is expired, self-signed or of another name",
    promise="the name is checked too; server_name states another",
)
def test_a_certificate_must_carry_the_hosts_name_or_the_stated_one(certificate: Path) -> None:
    trusting = ssl.create_default_context(cafile=str(certificate))
    kind, text = failure(lambda: over_tls(certificate, ssl=trusting))
    assert kind is Kind.TLS
    assert "127.0.0.1" in text
    assert over_tls(certificate, ssl=trusting, server_name="localhost").body == rude.PAGE


def test_a_server_without_tls_is_told_as_such() -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async def go() -> Response:
        async with rude.serving(plain, "https") as url, client_session() as session:
            return await Fetcher(session).get(url, limits=PATIENT)

    kind, text = failure(lambda: asyncio.run(go()))
    assert kind is Kind.TLS
    assert "should the scheme be http?" in text
