"""One connection to our port, with a deadline for what a client may be slow at: its request, our answer, silence."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import cast

_END_OF_HEAD = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long a client may take."""

    head_s: float = 10.0
    """From the connection, or the first byte of a further request, to the end of that request's head; TLS too."""
    answer_s: float = 15.0
    """To take an answer."""
    idle_s: float = 75.0
    """Between two requests: longer than the usual distance of two scrapes."""


class Phase(Enum):
    """What a connection waits for."""

    REQUEST = auto()
    ANSWER = auto()
    NOTHING = auto()


class Connection(asyncio.Protocol):
    """Passes everything on to aiohttp's protocol, and ends a connection whose client is too slow.

    aiohttp alone leaves half a request open for its whole keep-alive time, and an answer that nobody takes for ever.
    """

    def __init__(self, inner: asyncio.Protocol, deadlines: Deadlines, lost: Callable[[Connection], None]) -> None:
        self._inner = inner
        self._deadlines = deadlines
        self._lost = lost
        self._transport: asyncio.Transport | None = None
        self._to_socket: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._tail = b""
        self._starting = 0
        self._handlers = 0
        self.phase = Phase.REQUEST
        self.asked_s = 0.0
        """When the last request came, by the loop's clock."""
        self.is_lost = False

    @property
    def can_give_way(self) -> bool:
        """Whether nobody is in the middle of an answer here."""
        return self.phase is not Phase.ANSWER

    @property
    def is_answered(self) -> bool:
        """Whether what was asked here is answered: no handler is at work, and all is sent.

        Bytes of which aiohttp makes no request, and a body that no handler reads, are no work.
        """
        return self.phase is Phase.ANSWER and not self._starting and not self._handlers and self._is_sent

    @contextlib.contextmanager
    def handling(self) -> Iterator[None]:
        """For the time that a handler is at work for this connection."""
        self._handlers += 1
        try:
            yield
        finally:
            self._handlers -= 1

    def end(self) -> None:
        """End it now, whatever is under way."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        # asyncio's TLS transport does not count what it has passed on to the socket's, and names that nowhere public.
        self._to_socket = getattr(getattr(transport, "_ssl_protocol", None), "_transport", None) or self._transport
        self._enter(Phase.REQUEST)
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        _, found, rest = (self._tail + data).rpartition(_END_OF_HEAD)
        self._tail = rest[1 - len(_END_OF_HEAD) :]
        if found:
            # Asking on, without taking what was answered, gives no more time.
            if self.phase is not Phase.ANSWER or self._is_sent:
                self._enter(Phase.ANSWER)
            self.asked_s = asyncio.get_running_loop().time()
            self._starting += 1
        elif self.phase is Phase.NOTHING:
            self._enter(Phase.REQUEST)
        self._inner.data_received(data)
        if found:
            # aiohttp begins the handler within two turns of the loop: one wakes its task, which makes another.
            loop = asyncio.get_running_loop()
            loop.call_soon(loop.call_soon, self._started)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._transport, self._to_socket, self.is_lost = None, None, True
        self._inner.connection_lost(exc)
        self._lost(self)

    def _started(self) -> None:
        self._starting -= 1

    @property
    def _is_sent(self) -> bool:
        return self._to_socket is None or not self._to_socket.get_write_buffer_size()

    def _enter(self, phase: Phase) -> None:
        self.phase = phase
        after_s = {
            Phase.REQUEST: self._deadlines.head_s,
            Phase.ANSWER: self._deadlines.answer_s,
            Phase.NOTHING: self._deadlines.idle_s,
        }[phase]
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(after_s, self._too_late)

    def _too_late(self) -> None:
        # An answer is made at once: one that has left the buffer by now was taken.
        if self.phase is Phase.ANSWER and self._is_sent:
            self._enter(Phase.NOTHING)
        else:
            self.end()
