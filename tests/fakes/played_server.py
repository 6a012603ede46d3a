"""A server that a test plays: a vLLM page whose counters move, stand, step back, restart, change their model, break.

Served by threads of the test's process, so that a test changes it between two polls.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

STEPS_PER_S, BATCH = 20.0, 8.0
LABELS = b'engine="0",model_name="played"'
FIRST_STEP = 1000.0
"""What the counter of steps says at first."""
PAGE = """\
# TYPE process_start_time_seconds gauge
process_start_time_seconds {start}
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{labels} 8
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{labels} 0
# TYPE vllm:prompt_tokens_total counter
vllm:prompt_tokens_total{labels} {tokens}
# TYPE vllm:generation_tokens_total counter
vllm:generation_tokens_total{labels} {tokens}
# TYPE vllm:inter_token_latency_seconds histogram
vllm:inter_token_latency_seconds_bucket{labels_le} {tokens}
vllm:inter_token_latency_seconds_sum{labels} {latency_s}
vllm:inter_token_latency_seconds_count{labels} {tokens}
# TYPE vllm:iteration_tokens_total histogram
vllm:iteration_tokens_total_bucket{labels_le} {steps}
vllm:iteration_tokens_total_sum{labels} {tokens}
vllm:iteration_tokens_total_count{labels} {steps}
"""


def page_of(steps: float, start_s: float, labels: bytes = LABELS) -> bytes:
    """The page of a process that began at `start_s` (unix time), after so many steps of `BATCH` sequences."""
    text = PAGE.replace("{labels}", "{{LABELS}}").replace("{labels_le}", '{{LABELS,le="+Inf"}}')
    tokens = steps * BATCH
    filled = text.format(start=start_s, steps=steps, tokens=tokens, latency_s=tokens / STEPS_PER_S)
    return filled.encode().replace(b"LABELS", labels)


class Played:
    """What one server's page says. It may be changed at any time."""

    def __init__(self) -> None:
        self.labels = LABELS
        self.start_s = 1_700_000_000.0
        self.doubled = False
        """Whether the page has a series twice."""
        self._comment = b""
        self._steps_before = FIRST_STEP
        self._moves_since_s: float | None = time.monotonic()

    def steps(self) -> float:
        """Steps since its start, as its counter tells them."""
        moving_s = 0.0 if self._moves_since_s is None else time.monotonic() - self._moves_since_s
        return self._steps_before + moving_s * STEPS_PER_S

    def freeze(self) -> None:
        """Every page is the same from now on."""
        self._steps_before, self._moves_since_s = self.steps(), None

    def thaw(self) -> None:
        """The counters move again, if they stood still."""
        if self._moves_since_s is None:
            self._moves_since_s = time.monotonic()

    def step_back(self, steps: float) -> None:
        """The counters fall, and nothing restarted."""
        self._steps_before -= steps

    def restart(self) -> None:
        """Another process answers, with counters from zero."""
        self.start_s += 100
        self._steps_before, self._moves_since_s = 0.0, time.monotonic()

    def grow_by(self, size_bytes: int) -> None:
        """The page has a comment of about so many bytes from now on."""
        self._comment = b"# " + b"x" * size_bytes + b"\n" if size_bytes else b""

    def page(self) -> bytes:
        again = b"vllm:num_requests_waiting{" + self.labels + b"} 0\n" if self.doubled else b""
        return page_of(self.steps(), self.start_s, self.labels) + again + self._comment


class PlayedServer(Played):
    """One server at a port of loopback that stays its own."""

    def __init__(self) -> None:
        super().__init__()
        self.pages = 0
        """How many were asked for so far."""
        self._server: ThreadingHTTPServer | None = None
        self._port = 0
        self.come()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._port}"

    @property
    def url(self) -> str:
        return f"http://{self.address}/metrics"

    def go(self) -> None:
        """Nothing listens any more."""
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()
        self._server = None

    def come(self) -> None:
        """Listen, at the same port as before."""
        played = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = self.path == "/metrics"
                body = played.page() if found else b""
                played.pages += found
                self.send_response(200 if found else 404)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                # One who has no memory for the page hangs up.
                with contextlib.suppress(ConnectionError):
                    self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def end(self) -> None:
        if self._server is not None:
            self.go()


@contextlib.contextmanager
def played(number: int) -> Iterator[list[PlayedServer]]:
    """So many servers."""
    servers = [PlayedServer() for _ in range(number)]
    try:
        yield servers
    finally:
        for server in servers:
            server.end()
