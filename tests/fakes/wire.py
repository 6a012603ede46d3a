"""A port that leads to a Unix socket, and that a test cuts: nothing comes through, and no end is told."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Wire:
    """Carries bytes both ways, but while it is cut."""

    def __init__(self, to: str, host: str = "127.0.0.1") -> None:
        self._to = to
        self._whole = threading.Event()
        self._whole.set()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._server = socket.create_server((host, 0))
        self.port = int(self._server.getsockname()[1])
        self._start(self._accept)

    def cut(self) -> None:
        """Hold everything up, whatever is sent."""
        self._whole.clear()

    def mend(self) -> None:
        """Let through what was held up, and all that follows."""
        self._whole.set()

    def close(self) -> None:
        """End every connection."""
        self._whole.set()
        for one in (self._server, *self._sockets):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for one in (self._server, *self._sockets):
            one.close()

    def _start(self, work: object, *arguments: socket.socket) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._server.accept()
                far = socket.socket(socket.AF_UNIX)
                self._sockets += [near, far]
                far.connect(self._to)
                self._start(self._carry, near, far)
                self._start(self._carry, far, near)

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self._whole.wait()
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


@contextmanager
def wire(to: str, host: str = "127.0.0.1") -> Iterator[Wire]:
    """A wire from a host's address to a Unix socket."""
    made = Wire(to, host)
    try:
        yield made
    finally:
        made.close()
