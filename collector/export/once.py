"""What is made of a report once and answered until the next one: in a thread, however many ask at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Generic, TypeVar
from weakref import ReferenceType, ref

from analyzer.report import Report

T = TypeVar("T")


class OncePerReport(Generic[T]):
    """The result of `make` for the newest report; that of the report before is dropped."""

    def __init__(self, make: Callable[[Report], T], executor: Executor) -> None:
        self._make = make
        self._executor = executor
        # Weak: what nobody asks for again must not keep a report of long ago, megabytes for a thousand replicas.
        self._report: ReferenceType[Report] | None = None
        self._made: asyncio.Future[T] | None = None

    async def of(self, report: Report) -> T:
        """The result for this report. Raises what `make` raises."""
        if self._made is None or self._report is None or self._report() is not report:
            self._report = ref(report)
            self._made = asyncio.get_running_loop().run_in_executor(self._executor, self._make, report)
        # Whoever asked first may go away; the others still wait for it.
        return await asyncio.shield(self._made)
