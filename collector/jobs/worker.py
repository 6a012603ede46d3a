"""One daemon thread for calls that may block, such as the database: never joined without a limit."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from collector.store import Steps

T = TypeVar("T")
_Call = tuple[Callable[[], Any], "asyncio.Future[Any]", asyncio.AbstractEventLoop]


class Worker:
    """Runs calls one after another on a thread of its own, which cannot keep the process alive."""

    def __init__(self, name: str) -> None:
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    async def run(self, call: Callable[..., T], *arguments: Any) -> T:
        """The call's result, or what it raised."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._calls.put((lambda: call(*arguments), future, loop))
        return await future

    async def run_all(self, begin: Callable[..., Steps[T]], *arguments: Any) -> T:
        """The result of work that is done step by step, or what it raised; other calls come in between."""
        steps = await self.run(begin, *arguments)
        while (result := await self.run(steps.step)) is None:
            pass
        return result

    def close(self, limit_s: float) -> bool:
        """Let the calls in hand end, for at most `limit_s`; whether they did."""
        self._calls.put(None)
        self._thread.join(limit_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (item := self._calls.get()) is not None:
            call, future, loop = item
            try:
                result, error = call(), None
            except BaseException as raised:  # noqa: BLE001 - handed to whoever awaits
                result, error = None, raised
            # The loop may be gone when the daemon ended without waiting for this call.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(_settle, future, result, error)


def _settle(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.cancelled():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
