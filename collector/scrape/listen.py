"""Listening to a server's forward-pass records: a ZMQ subscription per data-parallel rank."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Any

from collector.errors import Kind, SourceError
from collector.scrape.passes import PASS_VERSION, PassSums, pass_of

FIRST_RECORD_S = 2.0
"""A publisher without work sends a record every second."""
_PUBLISHER = (
    "start vLLM with --scheduler-cls dynamo.vllm.instrumented_scheduler.InstrumentedScheduler; it publishes at port "
    "DYN_FORWARDPASS_METRIC_PORT (20380) + data-parallel rank"
)
_RECORD_BYTES = 64 * 1024
_QUEUED_RECORDS = 100_000
_RECONNECT_MS = 500
_LONGEST_RECONNECT_MS = 10_000


def missing_packages() -> tuple[str, ...]:
    """The packages of the `dynamo` extra that are not installed."""
    return tuple(package for module, package in (("msgpack", "msgpack"), ("zmq", "pyzmq")) if find_spec(module) is None)


def endpoints_of_ranks(endpoint: str, ranks: int) -> list[str]:
    """Where each rank publishes: as many ports up from rank 0's."""
    base, _, port = endpoint.rpartition(":")
    return [f"{base}:{int(port) + rank}" for rank in range(ranks)]


class PassListener:
    """One target's records. Ends with the task that made it.

    Raises SourceError when the extra is not installed or an endpoint cannot be connected to.
    """

    def __init__(self, endpoint: str, ranks: int = 1) -> None:
        packages = missing_packages()
        if packages:
            text = f"forward_pass_endpoint needs {' and '.join(packages)}: pip install 'breakeven[dynamo]'"
            raise SourceError(Kind.FORWARD_PASSES, text)
        import msgpack
        import zmq.asyncio

        self.endpoint = endpoint
        self.messages = 0
        """All that came, records or not."""
        self._sums = PassSums()
        self._refused = 0
        self._asked = False
        self._unpack: Any = msgpack.unpackb
        self._heard = asyncio.Event()
        self._context = zmq.asyncio.Context()
        self._socket = self._context.socket(zmq.SUB)
        for option, value in (
            (zmq.LINGER, 0),
            (zmq.IPV6, 1),
            (zmq.MAXMSGSIZE, _RECORD_BYTES),
            (zmq.RCVHWM, _QUEUED_RECORDS),
            (zmq.RECONNECT_IVL, _RECONNECT_MS),
            (zmq.RECONNECT_IVL_MAX, _LONGEST_RECONNECT_MS),
        ):
            self._socket.setsockopt(option, value)
        self._socket.subscribe(b"")
        for one in endpoints_of_ranks(endpoint, ranks):
            try:
                self._socket.connect(one)
            except zmq.ZMQError as error:
                self._context.destroy(linger=0)
                text = f"forward_pass_endpoint {one} cannot be used: {error}"
                raise SourceError(Kind.FORWARD_PASSES, text) from None
        self._task = asyncio.create_task(self._run())
        owner = asyncio.current_task()
        assert owner is not None
        owner.add_done_callback(lambda _: self.close())

    async def read(self) -> tuple[Mapping[str, Mapping[str, float]], tuple[str, ...]]:
        """The sums up to now by rank, without ranks that were not heard of lately; and what is wrong.

        The first call waits a little for the first record.
        """
        if not self._asked:
            self._asked = True
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FIRST_RECORD_S):
                    await self._heard.wait()
        return self._sums.values(asyncio.get_running_loop().time()), tuple(self._notes())

    def _notes(self) -> Iterator[str]:
        if not self._sums.records:
            yield f"{self.endpoint}: no forward-pass record has come; {_PUBLISHER}"
        if self._sums.lost:
            yield f"{self.endpoint}: {self._sums.lost} forward-pass records were lost on the way"
        if self._refused:
            yield f"{self.endpoint}: {self._refused} messages were no forward-pass record of version {PASS_VERSION}"

    def close(self) -> None:
        """Stop listening."""
        self._task.cancel()
        self._context.destroy(linger=0)

    async def _run(self) -> None:
        while True:
            self._take(await self._socket.recv_multipart())

    def _take(self, frames: list[bytes]) -> None:
        """A message is a topic, the publisher's count of its messages, and the record; any other is only counted."""
        self.messages += 1
        one = None
        if len(frames) == 3 and len(frames[1]) == 8:
            try:
                one = pass_of(int.from_bytes(frames[1], "big"), self._unpack(frames[2]))
            except (ValueError, RecursionError):
                one = None
        if one is None or not self._sums.take(one, asyncio.get_running_loop().time()):
            self._refused += 1
        else:
            self._heard.set()
