"""One message posted to a real HTTP receiver: what it answers, where it is not, credentials, proxy, certificate."""

from __future__ import annotations

import asyncio
import ssl
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from collector.jobs.post import NotSentError, post
from collector.settings.notifications import NotificationConfig
from tests.fakes.own_port import certificate
from tests.fakes.webhook_receiver import SECRET, Receiver, config

FAILURES = [
    pytest.param({"answers": [302]}, "redirects are never followed", "http_status", True, id="redirect"),
    pytest.param({"answers": [404]}, "answers HTTP 404: nothing at this address", "http_status", True, id="gone"),
    pytest.param({"answers": [503]}, "answers HTTP 503", "http_status", False, id="busy"),
    pytest.param({"answers": [520]}, "answers HTTP 520", "http_status", False, id="a-status-of-no-standard"),
]


@pytest.mark.parametrize(("change", "said", "reason", "final"), FAILURES)
def test_an_answer_that_is_no_yes_is_told_without_the_address(
    hook: Receiver, change: dict[str, Any], said: str, reason: str, final: bool
) -> None:
    hook.answers = change["answers"]
    hook.headers = {"Location": f"http://127.0.0.1/{SECRET}", "Retry-After": "7"}
    with pytest.raises(NotSentError, match=said) as caught:
        asyncio.run(post(config(hook.url), {"text": "x"}))

    assert (caught.value.reason, caught.value.final, caught.value.arrived) == (reason, final, False)
    assert caught.value.pause_s == 7
    assert len(hook.received) == 1
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "said", "reason"),
    [
        ("http://127.0.0.1:1", "cannot connect to 127.0.0.1", "refused"),
        ("http://nowhere.invalid", "the host name nowhere.invalid cannot be resolved", "dns"),
    ],
)
def test_a_receiver_that_is_not_there_is_told_without_the_address(url: str, said: str, reason: str) -> None:
    with pytest.raises(NotSentError, match=said) as caught:
        asyncio.run(post(config(url), {"text": "x"}))

    assert (caught.value.reason, caught.value.final, caught.value.arrived) == (reason, False, False)
    assert "canary" not in str(caught.value)


def test_credentials_and_the_address_come_from_files_that_are_read_at_every_message(
    hook: Receiver, tmp_path: Path
) -> None:
    url, token = tmp_path / "url", tmp_path / "token"
    one = NotificationConfig.model_validate(
        {"name": "a", "kind": "slack", "url_file": url, "authorization": {"credentials_file": token}}
    )
    for number in ("1", "2"):
        url.write_text(f"{hook.url}/{number}\n")
        token.write_text(f"token-{number}\n")
        asyncio.run(post(one, {"text": "x"}))
    url.write_text("not an address")
    with pytest.raises(NotSentError, match="holds no address"):
        asyncio.run(post(one, {"text": "x"}))

    assert [(got.path, got.headers["authorization"]) for got in hook.received] == [
        ("/1", "Bearer token-1"),
        ("/2", "Bearer token-2"),
    ]


def test_a_proxy_is_gone_through_where_one_is_stated_and_the_environment_names_none(
    hook: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy is asked for the whole address; without one stated the host is looked for directly, and not found."""
    monkeypatch.setenv("http_proxy", hook.url)
    with pytest.raises(NotSentError, match="cannot be resolved"):
        asyncio.run(post(config("http://slack.invalid"), {"text": "x"}))
    asyncio.run(post(config("http://slack.invalid", proxy_url=hook.url), {"text": "x"}))
    with pytest.raises(NotSentError, match=r"http://127.0.0.1:1 does not let us through to slack.invalid") as caught:
        asyncio.run(post(config("http://slack.invalid", proxy_url="http://127.0.0.1:1"), {"text": "x"}))

    assert [one.path for one in hook.received] == [f"http://slack.invalid{SECRET}"]
    assert (caught.value.reason, caught.value.final) == ("proxy", False)


def test_a_certificate_is_checked_unless_the_configuration_says_otherwise(tmp_path: Path) -> None:
    """A self-signed server is refused; with its own certificate as authority it is believed."""

    class Yes(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
            pass

    certificate(tmp_path, "server")
    server = HTTPServer(("127.0.0.1", 0), Yes)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    url = f"https://localhost:{server.server_address[1]}"
    try:
        with pytest.raises(NotSentError, match="TLS with localhost failed"):
            asyncio.run(post(config(url), {"text": "x"}))
        for tls in ({"insecure_skip_verify": True}, {"ca_file": str(tmp_path / "server.pem")}):
            asyncio.run(post(config(url, tls_config=tls), {"text": "x"}))
    finally:
        server.shutdown()
        server.server_close()
