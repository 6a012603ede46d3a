"""Where a fetch goes and where never: names, ports, link-local addresses, schemes, certificates."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from collector.errors import Kind, SourceError
from collector.jobs.targets import tls_context
from collector.scrape.fetch import Fetcher, Response, client_session
from collector.scrape.limits import Limits
from collector.settings.jobs import TlsConfig
from tests.fakes import rude
from tests.fakes.fake_time import FakeTime
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


@pytest.mark.fault(
    "2", "discovery names an address that is not to be polled", promise="none is made to a link-local one"
)
@pytest.mark.parametrize(
    "host", ["169.254.169.254", "[fe80::1]", "[fe80::1%25lo]", "[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]"]
)
def test_link_local_addresses_are_never_connected_to(host: str) -> None:
    kind, text = failure_at(f"http://{host}/latest/meta-data")
    assert kind is Kind.REFUSED
    assert "link-local" in text


@pytest.mark.fault(
    "2",
    "discovery names an address that is not to be polled",
    promise="the address that is connected to is what counts, whatever name led there",
)
def test_a_name_that_leads_to_a_link_local_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The address that is connected to is checked, whatever name gave it."""
    metadata = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("169.254.169.254", 80))

    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: [metadata])
    kind, text = failure_at("http://harmless.example/metrics")
    assert kind is Kind.REFUSED
    assert "169.254.169.254 is a link-local address" in text


def test_a_resolver_that_hangs_holds_one_thread_for_each_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three polls of a name give up while it hangs, and another name is polled all the same."""
    answers, asked, real = threading.Event(), [], socket.getaddrinfo

    def hanging(host: str, *rest: Any, **more: Any) -> Any:
        asked.append(host)
        if host == "hangs.example":
            answers.wait()
        return real("127.0.0.1", *rest, **more)

    monkeypatch.setattr("socket.getaddrinfo", hanging)

    async def go() -> tuple[list[Kind], Response]:
        handler = rude.answering(rude.page(rude.PAGE))
        async with rude.serving(handler) as url, client_session() as session:
            fetcher, kinds = Fetcher(session), []
            for _ in range(3):
                with pytest.raises(SourceError) as caught:
                    await fetcher.get(url.replace("127.0.0.1", "hangs.example"), limits=Limits(timeout_s=0.05))
                kinds.append(caught.value.kind)
            return kinds, await fetcher.get(url.replace("127.0.0.1", "well.example"), limits=PATIENT)

    try:
        kinds, response = asyncio.run(go())
    finally:
        answers.set()
    assert kinds == [Kind.TIMEOUT] * 3
    assert response.body == rude.PAGE
    assert asked == ["hangs.example", "well.example"]


def test_a_knock_goes_nowhere_that_a_poll_would_not() -> None:
    async def go(url: str) -> None:
        async with client_session() as session:
            await Fetcher(session).knock(url, PATIENT)

    with pytest.raises(SourceError, match="link-local") as caught:
        asyncio.run(go("http://169.254.169.254/"))
    assert caught.value.kind is Kind.REFUSED


@pytest.mark.fault(
    "2",
    "discovery names an address that is not to be polled",
    promise="with `global.allowed_networks` nothing beyond them is connected to",
)
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"])
def test_only_allowed_networks_are_connected_to(host: str) -> None:
    """A real server of loopback: by address, by name and in IPv6's clothes."""
    asked: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await rude.request(reader))
        writer.write(rude.page(rude.PAGE))
        await writer.drain()

    async def get(network: str) -> Response:
        allowed = [ipaddress.ip_network(network)]
        async with rude.serving(handler) as url, client_session(allowed=allowed) as session:
            return await Fetcher(session).get(url.replace("127.0.0.1", host), limits=PATIENT)

    kind, text = failure(lambda: asyncio.run(get("10.0.0.0/8")))
    assert kind is Kind.REFUSED
    assert "1 is in no network of global.allowed_networks" in text
    assert asked == []
    assert asyncio.run(get("127.0.0.0/8")).body == rude.PAGE


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


def certified(folder: Path, environment: Mapping[str, str] | None = None) -> Path:
    """A self-signed certificate for localhost, valid for two days from now on, with its key in one file."""
    path = folder / "server.pem"
    command = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost")
    names = ("-addext", "subjectAltName=DNS:localhost", "-keyout", str(path) + ".key", "-out", str(path))
    own = {**os.environ, **(environment or {})}
    subprocess.run([*command, *names], check=True, capture_output=True, env=own)
    path.write_text(path.read_text() + Path(str(path) + ".key").read_text())
    return path


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certified(tmp_path_factory.mktemp("tls"))


def over_tls(certificate: Path, host: str = "127.0.0.1", client: Path | None = None, **options: object) -> Response:
    """The answer of a server with this certificate, which wants the client's where `client` is its authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    if client is not None:
        context.load_verify_locations(client)
        context.verify_mode = ssl.CERT_REQUIRED

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


@pytest.mark.fault(
    "2",
    "a certificate that is expired, self-signed or of another name",
    promise="an expired one is refused, though its authority is trusted and its name is right",
)
def test_an_expired_certificate_is_refused(tmp_path: Path) -> None:
    """Made ten days ago for two; what is trusted and named alike is else taken, as above."""
    clock = FakeTime(tmp_path)
    clock.step("-10d")
    expired = certified(tmp_path, clock.environment)
    trusting = ssl.create_default_context(cafile=str(expired))
    kind, text = failure(lambda: over_tls(expired, ssl=trusting, server_name="localhost"))
    assert kind is Kind.TLS
    assert "certificate has expired" in text


def test_a_server_that_wants_a_certificate_gets_the_jobs(certificate: Path, tmp_path: Path) -> None:
    """By `ca_file`, `cert_file` and `key_file` of the job; without the latter two the server refuses us."""
    own = certified(tmp_path)
    stated = TlsConfig(ca_file=certificate, cert_file=own, key_file=Path(f"{own}.key"))
    options = {"client": own, "server_name": "localhost"}
    assert over_tls(certificate, ssl=tls_context(stated), **options).body == rude.PAGE  # type: ignore[arg-type]
    bare = tls_context(TlsConfig(ca_file=certificate))
    kind, _ = failure(lambda: over_tls(certificate, ssl=bare, **options))  # type: ignore[arg-type]
    assert kind in {Kind.TLS, Kind.DISCONNECTED}


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
