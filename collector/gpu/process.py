"""One child process that answers JSON lines: asked with a deadline, told to end in three steps, never waited for
without a limit."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from enum import IntEnum
from typing import Any, cast

MAX_ANSWER_BYTES = 4 * 1024 * 1024
"""Far above any answer (about 700 bytes a GPU): what is longer is not an answer."""


class ChildEndedError(Exception):
    """The child gave no answer and never will; the text is the end of a sentence that begins with its name."""


class Ending(IntEnum):
    """How firmly a child was told to end, in the order in which that is done."""

    NOT_TOLD = 0
    INPUT_CLOSED = 1
    TERMINATED = 2
    KILLED = 3


class ChildProcess:
    """A started child. One request at a time."""

    def __init__(self, transport: asyncio.SubprocessTransport, answers: _Answers) -> None:
        self._transport = transport
        self._answers = answers
        self._asked = 0
        self.process_id = transport.get_pid()
        self.ending = Ending.NOT_TOLD

    @classmethod
    async def start(cls, command: Sequence[str], environment: Mapping[str, str] | None = None) -> ChildProcess:
        """Starts `command` in a session of its own, so that a terminal's Ctrl-C reaches only the daemon.

        The environment is this process's when None is given. stderr is shared. Raises OSError when the machine cannot
        start a process.
        """
        transport, protocol = await asyncio.get_running_loop().subprocess_exec(
            _Answers,
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=None,
            env=environment,
            start_new_session=True,
        )
        return cls(transport, protocol)

    @property
    def warm(self) -> bool:
        """Whether the child answered before."""
        return self._answers.answered > 0

    async def ask(self, request: Mapping[str, Any], deadline_s: float) -> dict[str, Any]:
        """The answer to one request.

        Raises TimeoutError after `deadline_s`, and ChildEndedError when the child ended or does not speak the protocol.
        A request that timed out leaves the child unusable: end it.
        """
        self._asked += 1
        line = json.dumps({**request, "id": self._asked}).encode() + b"\n"
        answer = self._answers.expect()
        stdin = cast(asyncio.WriteTransport, self._transport.get_pipe_transport(0))
        stdin.write(line)
        # Unlike `timeout`, `wait` takes an answer that came in time but was seen late because the event loop was busy.
        await asyncio.wait((answer,), timeout=deadline_s)
        if not answer.done():
            raise TimeoutError
        text = answer.result()
        if text is None:
            raise ChildEndedError(await self._how_it_ended(deadline_s))
        try:
            parsed = json.loads(text)
        except ValueError as error:
            raise ChildEndedError("answered with something that is not JSON") from error
        if not isinstance(parsed, dict) or parsed.get("id") != self._asked:
            raise ChildEndedError("answered another request than the one asked")
        return parsed

    def end(self, ending: Ending) -> None:
        """Takes one step towards the end, and the gentler ones before it. The next step is the caller's to time."""
        if self.ending < Ending.INPUT_CLOSED <= ending:
            stdin = self._transport.get_pipe_transport(0)
            if stdin is not None:
                stdin.close()
        # A child that is gone already needs no signal.
        with suppress(ProcessLookupError):
            if self.ending < Ending.TERMINATED <= ending:
                self._transport.send_signal(signal.SIGTERM)
            if self.ending < Ending.KILLED <= ending:
                self._transport.kill()
        self.ending = max(self.ending, ending)

    async def gone_within(self, limit_s: float) -> bool:
        """Whether the child has ended and was reaped, waiting for that at most `limit_s`. Frees its pipes if so."""
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self._answers.exited.wait()
        if not self._answers.exited.is_set():
            return False
        self._transport.close()
        return True

    def abandon(self) -> None:
        """Kills the child and frees its pipes without waiting for anything."""
        self.end(Ending.KILLED)
        self._transport.close()

    async def _how_it_ended(self, limit_s: float) -> str:
        await self.gone_within(limit_s)
        code = self._transport.get_returncode()
        if code is None:
            return "closed its output"
        if code < 0:
            return f"was ended by signal {-code} ({signal.strsignal(-code)})"
        return f"ended with exit status {code}"


class _Answers(asyncio.SubprocessProtocol):
    """Collects the child's output into lines, and its end."""

    def __init__(self) -> None:
        self.exited = asyncio.Event()
        self.answered = 0
        self._buffer = bytearray()
        self._closed = False
        self._waiting: asyncio.Future[bytes | None] | None = None

    def expect(self) -> asyncio.Future[bytes | None]:
        """A future for the next whole line; None when the output ends first."""
        self._waiting = asyncio.get_running_loop().create_future()
        if self._closed:
            self._waiting.set_result(None)
        return self._waiting

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self._buffer += data
        line, newline, rest = self._buffer.partition(b"\n")
        if newline:
            self._buffer = rest
            self.answered += 1
            self._resolve(bytes(line))
        elif len(self._buffer) > MAX_ANSWER_BYTES:
            self._buffer.clear()
            self._resolve(b"")

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if fd == 1:
            self._closed = True
            self._resolve(None)

    def process_exited(self) -> None:
        self.exited.set()

    def _resolve(self, line: bytes | None) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(line)
