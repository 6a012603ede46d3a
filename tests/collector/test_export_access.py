"""TLS and basic auth by web-config.yml: who is let in, what is refused in the file, and a file that changes."""

from __future__ import annotations

import asyncio
import base64
import ssl
import subprocess
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import bcrypt
import pytest

from collector.errors import ConfigError
from collector.export import access
from collector.export.access import Access
from collector.settings.web_config import load_web_config
from tests.fakes.own_port import Client, certificate, own_port
from tests.fakes.tools import require

OK, DENIED, BUSY = b"HTTP/1.1 200 OK", b"HTTP/1.1 401 Unauthorized", b"HTTP/1.1 429 Too Many Requests"


def hashed(password: str) -> str:
    """At the lowest cost, which is quick."""
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()


def request(user: str, password: str, path: str = "/metrics") -> bytes:
    coded = base64.b64encode(f"{user}:{password}".encode()).decode()
    return f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {coded}\r\n\r\n".encode()


def played(file: Path, story: Callable[[int], Awaitable[None]]) -> None:
    async def go() -> None:
        async with asyncio.timeout(60), own_port(config_file=file) as (port, _):
            await story(port)

    asyncio.run(go())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "web-config.yml"
    made.write_text(f'basic_auth_users: {{anna: "{hashed("right")}"}}\n')
    return made


@pytest.mark.fault("5", "a client without credentials", promise="no endpoint answers without the right password")
@pytest.mark.parametrize("path", ["/metrics", "/", "/api/v1/report", "/-/healthy", "/-/ready", "/-/reload", "/none"])
def test_no_endpoint_answers_without_the_right_password(file: Path, path: str) -> None:
    async def story(port: int) -> None:
        client = await Client.connected(port)
        assert await client.ask(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()) == DENIED
        for user, password in (("anna", "wrong"), ("anna", ""), ("bert", "right"), ("", ""), ("anna", "x" * 100)):
            assert await client.ask(request(user, password, path)) == DENIED
        assert await client.ask(request("anna", "right", path)) != DENIED
        client.close()

    played(file, story)


@pytest.mark.parametrize(
    "header", ["", "Basic", "Basic !", "Bearer YTpi", "Basic YQ==", "Basic \x80", "Basic YTpi YTpi", "Digest x"]
)
def test_a_header_that_is_no_basic_auth_is_denied(file: Path, header: str) -> None:
    async def story(port: int) -> None:
        client = await Client.connected(port)
        asked = f"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: {header}\r\n\r\n".encode("latin-1")
        assert (await client.ask(asked)).startswith(b"HTTP/1.1 40")
        client.close()

    played(file, story)


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The passwords of which a hash was computed."""
    hashes: list[bytes] = []
    real = access._matches

    def counted(password: bytes, stated: bytes) -> bool:
        hashes.append(password)
        return real(password, stated)

    monkeypatch.setattr(access, "_matches", counted)
    return hashes


def test_a_password_costs_one_hash_however_often_it_is_sent(file: Path, hashes: list[bytes]) -> None:
    async def story(port: int) -> None:
        client = await Client.connected(port)
        for password in ("right", "wrong") * 3:
            await client.ask(request("anna", password))
        client.close()

    played(file, story)
    assert hashes == [b"right", b"wrong"]


def test_hashing_leaves_the_event_loop_free_and_guessers_queue_up(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one hash hangs, `tls` of the loop goes on, and beyond the queue guesses are turned away."""
    release = threading.Event()
    monkeypatch.setattr(access, "_matches", lambda *_: release.wait(30) and False)

    async def story(port: int) -> None:
        clients = [await Client.connected(port) for _ in range(access.WAITING)]
        waiting = [asyncio.create_task(one.ask(request("anna", f"guess {n}"))) for n, one in enumerate(clients)]
        status = b""
        late = await Client.connected(port)
        while not status.startswith(b"HTTP/1.1 429"):
            asking = asyncio.create_task(late.ask(request("anna", "one more")))
            done, _ = await asyncio.wait((asking,), timeout=5)
            assert done, "the guess waits, as if the queue had no end"
            status = asking.result()
        release.set()
        assert await asyncio.gather(*waiting) == [DENIED] * access.WAITING
        for one in [*clients, late]:
            one.close()

    played(file, story)


@pytest.mark.fault(
    "5", "a client without credentials", promise="guessers do not keep out whom the daemon has let in before"
)
def test_a_known_client_passes_while_guessers_saturate_the_hashing(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its right answer outlives more wrong ones than are remembered, and needs no place in the queue."""
    release = threading.Event()
    real = access._matches

    def held(password: bytes, stated: bytes) -> bool:
        return real(password, stated) if not password.startswith(b"held") else release.wait(30) and False

    monkeypatch.setattr(access, "_matches", held)

    async def story(port: int) -> None:
        known, guesser = await Client.connected(port), await Client.connected(port)
        assert await known.ask(request("anna", "right")) == OK
        for n in range(access.REMEMBERED + 1):
            assert await guesser.ask(request("anna", f"guess {n}")) == DENIED
        crowd = [await Client.connected(port) for _ in range(access.WAITING + 1)]
        asking = [asyncio.create_task(one.ask(request("anna", f"held {n}"))) for n, one in enumerate(crowd)]
        try:
            turned_away, _ = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
            assert [one.result() for one in turned_away] == [BUSY]
            assert await known.ask(request("anna", "right")) == OK
        finally:
            release.set()
        await asyncio.gather(*asking)
        for one in [known, guesser, *crowd]:
            one.close()

    played(file, story)


def test_what_was_right_stays_so_when_the_file_is_read_anew_unless_the_user_s_hash_is_another(
    file: Path, hashes: list[bytes]
) -> None:
    """A renewed certificate must not put those who are known behind those who guess."""
    texts = [file.read_text()] * 2 + [f'basic_auth_users: {{anna: "{hashed("right")}"}}\n']

    async def story(port: int) -> None:
        client = await Client.connected(port)
        for text in texts:
            _replace(file, text)
            for _ in range(2):
                assert await client.ask(request("anna", "right")) == OK
                assert await client.ask(request("anna", "wrong")) == DENIED
        client.close()

    played(file, story)
    assert hashes == [b"right", b"wrong"] * 2


def test_a_changed_file_counts_at_once_and_a_broken_one_changes_nothing(file: Path) -> None:
    async def story(port: int) -> None:
        client = await Client.connected(port)
        assert await client.ask(request("anna", "right")) == OK
        _replace(file, f'basic_auth_users: {{bert: "{hashed("new")}"}}\n')
        assert await client.ask(request("anna", "right")) == DENIED
        assert await client.ask(request("bert", "new")) == OK
        _replace(file, "basic_auth_users: {bert: plain-text}\n")
        assert await client.ask(request("bert", "new")) == OK
        _replace(file, None)
        assert await client.ask(request("bert", "new")) == OK
        client.close()

    played(file, story)


def test_a_renewed_certificate_is_shown_to_the_next_connection(tmp_path: Path) -> None:
    first, key = certificate(tmp_path)
    renewed, renewed_key = certificate(tmp_path, "renewed")
    file = tmp_path / "web-config.yml"
    file.write_text(f"tls_server_config: {{cert_file: {first.name}, key_file: {key.name}}}\n")

    async def shown(port: int) -> bytes | None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        client = await Client.connected(port, context)
        der = client.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        client.close()
        return der

    async def story(port: int) -> None:
        before = await shown(port)
        renewed_key.replace(key)
        renewed.replace(first)
        assert ssl.PEM_cert_to_DER_cert(first.read_text()) == await shown(port) != before

    played(file, story)


def test_a_client_certificate_can_be_required(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    client_cert, client_key = certificate(tmp_path, "client")
    file = tmp_path / "web-config.yml"
    file.write_text(
        f"tls_server_config: {{cert_file: {cert.name}, key_file: {key.name}, min_version: TLS13, "
        f"client_auth_type: RequireAndVerifyClientCert, client_ca_file: {client_cert.name}}}\n"
    )
    without = ssl.create_default_context(cafile=str(cert))
    with_one = ssl.create_default_context(cafile=str(cert))
    with_one.load_cert_chain(client_cert, client_key)

    async def story(port: int) -> None:
        client = await Client.connected(port, with_one)
        assert await client.ask() == OK
        client.close()
        stranger = await Client.connected(port, without)
        with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
            await stranger.ask()
        stranger.close()

    played(file, story)


WRONG = {
    "rate_limit: {interval: 1s}": "rates are not limited",
    "basic_auth_users: {anna: plain-canary}": "no bcrypt hash",
    f"basic_auth_users: {{anna: {hashed('x').replace('$04$', '$31$')}}}": "no bcrypt hash of a cost up to 19",
    "tls_server_config: {cert_file: a.pem}": "Field required",
    "tls_server_config: {cert_file: a.pem, key_file: b.pem}": "cannot be used",
    "tls_server_config: {cert_file: a, key_file: b, min_version: TLS10}": "TLS12",
    "tls_server_config: {cert_file: a, key_file: b, client_ca_file: c}": "belong together",
    "tls_server_config: {cert_file: a, key_file: b, min_version: TLS13, max_version: TLS12}": "older than min_version",
    "- a": "no mapping",
    "a: [": "not valid YAML",
}


@pytest.mark.parametrize(("text", "says"), WRONG.items())
def test_what_is_wrong_in_the_file_is_said_with_its_place_and_without_its_value(
    text: str, says: str, tmp_path: Path
) -> None:
    file = tmp_path / "web-config.yml"
    file.write_text(text + "\n")
    with pytest.raises(ConfigError) as raised:
        Access(file)

    assert says in str(raised.value)
    assert str(file) in str(raised.value)
    assert "canary" not in str(raised.value)


def test_promtool_reads_the_same_file(file: Path, tmp_path: Path) -> None:
    promtool = require("promtool", "prometheus")
    cert, key = certificate(tmp_path)
    file.write_text(file.read_text() + f"tls_server_config: {{cert_file: {cert.name}, key_file: {key.name}}}\n")
    done = subprocess.run([promtool, "check", "web-config", str(file)], capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stdout + done.stderr
    assert load_web_config(file).tls_server_config is not None


def _replace(file: Path, text: str | None) -> None:
    """Put another file in its place in one step, or take it away."""
    if text is None:
        file.unlink()
        return
    fresh = file.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(file)
