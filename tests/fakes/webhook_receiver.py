"""A real HTTP receiver of webhooks on loopback: it keeps what it is sent, and answers as a test wants."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pydantic import SecretStr

from collector.settings.notifications import NotificationConfig

SECRET = "/services/T0/B0/canary"
"""The part of an address that must be shown nowhere."""


@dataclass(frozen=True, slots=True)
class Received:
    """One request: its path, its headers in small letters, its JSON."""

    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class Receiver:
    """What came, in its order. `answers` are given one by one, then 200 for ever."""

    url: str = ""
    received: list[Received] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    """Of every answer."""
    slow: threading.Event = field(default_factory=threading.Event)
    """While set, no request is answered."""

    def until(self, what: Callable[[], bool], limit_s: float = 30.0) -> None:
        """Wait for what is received. Raises AssertionError with what came instead."""
        deadline = time.monotonic() + limit_s
        while not what():
            assert time.monotonic() < deadline, self.received
            time.sleep(0.05)


@contextlib.contextmanager
def webhook_receiver() -> Iterator[Receiver]:
    """A receiver that listens until the end."""
    told = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            told.received.append(Received(self.path, headers, json.loads(body)))
            while told.slow.is_set():
                time.sleep(0.05)
            with contextlib.suppress(OSError):  # whoever asked may have lost patience
                self.send_response(told.answers.pop(0) if told.answers else 200)
                self.send_header("Content-Length", "2")
                for name, value in told.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(b"ok")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield told
    finally:
        told.slow.clear()
        server.shutdown()
        server.server_close()


def config(url: str, name: str = "team", **more: Any) -> NotificationConfig:
    """One receiver of the configuration, at this address."""
    more = {"kind": "webhook", "timeout": "5s", **more}
    return NotificationConfig.model_validate({"name": name, "url": SecretStr(url + SECRET), **more})
