"""How a daemon's process takes SIGINT and SIGTERM, from its start to after its orderly end."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Coroutine
from contextlib import suppress

END_LIMIT_S = 9.0
_STOPPING = (signal.SIGINT, signal.SIGTERM)


def to_the_end(main: Coroutine[None, None, None]) -> None:
    """Run it; a signal that comes after its orderly end does not make a killed process of it."""
    asyncio.run(main)
    for number in _STOPPING:
        signal.signal(number, signal.SIG_IGN)


class Stop:
    """SIGINT or SIGTERM: the first asks for an orderly end, the second ends at once.

    The handlers are not the loop's, which takes its own away when it closes: a second signal right then would kill.
    """

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._signalled = False
        for number in _STOPPING:
            signal.signal(number, self._take)
        # Until there is something to reload, it must not end the process.
        signal.signal(signal.SIGHUP, lambda *_: None)

    def _take(self, _number: int, _frame: object) -> None:
        if self._signalled:
            os._exit(1)
        self._signalled = True
        with suppress(RuntimeError):  # the loop is closed: the end is near anyhow
            self._loop.call_soon_threadsafe(self._ask)

    def _ask(self) -> None:
        self.asked.set()
        self.end_within_limit(0)

    def end_within_limit(self, status: int) -> None:
        """Leave with this status, at the latest, when the limit of an orderly end is over."""
        # A resolver or database thread that hangs must not hold up the end: it is not waited for beyond this.
        last = threading.Timer(END_LIMIT_S, os._exit, (status,))
        last.daemon = True
        last.start()
